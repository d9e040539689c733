import { isPortcullisError, RevisionConflict } from '../../errors.ts'
import type { Verdict } from '../../policy/compare/compare.ts'
import { diffPolicies, type PolicyChange } from '../../policy/diff.ts'
import { parsePolicy } from '../../policy/parse.ts'
import type { ChangeNote } from '../../store/change-note.ts'
import type { StoredList } from '../../store/list-contract.ts'
import type { StoredApp, WriteCheck } from '../../store/contract.ts'
import type { Surroundings } from '../command.ts'
import { counted, paint, plain } from '../output.ts'
import type { CommandStore, OpenedStore } from '../store.ts'
import { changeLines } from './change-lines.ts'
import type { PolicyFile } from './files.ts'

/** The change of one app. */
export interface PlannedChange {
  readonly action: 'create' | 'update' | 'remove'
  readonly appId: string
  /** The revision that it replaces; 0 for a new app. */
  readonly replaces: number
  /** The document; left out if the app is removed. */
  readonly policy?: unknown
  readonly changes: readonly PolicyChange[]
  /** How the new policy compares to the old one. */
  readonly verdict: Verdict
  /** The verdict as a sentence, with the smallest request whose decision changes. */
  readonly sentence: string
  /** Why the store would refuse it: it fails one of its own expectations. */
  readonly broken?: string | undefined
}

export interface Plan {
  readonly changes: readonly PlannedChange[]
  /** The revisions of the apps whose files have the same meaning as the stored policies. */
  readonly unchanged: ReadonlyMap<string, number>
}

/** The changes that the files would make. */
export async function planFor(
  { store, check }: Pick<OpenedStore, 'store' | 'check'>,
  files: readonly PolicyFile[],
  removed: readonly string[] = [],
): Promise<Plan> {
  const changes: PlannedChange[] = []
  const unchanged = new Map<string, number>()
  const { compareStoredPolicies } = await import('../../explain/compare-policies.ts')
  const lists = (name: string): Promise<StoredList | undefined> => store.readList(name)
  const plan = async (
    action: PlannedChange['action'],
    appId: string,
    stored: StoredApp | undefined,
    document: unknown,
  ): Promise<void> => {
    const {
      verdict,
      sentence,
      changes: differences,
    } = await compareStoredPolicies(stored?.policy, document, { lists })
    const isNew = action !== 'update'
    changes.push({
      action,
      appId,
      replaces: stored?.revision ?? 0,
      ...(document !== undefined && { policy: document }),
      changes: isNew ? [] : differences,
      verdict,
      sentence,
      ...(document !== undefined && { broken: await brokenBy(check, document) }),
    })
  }
  for (const { appId, document } of files) {
    const stored = await store.read(appId)
    if (stored !== undefined && diffPolicies(stored.policy, document).length === 0)
      unchanged.set(appId, stored.revision)
    else await plan(stored === undefined ? 'create' : 'update', appId, stored, document)
  }
  for (const appId of removed) {
    const stored = await store.read(appId)
    if (stored !== undefined) await plan('remove', appId, stored, undefined)
  }
  return { changes, unchanged }
}

/** Which expectations a policy fails, as a sentence. */
async function brokenBy(check: WriteCheck, document: unknown): Promise<string | undefined> {
  try {
    await check(parsePolicy(document))
    return undefined
  } catch (error) {
    if (isPortcullisError(error) && error.code === 'EXPECTATION_BROKEN') return error.message
    throw error
  }
}

/** The ids of all apps in the store. */
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
 * Writes all changes. Checks every app first, so that a change by somebody else stops it before the first write.
 *
 * @throws RevisionConflict
 */
export async function carryOut(
  { store, check }: Pick<OpenedStore, 'store' | 'check'>,
  planned: readonly PlannedChange[],
  note: ChangeNote,
  written: (change: PlannedChange, revision: number) => void,
): Promise<void> {
  for (const { appId, replaces, policy } of planned) {
    if (policy !== undefined) await check(parsePolicy(policy))
    const actual = (await store.read(appId))?.revision ?? 0
    if (actual !== replaces) throw new RevisionConflict(appId, replaces, actual)
  }
  for (const change of planned) {
    const { action, appId, replaces, policy } = change
    if (action === 'remove') {
      await store.remove(appId, replaces, note)
      written(change, 0)
    } else written(change, await store.write({ policy }, replaces, note, { check }))
  }
}

const COLOURS = { create: 'green', update: 'yellow', remove: 'red' } as const

/** A plan for people. */
export function planLines(surroundings: Surroundings, planned: readonly PlannedChange[]): string[] {
  return [
    ...planned.flatMap(({ action, appId, replaces, changes, verdict, sentence, broken }) => [
      `${paint(surroundings, COLOURS[action], action)} ${appId}${replaces === 0 ? '' : ` at revision ${replaces}`}`,
      ...changeLines(surroundings, changes).map((line) => `  ${line}`),
      plain(`  ${verdict}: ${sentence}`),
      ...(broken === undefined ? [] : [`  ${paint(surroundings, 'red', plain(`refused: ${broken}`))}`]),
    ]),
    planned.length === 0 ? 'nothing would change' : `${counted(planned.length, 'app')} would change`,
  ]
}
