import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { repository, run } from '../support/commands.ts'

const folder = join(repository, 'test', 'frameworks')

/** Installs the packages in the lock file of this folder if they are missing. */
export default async function setup(): Promise<void> {
  const lock = join(folder, 'node_modules', '.package-lock.json')
  if (existsSync(lock)) return
  const installed = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    timeout: 300_000,
  })
  if (!installed.succeeded) throw new Error(`test/frameworks cannot be installed: ${installed.output}`)
}
