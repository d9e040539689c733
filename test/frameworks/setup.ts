import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository, run } from '../support/commands.ts'

const folder = join(repository, 'test', 'frameworks')

/** Installs what the lock of this folder names, where that is missing or of an earlier lock. */
export default async function setup(): Promise<void> {
  if (isInstalled()) return
  const installed = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    cwd: folder,
    timeout: 300_000,
  })
  if (!installed.succeeded) throw new Error(`test/frameworks cannot be installed: ${installed.output}`)
}

type Lock = { readonly packages: Readonly<Record<string, { readonly version?: string }>> }

function isInstalled(): boolean {
  const kept = join(folder, 'node_modules', '.package-lock.json')
  if (!existsSync(kept)) return false
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  const { packages } = JSON.parse(readFileSync(kept, 'utf8')) as Lock
  return Object.entries(dependencies).every(
    ([name, version]) => packages[`node_modules/${name}`]?.version === version,
  )
}
