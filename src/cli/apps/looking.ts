import { parsePolicy } from '../../policy/parse.ts'
import type { Policy } from '../../policy/policy.ts'
import { scorePolicy } from '../../policy/score.ts'
import { GUARD_NAMES } from '../../policy/sections.ts'
import { EXIT, numberOf, textOf } from '../command.ts'
import { keyLines } from '../keys/lines.ts'
import { columns, isJson, plain, SCHEMA_VERSION, show } from '../output.ts'
import { readApp, withStore } from '../store.ts'

/** A summary of a policy that may be invalid: its name, and the mode of each guard. */
function summaryOf(policy: unknown): {
  readonly name: string | undefined
  readonly score: number | undefined
  readonly modes: Readonly<Record<string, string>>
} {
  let parsed: Policy
  try {
    parsed = parsePolicy(policy)
  } catch {
    return { name: undefined, score: undefined, modes: {} }
  }
  const modes = Object.fromEntries(GUARD_NAMES.map((guard) => [guard, parsed[guard]?.mode ?? 'missing']))
  return { name: parsed.name, score: scorePolicy(policy).score, modes }
}

export const listApps = withStore(async (invocation, { store }) => {
  const { values, out, signal } = invocation
  const most = numberOf(values, 'limit', 1) ?? Infinity
  let after = textOf(values, 'after')
  let count = 0
  do {
    const page = await store.list({ after, limit: Math.min(most - count, 200) })
    const rows = page.apps.map((app) => ({ ...app, ...summaryOf(app.policy) }))
    const lines = isJson(invocation)
      ? rows.map(({ appId, name, revision, score, modes }) =>
          JSON.stringify({ schemaVersion: SCHEMA_VERSION, appId, name, revision, score, modes }),
        )
      : columns(
          rows.map(({ appId, name = '', revision, score }) => [
            appId,
            `revision ${revision}`,
            score === undefined ? 'policy invalid' : `score ${score}`,
            plain(name),
          ]),
        )
    if (lines.length > 0) await out(`${lines.join('\n')}\n`)
    count += rows.length
    after = page.next
  } while (after !== undefined && count < most && !signal.aborted)
  if (count === 0) invocation.error('there are no apps\n')
  return count === 0 ? EXIT.no : EXIT.ok
})

export const showApp = withStore(async (invocation, { store }) => {
  const [appId = ''] = invocation.positionals
  const { policy, revision } = await readApp(store, appId)
  const keys = (await store.keys(appId)) ?? []
  const { name, score, modes } = summaryOf(policy)
  const lines = [
    ...columns([
      ['app', appId],
      ...(name === undefined ? [] : [['name', plain(name)]]),
      ['revision', String(revision)],
      ['score', score === undefined ? 'the policy is invalid: see `policy validate`' : `${score} of 100`],
      ...Object.entries(modes),
    ]),
    ...(keys.length === 0 ? ['no keys'] : ['keys', ...keyLines(keys).map((line) => `  ${line}`)]),
  ]
  await show(invocation, lines, { appId, name, revision, score, modes, keys, policy })
  return EXIT.ok
})
