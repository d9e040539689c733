import { diffPolicies } from '../../policy/diff.ts'
import { lintPolicy } from '../../policy/lint.ts'
import { rollbackPolicy } from '../../store/rollback.ts'
import { CommandUsageError, EXIT, numberOf, requiredText, textOf } from '../command.ts'
import { confirm, readJson } from '../input.ts'
import { counted, plain, show, tell } from '../output.ts'
import { noteOf, readApp, withStore } from '../store.ts'
import { changeLines } from './change-lines.ts'
import { appIdOf } from './named-policy.ts'
import { isAsBadAs } from './severities.ts'

export const setPolicy = withStore(async (invocation, { store, check }) => {
  const { values, positionals } = invocation
  const [path = ''] = positionals
  const policy = await readJson(invocation, path)
  const appId = appIdOf(policy, path)
  const limit = textOf(values, 'fail-on')
  if (limit !== undefined) {
    const found = lintPolicy(policy).filter(({ severity }) => isAsBadAs(severity, limit))
    if (found.length > 0) {
      for (const { severity, path: at, message } of found)
        invocation.error(`${severity} ${plain(at)} ${plain(message)}\n`)
      invocation.error(`${counted(found.length, 'finding')}: nothing was written\n`)
      return EXIT.no
    }
  }
  const stored = await store.read(appId)
  const replaces = numberOf(values, 'if-revision', 0) ?? stored?.revision ?? 0
  const changes = diffPolicies(stored?.policy, policy)
  // If another revision is given, the store is called, and refuses the write.
  if (stored !== undefined && changes.length === 0 && replaces === stored.revision) {
    await show(invocation, [`${appId} stays at revision ${replaces}`], {
      appId,
      revision: replaces,
      changed: false,
      changes,
    })
    return EXIT.ok
  }
  const revision = await store.write({ policy }, replaces, noteOf(invocation), { check })
  for (const line of changeLines(invocation, changes)) tell(invocation, line)
  await show(invocation, [`${appId} is at revision ${revision}`], { appId, revision, changed: true, changes })
  return EXIT.ok
})

export const rollback = withStore(async (invocation, { store, check }) => {
  const { values, positionals } = invocation
  const [appId = ''] = positionals
  requiredText(values, 'to')
  const to = numberOf(values, 'to', 1) ?? 0
  const current = await store.read(appId)
  const replaces = numberOf(values, 'if-revision', 0) ?? current?.revision ?? 0
  if (current?.revision === to)
    throw new CommandUsageError(`revision ${to} is the current revision: there is nothing to roll back`)
  const isSure = await confirm(invocation, `This restores the policy of \`${appId}\` to revision ${to}.`)
  if (!isSure) return EXIT.no
  const revision = await rollbackPolicy(store, appId, { to, replaces, check, ...noteOf(invocation) })
  const { policy } = await readApp(store, appId)
  const changes = diffPolicies(current?.policy, policy)
  for (const line of changeLines(invocation, changes)) tell(invocation, line)
  await show(invocation, [`${appId} is at revision ${revision}, with the policy of revision ${to}`], {
    appId,
    revision,
    to,
    changes,
  })
  return EXIT.ok
})
