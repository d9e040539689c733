import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { announce, run } from './commands.ts'

const folder = join(process.cwd(), 'test/adapters')

/** A package of `test/adapters`, which has a lock of its own. The packages are installed where they are missing. */
export async function adapter(name: 'serverless-http' | 'light-my-request'): Promise<unknown> {
  if (!existsSync(join(folder, 'node_modules', name))) {
    announce('the adapters for the tests are not here: trying npm ci in test/adapters')
    const { succeeded, output } = await run('npm', ['ci', '--no-audit', '--no-fund', '--prefix', folder], {
      timeout: 300_000,
    })
    if (!succeeded)
      throw new Error(`The tests need the packages of test/adapters: run npm ci there.\n${output}`)
  }
  return createRequire(join(folder, 'package.json'))(name) as unknown
}
