/** The package as users get it, built once. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type * as Audit from 'portcullis/audit'
import type { Tools } from './variants.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Where a door of the package stands once it is built. */
export function builtDoor(door: 'index' | 'audit/index'): string {
  return join(root, 'dist', 'esm', `${door}.js`)
}

export async function build(): Promise<void> {
  const child = spawn('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error('the sources do not compile')
}

/** Names the Redis of the benchmark to its servers. */
export const REDIS_URL = 'PORTCULLIS_BENCH_REDIS'

/** What a server mounts: the built package, and never the sources that the benchmark itself runs from. */
export async function readTools(): Promise<Tools> {
  const load = (door: Parameters<typeof builtDoor>[0]): Promise<unknown> =>
    import(pathToFileURL(builtDoor(door)).href)
  const portcullis = (await load('index')) as Tools['portcullis']
  const { serialiseEvent } = (await load('audit/index')) as typeof Audit
  return { portcullis, serialise: serialiseEvent, redisUrl: process.env[REDIS_URL] ?? '' }
}
