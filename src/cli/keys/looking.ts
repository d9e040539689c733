import { EXIT } from '../command.ts'
import { nextCommand } from '../next-command.ts'
import { show, tell } from '../output.ts'
import { readApp, withStore } from '../store.ts'
import { keyLines } from './lines.ts'

export const listKeysOfApp = withStore(async (invocation, { store }) => {
  const [appId = ''] = invocation.positionals
  const keys = (await store.keys(appId)) ?? ((await readApp(store, appId)) && [])
  await show(invocation, keyLines(keys), { appId, keys })
  if (keys.length === 0)
    tell(
      invocation,
      `the app \`${appId}\` has no keys: create one with \`${nextCommand(invocation, `key create ${appId}`)}\``,
    )
  return keys.length === 0 ? EXIT.no : EXIT.ok
})
