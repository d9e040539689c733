import { isPortcullisError, type PolicyError } from '../../errors.ts'
import { diffPolicies } from '../../policy/diff.ts'
import { parsePolicy } from '../../policy/parse.ts'
import type { Policy } from '../../policy/policy.ts'
import { scorePolicy } from '../../policy/score.ts'
import { EXIT, numberOf, textOf, type Run } from '../command.ts'
import { sayIssue } from '../failure.ts'
import { readJson } from '../input.ts'
import { columns, counted, isJson, paint, plain, SCHEMA_VERSION, show, tell } from '../output.ts'
import { readApp, withStore } from '../store.ts'
import { changeLines } from './change-lines.ts'
import { policyAt, withPolicies } from './named-policy.ts'
import { isAsBadAs } from './severities.ts'

export const getPolicy = withStore(async (invocation, { store }) => {
  const { values, positionals, out } = invocation
  const [appId = ''] = positionals
  const asked = numberOf(values, 'revision', 1)
  const current = asked === undefined ? await readApp(store, appId) : undefined
  const policy = current?.policy ?? (await policyAt(store, appId, asked ?? 0))
  const revision = current?.revision ?? asked
  if (isJson(invocation)) await show(invocation, [], { appId, revision, policy })
  else await out(`${JSON.stringify(policy, null, 2)}\n`)
  tell(invocation, `revision ${revision ?? 0}`)
  return EXIT.ok
})

export const validatePolicies: Run = async (invocation) => {
  const { positionals, out } = invocation
  let refused = 0
  for (const file of positionals) {
    const document = await readJson(invocation, file)
    let issues: PolicyError['issues'] = []
    let appId: string | undefined
    try {
      const policy = parsePolicy(document)
      ;({ appId } = policy)
      issues = await brokenExpectations(policy)
    } catch (error) {
      if (!isPortcullisError(error) || error.code !== 'POLICY_INVALID') throw error
      ;({ issues } = error as PolicyError)
    }
    if (issues.length > 0) refused += 1
    if (isJson(invocation)) {
      const line = { schemaVersion: SCHEMA_VERSION, file, appId, valid: issues.length === 0, issues }
      await out(`${JSON.stringify(line)}\n`)
    } else {
      const verdict =
        issues.length === 0 ? paint(invocation, 'green', 'good') : paint(invocation, 'red', 'refused')
      await out(
        [`${file}: ${verdict}`, ...issues.map((issue) => `  ${plain(sayIssue(issue))}`), ''].join('\n'),
      )
    }
  }
  return refused === 0 ? EXIT.ok : EXIT.no
}

/** The expectations that the policy fails. If they depend on named lists, only the store can check them, during a write. */
async function brokenExpectations({ expect, ...policy }: Policy): Promise<PolicyError['issues']> {
  if (expect === undefined) return []
  const { tryExpectations } = await import('../../explain/expectations.ts')
  try {
    return tryExpectations({ ...policy, expect }).flatMap(({ holds, expected, got, reason }, index) =>
      holds ? [] : [{ path: `expect[${index}]`, message: `expects ${expected}, got ${got} (${reason})` }],
    )
  } catch (error) {
    if (isPortcullisError(error) && error.code === 'CONFIG_INVALID') return []
    throw error
  }
}

const COLOURS = { danger: 'red', warning: 'yellow', advice: 'dim' } as const

export const lintPolicyOf = withPolicies(async (invocation, reader) => {
  const { values, positionals } = invocation
  const limit = textOf(values, 'fail-on') ?? 'danger'
  const { document, revision } = await reader.read(positionals[0] ?? '')
  const { score, fixes } = scorePolicy(document)
  const lines = fixes.flatMap(({ severity, path, message, corrected, code }) => [
    `${paint(invocation, COLOURS[severity], severity)} ${plain(path)} ${plain(message)} (${code})`,
    ...(corrected === undefined ? [] : [`  write ${plain(corrected)}`]),
  ])
  await show(invocation, [...lines, `score ${score} of 100, ${counted(fixes.length, 'finding')}`], {
    appId: parsePolicy(document).appId,
    revision,
    score,
    findings: fixes,
  })
  return fixes.some(({ severity }) => isAsBadAs(severity, limit)) ? EXIT.no : EXIT.ok
})

export const diffPoliciesOf = withPolicies(async (invocation, reader) => {
  const [before = '', after = ''] = invocation.positionals
  const [old, young] = [await reader.read(before), await reader.read(after)]
  const changes = diffPolicies(old.document, young.document)
  await show(invocation, changeLines(invocation, changes), {
    before: { policy: before, revision: old.revision },
    after: { policy: after, revision: young.revision },
    same: changes.length === 0,
    changes,
  })
  if (changes.length === 0) tell(invocation, 'the policies mean the same')
  return changes.length === 0 ? EXIT.ok : EXIT.no
})

export const showHistory = withStore(async (invocation, { store }) => {
  const { values, positionals } = invocation
  const [appId = ''] = positionals
  const before = numberOf(values, 'before', 2)
  const limit = Math.min(numberOf(values, 'limit', 1) ?? 20, 1_000)
  const revisions = await store.history(appId, { limit, ...(before !== undefined && { before }) })
  const lines = columns(
    revisions.map(({ revision, at, author = '', note = '', policy, keysChanged }) => [
      String(revision),
      at,
      plain(author),
      [policy === undefined ? 'removed' : '', keysChanged ? 'keys changed' : '', plain(note)]
        .filter((part) => part !== '')
        .join(', '),
    ]),
  )
  await show(invocation, lines, {
    appId,
    revisions: revisions.map(({ policy, ...rest }) => ({ ...rest, removed: policy === undefined })),
  })
  if (revisions.length === 0) tell(invocation, `there are no revisions of the app \`${appId}\``)
  return revisions.length === 0 ? EXIT.no : EXIT.ok
})
