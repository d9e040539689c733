import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { announce, run } from './commands.ts'

const folder = join(process.cwd(), 'test/adapters')
const cache = join(process.cwd(), 'node_modules/.cache/portcullis')

type Adapter = 'serverless-http' | 'light-my-request' | '@codegenie/serverless-express'

/** A package of `test/adapters`, which has a lock of its own. The packages are installed where one is missing. */
export async function adapter(name: Adapter): Promise<unknown> {
  if (!isInstalled(name)) await install(name)
  return createRequire(join(folder, 'package.json'))(name) as unknown
}

function isInstalled(name: Adapter): boolean {
  return existsSync(join(folder, 'node_modules', name))
}

/** Puts the packages there in one step: another process that runs tests may do the same at this moment, or look for them. */
async function install(name: Adapter): Promise<void> {
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
      // Those of an earlier lock.
      if (existsSync(join(folder, 'node_modules')))
        renameSync(join(folder, 'node_modules'), join(copy, 'old'))
      renameSync(join(copy, 'node_modules'), join(folder, 'node_modules'))
    } catch (error) {
      // The other was faster.
      if (!isInstalled(name)) throw error
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}
