import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { announce, repository, run } from '../support/commands.ts'

export const folder: string = join(repository, 'test', 'libraries')

/** Installs the packages in the lock file of this folder and generates the Prisma client, if they are missing. */
export default async function setup(): Promise<void> {
  const modules = join(folder, 'node_modules')
  const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  // Also after a pull that adds one.
  const isWhole = ['.package-lock.json', ...Object.keys(dependencies)].every((name) =>
    existsSync(join(modules, name)),
  )
  if (!isWhole) {
    announce('the libraries for the tests are not here: trying npm ci in test/libraries')
    await must('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'])
  }
  if (!existsSync(join(modules, '.prisma', 'client', 'schema.prisma')))
    await must(process.execPath, [
      join(modules, 'prisma', 'build', 'index.js'),
      'generate',
      '--schema',
      'schema.prisma',
    ])
}

async function must(program: string, args: readonly string[]): Promise<void> {
  // Prisma needs no engine to generate a client, but would still download one.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath, CHECKPOINT_DISABLE: '1' }
  const { succeeded, output } = await run(program, args, { cwd: folder, env, timeout: 300_000 })
  if (!succeeded) throw new Error(`test/libraries cannot be set up: ${output}`)
}
