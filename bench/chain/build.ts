/** Builds the package once, and loads it as users do. */
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

/** The path of a built entry that `import` loads: in Node (`node`), or with a bundler (`esm`). */
export function builtDoor(door: Door, by: 'node' | 'esm' = 'node'): string {
  return join(root, 'dist', by, `${door}.js`)
}

export async function build(): Promise<void> {
  const child = spawn('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error('the sources do not compile')
}

/** The environment variable with the URL of the benchmark's Redis. */
export const REDIS_URL = 'PORTCULLIS_BENCH_REDIS'

/** The environment variable that makes servers load the sources, whose functions have readable names. */
export const FROM_SOURCES = 'PORTCULLIS_BENCH_SOURCES'

/** Loads the built package, or its sources if `FROM_SOURCES` is set. */
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
