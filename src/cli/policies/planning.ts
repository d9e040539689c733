import { writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CommandUsageError, EXIT, isSet, textOf } from '../command.ts'
import { readJson } from '../input.ts'
import { nextCommand } from '../next-command.ts'
import { counted, SCHEMA_VERSION, show, tell } from '../output.ts'
import { noteOf, withStore } from '../store.ts'
import { readPolicyFiles } from './files.ts'
import { allAppIds, carryOut, planFor, planLines, type PlannedChange } from './plan.ts'

export const planPolicies = withStore(async (invocation, opened) => {
  const { values, positionals, directory } = invocation
  const { store, place } = opened
  const files = await readPolicyFiles(invocation, positionals)
  const kept = new Set(files.map(({ appId }) => appId))
  const removed = isSet(values, 'prune') ? (await allAppIds(store)).filter((appId) => !kept.has(appId)) : []
  const { changes } = await planFor(opened, files, removed)
  const out = textOf(values, 'out')
  const plan = { place, changes }
  if (out !== undefined) {
    const text = `${JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...plan }, null, 2)}\n`
    await writeFile(resolve(directory, out), text)
    tell(
      invocation,
      `wrote the plan to ${out}; to carry it out: ${nextCommand(invocation, `policy apply ${out}`)}`,
    )
  }
  await show(invocation, planLines(invocation, changes), plan)
  const limit = textOf(values, 'fail-on')
  const isWider = changes.some(({ verdict }) => verdict === 'wider' || verdict === 'both')
  const isNo = limit === 'changes' ? changes.length > 0 : limit === 'wider' && isWider
  return isNo || changes.some(({ broken }) => broken !== undefined) ? EXIT.no : EXIT.ok
})

export const applyPlan = withStore(async (invocation, opened) => {
  const [path = ''] = invocation.positionals
  const { place } = opened
  const plan = checkedPlan(await readJson(invocation, path), path)
  if (plan.place !== place)
    throw new CommandUsageError(`the plan was made for the store ${plan.place}, but this store is ${place}`)
  const done: { appId: string; action: string; revision: number }[] = []
  await carryOut(opened, plan.changes, noteOf(invocation), ({ appId, action }, revision) => {
    done.push({ appId, action, revision })
    tell(invocation, action === 'remove' ? `removed ${appId}` : `${appId} is at revision ${revision}`)
  })
  await show(invocation, [`${counted(done.length, 'app')} changed`], { applied: done })
  return EXIT.ok
})

interface StoredPlan {
  readonly place: string
  readonly changes: readonly PlannedChange[]
}

/** Checks only the form of a plan. The store checks the policies. */
function checkedPlan(value: unknown, path: string): StoredPlan {
  const { schemaVersion, place, changes } = (value ?? {}) as Partial<StoredPlan> & {
    readonly schemaVersion?: unknown
  }
  const isGood =
    schemaVersion === SCHEMA_VERSION &&
    typeof place === 'string' &&
    Array.isArray(changes) &&
    changes.every(
      ({ action, appId, replaces, policy }: Partial<PlannedChange>) =>
        typeof appId === 'string' &&
        Number.isSafeInteger(replaces) &&
        (action === 'remove' || ((action === 'create' || action === 'update') && idIn(policy) === appId)),
    )
  if (isGood) return { place, changes }
  throw new CommandUsageError(`\`${path}\` must be a plan written by \`portcullis policy plan --out\``)
}

function idIn(policy: unknown): unknown {
  return (policy as { readonly appId?: unknown } | undefined)?.appId
}
