import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { announce, run } from './commands.ts'

const folder = join(process.cwd(), 'test/adapters')
const cache = join(process.cwd(), 'node_modules/.cache/portcullis')

/** Loads a package of `test/adapters`, which has its own lock file. Installs the packages if they are missing. */
export async function adapter(name: 'serverless-http' | 'light-my-request'): Promise<unknown> {
  if (!existsSync(join(folder, 'node_modules'))) await install()
  return createRequire(join(folder, 'package.json'))(name) as unknown
}

/**
 * Installs the packages in one atomic step, because another test process may do the same at this moment, or use them.
 */
async function install(): Promise<void> {
  announce('the adapters for the tests are not here: trying npm ci in test/adapters')
  mkdirSync(cache, { recursive: true })
  const copy = mkdtempSync(join(cache, 'adapters-'))
  try {
    for (const name of ['package.json', 'package-lock.json']) cpSync(join(folder, name), join(copy, name))
    const { succeeded, output } = await run('npm', ['ci', '--no-audit', '--no-fund', '--prefix', copy], {
      timeout: 300_000,
    })
    if (!succeeded)
      throw new Error(`The tests need the packages of test/adapters: run npm ci there.\n${output}`)
    try {
      renameSync(join(copy, 'node_modules'), join(folder, 'node_modules'))
    } catch (error) {
      // Another process was faster.
      if (!existsSync(join(folder, 'node_modules'))) throw error
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}
