import { RevisionConflict } from '../../errors.ts'
import { diffPolicies, type PolicyChange } from '../../policy/diff.ts'
import type { ChangeNote } from '../../store/change-note.ts'
import type { Surroundings } from '../command.ts'
import { counted, paint } from '../output.ts'
import type { CommandStore } from '../store.ts'
import { changeLines } from './change-lines.ts'
import type { PolicyFile } from './files.ts'

/** What happens to one app. */
export interface PlannedChange {
  readonly action: 'create' | 'update' | 'remove'
  readonly appId: string
  /** The revision that it replaces; 0 for a new app. */
  readonly replaces: number
  /** The document; left out where the app is removed. */
  readonly policy?: unknown
  readonly changes: readonly PolicyChange[]
}

export interface Plan {
  readonly changes: readonly PlannedChange[]
  /** The revisions of the apps whose files mean what is stored. */
  readonly unchanged: ReadonlyMap<string, number>
}

/** What the files would change. */
export async function planFor(
  store: CommandStore,
  files: readonly PolicyFile[],
  removed: readonly string[] = [],
): Promise<Plan> {
  const planned: PlannedChange[] = []
  const unchanged = new Map<string, number>()
  for (const { appId, document } of files) {
    const stored = await store.read(appId)
    const changes = diffPolicies(stored?.policy, document)
    if (stored === undefined)
      planned.push({ action: 'create', appId, replaces: 0, policy: document, changes })
    else if (changes.length > 0)
      planned.push({ action: 'update', appId, replaces: stored.revision, policy: document, changes })
    else unchanged.set(appId, stored.revision)
  }
  for (const appId of removed) {
    const stored = await store.read(appId)
    if (stored !== undefined)
      planned.push({ action: 'remove', appId, replaces: stored.revision, changes: [] })
  }
  return { changes: planned, unchanged }
}

/** The ids of all apps of the store. */
export async function allAppIds(store: CommandStore): Promise<readonly string[]> {
  const ids: string[] = []
  let after: string | undefined
  do {
    const page = await store.list({ after, limit: 1_000 })
    ids.push(...page.apps.map(({ appId }) => appId))
    after = page.next
  } while (after !== undefined)
  return ids
}

/**
 * Writes all changes, after a look at every app, so that a change of somebody else stops it before the first.
 *
 * @throws RevisionConflict
 */
export async function carryOut(
  store: CommandStore,
  planned: readonly PlannedChange[],
  note: ChangeNote,
  written: (change: PlannedChange, revision: number) => void,
): Promise<void> {
  for (const { appId, replaces } of planned) {
    const actual = (await store.read(appId))?.revision ?? 0
    if (actual !== replaces) throw new RevisionConflict(appId, replaces, actual)
  }
  for (const change of planned) {
    const { action, appId, replaces, policy } = change
    if (action === 'remove') {
      await store.remove(appId, replaces, note)
      written(change, 0)
    } else written(change, await store.write({ policy }, replaces, note))
  }
}

const COLOURS = { create: 'green', update: 'yellow', remove: 'red' } as const

/** A plan for people. */
export function planLines(surroundings: Surroundings, planned: readonly PlannedChange[]): string[] {
  return [
    ...planned.flatMap(({ action, appId, replaces, changes }) => [
      `${paint(surroundings, COLOURS[action], action)} ${appId}${replaces === 0 ? '' : ` at revision ${replaces}`}`,
      ...changeLines(surroundings, changes).map((line) => `  ${line}`),
    ]),
    planned.length === 0 ? 'nothing would change' : `${counted(planned.length, 'app')} would change`,
  ]
}
