/** The package as users get it, built once. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { Redis } from 'ioredis'
import type * as Audit from 'portcullis/audit'
import type * as OnRedis from 'portcullis/redis'
import type { Tools } from './variants.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

type Door = 'index' | 'audit' | 'redis'

/** The file of a built door that `import` gets: in Node (`node`), or from a bundler (`esm`). */
export function builtDoor(door: Door, by: 'node' | 'esm' = 'node'): string {
  return join(root, 'dist', by, `${door}.js`)
}

export async function build(): Promise<void> {
  const child = spawn('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error('the sources do not compile')
}

/** Names the Redis of the benchmark to its servers. */
export const REDIS_URL = 'PORTCULLIS_BENCH_REDIS'

/** Has the servers mount the sources, whose functions have names that can be read. */
export const FROM_SOURCES = 'PORTCULLIS_BENCH_SOURCES'

/** What a server mounts: the built package, or its sources where that is asked for. */
export async function readTools(): Promise<Tools> {
  const load = (door: Door): Promise<unknown> => {
    const source = join(root, 'src', door === 'index' ? 'index.ts' : `${door}/index.ts`)
    const file = process.env[FROM_SOURCES] === undefined ? builtDoor(door) : source
    return import(pathToFileURL(file).href)
  }
  const portcullis = (await load('index')) as Tools['portcullis']
  const { auditLog, serialiseEvent } = (await load('audit')) as typeof Audit
  const redisUrl = process.env[REDIS_URL] ?? ''
  return {
    portcullis,
    serialise: serialiseEvent,
    redisUrl,
    /** The audit log in Redis. */
    async log(options) {
      const { redisFrames } = (await load('redis')) as typeof OnRedis
      return auditLog({ store: redisFrames(new Redis(redisUrl)), ...options })
    },
  }
}
