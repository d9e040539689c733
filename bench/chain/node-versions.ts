/**
 * Versions of Node for measurements: the current one, and others from the registry, installed outside the repository.
 */
import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

export interface NodeVersion {
  readonly program: string
  readonly major: number
  readonly version: string
}

const run = promisify(execFile)

async function describe(program: string): Promise<NodeVersion> {
  const { stdout } = await run(program, ['--version'])
  const version = stdout.trim()
  return { program, version, major: Number(/^v(\d+)\./.exec(version)?.[1]) }
}

/** @param major The current version, or another one, which is installed if it is missing. */
export async function nodeVersion(major: number, say: (text: string) => void): Promise<NodeVersion> {
  const running = await describe(process.execPath)
  if (running.major === major) return running
  const folder = join(homedir(), '.cache', 'portcullis-bench', `node-${major}`)
  const program = join(folder, 'node_modules', 'node', 'bin', 'node')
  const found = await describe(program).catch(() => undefined)
  if (found?.major === major) return found
  say(`installing Node ${major} into ${folder}`)
  await mkdir(folder, { recursive: true })
  // The package's install script provides the program. npm 11 runs install scripts only of packages that are named.
  await writeFile(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, allowScripts: { node: true } }),
  )
  const options = ['--no-audit', '--no-fund', '--ignore-scripts=false']
  await run('npm', ['install', ...options, '--prefix', folder, `node@${major}`])
  return describe(program)
}
