import { signal } from '@preact/signals'
import type { AppView } from '../../contract.ts'
import { tell, tellRefusal } from '../message.ts'
import { reload } from '../open-app.ts'
import { rollBackTo } from './roll-back.tsx'

/** A publication that can be undone. */
export interface Publication {
  readonly appId: string
  readonly revision: number
  readonly replaced: number
  /** In milliseconds since the epoch. */
  readonly at: number
}

const UNDO_WITHIN = 10 * 60_000
/** The place in the storage of the tab, so that reloading the page does not take `Undo` away. */
const KEPT = 'portcullis-publications'

const isRecent = ({ at }: Publication): boolean => Date.now() - at < UNDO_WITHIN

const publications = signal<readonly Publication[]>(kept())

function kept(): readonly Publication[] {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(KEPT) ?? '[]')
    return Array.isArray(found) ? (found as Publication[]).filter(isRecent) : []
  } catch {
    return []
  }
}

/** Tells that a draft was published, and offers to undo it. */
export function tellPublished(publication: Publication): void {
  publications.value = [
    publication,
    ...publications.value.filter((each) => isRecent(each) && each.appId !== publication.appId),
  ]
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(publications.value))
  } catch {
    // Without storage, `Undo` lasts until the page is loaded again.
  }
  tell(`Revision ${publication.revision} is in force.`, {
    label: 'Undo',
    appId: publication.appId,
    run: () => void undo(publication),
  })
}

/** The last publication of an app, if it is recent and nothing was published since. */
export const undoable = ({ appId, revision }: AppView): Publication | undefined =>
  publications.value.find((each) => each.appId === appId && each.revision === revision && isRecent(each))

export async function undo(publication: Publication): Promise<void> {
  const { appId, revision, replaced } = publication
  if (!isRecent(publication)) {
    tellRefusal(new Error('You can undo within ten minutes only. Roll back in the history instead.'))
    return
  }
  const made = await rollBackTo(appId, replaced, revision)
  if (made === undefined) return
  tell(`Undone. Revision ${made} restores revision ${replaced}.`)
  await reload()
}
