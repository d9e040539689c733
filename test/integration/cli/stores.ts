import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { portcullis, wordsOf, type Ended, type Surrounding } from '../../support/command-line.ts'
import { freshPrefix, sharedRedisUrl } from '../../support/redis.ts'

/** A store for one test, and a way to run commands with it. */
export interface Place {
  readonly env: Readonly<Record<string, string>>
  /** The options that select the store. */
  readonly options: readonly string[]
  readonly directory: string
  /** Runs a line with the options that select the store, unless the line does. */
  run(line: string, more?: Surrounding, named?: boolean): Promise<Ended>
  remove(): Promise<void>
}

export const KINDS = ['file', 'Redis'] as const

export function makePlace(kind: (typeof KINDS)[number]): Place {
  const directory = mkdtempSync(join(tmpdir(), 'portcullis-cli-'))
  const options = kind === 'file' ? ['--store', 'file:store'] : ['--prefix', freshPrefix()]
  const env = {
    USER: 'tester',
    PORTCULLIS_VAULT_KEY: randomBytes(32).toString('base64'),
    ...(kind === 'Redis' && { PORTCULLIS_REDIS_URL: sharedRedisUrl() }),
  }
  return {
    env,
    options,
    directory,
    run: (line, more = {}, named = true) =>
      portcullis([...wordsOf(line), ...(named ? options : [])], {
        directory,
        ...more,
        env: { ...env, ...more.env },
      }),
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
