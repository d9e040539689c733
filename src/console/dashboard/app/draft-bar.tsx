import type { JSX } from 'preact'
import type { AppView, DraftView } from '../../contract.ts'
import { editsBetween, withEdits } from '../../draft-edits.ts'
import { appPath, ask } from '../api.ts'
import { message, tell, tellRefusal, type Message } from '../message.ts'
import { edit, editConflict, isDeciding, reload, saving, showApp } from '../open-app.ts'
import { goTo, linkTo } from '../route.ts'
import { count, scoreWords } from '../words.ts'
import { undo, undoable } from './undo.ts'

/** Always visible: the content of the draft, and the link to publish it. */
export function DraftBar({ app }: { app: AppView }): JSX.Element {
  const { draft } = app
  // While the message about the publication is shown, it has the button.
  const published = draft === undefined && message.value?.action === undefined ? undoable(app) : undefined
  const discard = async (): Promise<void> => {
    try {
      const view = await ask<AppView | undefined>('DELETE', appPath(app.appId, '/draft'), {
        body: { version: draft?.version },
      })
      await showApp(view)
      tell('Draft discarded.', draft && undoOf(app, draft))
      goTo('apps', app.appId, 'keys')
    } catch (error) {
      tellRefusal(error)
      await reload()
    }
  }
  return (
    <section class="draft-bar" aria-label="Draft">
      <div class="inner">
        <p role="status">
          {saving.value
            ? 'Saving…'
            : editConflict.value
              ? 'Your last edit is not saved: someone else changed the same setting.'
              : draft === undefined
                ? 'No unpublished changes. Edits are saved to a draft.'
                : saying(app)}
        </p>
        {editConflict.value && (
          <button
            type="button"
            class="main"
            onClick={() => {
              isDeciding.value = true
            }}
          >
            Decide
          </button>
        )}
        {published && (
          <button type="button" onClick={() => void undo(published)}>
            Undo revision {published.revision}
          </button>
        )}
        {draft && !editConflict.value && (
          <div class="buttons">
            <button type="button" onClick={() => void discard()}>
              Discard
            </button>
            <a class="button main" href={linkTo('apps', app.appId, 'review')}>
              Review
            </a>
          </div>
        )}
      </div>
    </section>
  )
}

/** Makes the discarded edits again. Those of a stale draft would also revert what somebody has published since. */
function undoOf({ appId, policy }: AppView, { policy: discarded, stale }: DraftView): Message['action'] {
  if (stale) return undefined
  const edits = editsBetween(policy, discarded)
  const run = async (): Promise<void> => {
    if (await edit((now) => withEdits(now, edits))) tell('The edits are back in the draft.')
  }
  return { label: 'Undo', appId, run: () => void run() }
}

function saying({ draft, score, highestScore }: AppView): string {
  if (draft === undefined) return ''
  const sections = new Set(draft.changes.map(({ path }) => path.split('.')[0]))
  const parts = [
    `${count(draft.changes.length, 'change')} in ${count(sections.size, 'section')}`,
    scoreChange([score, highestScore], [draft.score, draft.highestScore]),
    ...(draft.stale ? ['someone else has published since'] : []),
  ]
  return parts.join(' · ')
}

type ScoreOf = readonly [score: number, highest: number]

function scoreChange(before: ScoreOf, after: ScoreOf): string {
  const [from, to] = [scoreWords(...before), scoreWords(...after)]
  return from === to ? `score ${from}` : `score ${from} → ${to}`
}
