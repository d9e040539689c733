import { CommandUsageError, EXIT, numberOf, textOf, type Invocation } from '../command.ts'
import { confirm, readJson } from '../input.ts'
import { nextCommand } from '../next-command.ts'
import { show, tell } from '../output.ts'
import { noteOf, readApp, withStore } from '../store.ts'

/** The first policy of an app. */
export async function documentOfApp(
  invocation: Invocation,
): Promise<{ readonly appId: string; readonly name?: string }> {
  const { values, positionals } = invocation
  const [appId = ''] = positionals
  const [name, path] = [textOf(values, 'name'), textOf(values, 'policy')]
  const given = path === undefined ? {} : await readJson(invocation, path)
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new CommandUsageError(`\`${path ?? ''}\` must contain a policy as a JSON object`)
  const stated = (given as { readonly appId?: unknown }).appId
  if (stated !== undefined && stated !== appId)
    throw new CommandUsageError(`the policy is for another app than \`${appId}\``)
  return { ...given, appId, ...(name !== undefined && { name }) }
}

export const createApp = withStore(
  async (invocation, { store, place, check }) => {
    const policy = await documentOfApp(invocation)
    const { appId } = policy
    const revision = await store.write({ policy }, 0, noteOf(invocation), { check })
    await show(invocation, [`${appId} is at revision ${revision}`], { appId, revision, place })
    if (textOf(invocation.values, 'policy') === undefined)
      tell(
        invocation,
        `the policy is empty, so every guard refuses the app's requests\n` +
          `next:\n  ${nextCommand(invocation, `policy edit ${appId}`)}\n  ${nextCommand(invocation, `key create ${appId}`)}`,
      )
    return EXIT.ok
  },
  { create: true },
)

export const deleteApp = withStore(async (invocation, { store }) => {
  const [appId = ''] = invocation.positionals
  const revision = numberOf(invocation.values, 'if-revision', 1) ?? (await readApp(store, appId)).revision
  const isSure = await confirm(
    invocation,
    `This removes the app \`${appId}\` and its keys. All its requests will be refused.`,
    appId,
  )
  if (!isSure) return EXIT.no
  await store.remove(appId, revision, noteOf(invocation))
  await show(invocation, [`removed ${appId}`], { appId, removed: true })
  return EXIT.ok
})
