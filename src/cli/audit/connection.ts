import { readFile } from 'node:fs/promises'
import { auditLog } from '../../audit/log/audit-log.ts'
import type { AuditLog } from '../../audit/log/audit-log-contract.ts'
import type { FrameStore, StoredFrame } from '../../audit/log/frame-store.ts'
import { framesOf } from '../../audit/log/frames-of.ts'
import { people, type People } from '../../audit/people/people.ts'
import { readCheckpointFile } from '../../audit/proof/publishers.ts'
import { parseVerifierKey, type NoteKey } from '../../audit/proof/note.ts'
import { createAuditReader, type AuditReader } from '../../audit/reading/reader.ts'
import { archivedFrames } from '../../audit/retention/archive.ts'
import { UnavailableError } from '../../errors.ts'
import type { BytesClient, RedisClient } from '../../redis/client.ts'
import { redisFrames } from '../../redis/frames.ts'
import { redisPeople } from '../../redis/people.ts'
import { createVault } from '../../vault/vault.ts'
import {
  CommandUsageError,
  textOf,
  textsOf,
  type CommandRow,
  type ExitCode,
  type Invocation,
  type OptionRow,
} from '../command.ts'

/** Options that all commands of the audit have. Secrets come from the environment alone: arguments can be seen by others. */
export const LOG_OPTIONS = {
  redis: { type: 'string', value: 'URL', help: 'the server; default REDIS_URL' },
  prefix: { type: 'string', value: 'TEXT', help: 'the beginning of every key; default portcullis:' },
  archive: { type: 'string', value: 'DIRECTORY', help: 'older frames' },
  json: { type: 'boolean', help: 'writes JSON, one value a line' },
} as const satisfies Record<string, OptionRow>

/** Options of commands that show or change something: each use is an event. */
export const WATCHED_OPTIONS = {
  actor: { type: 'string', value: 'NAME', help: 'who asks; default: the user of the system' },
  purpose: { type: 'string', value: 'TEXT', help: 'why; it is recorded' },
} as const satisfies Record<string, OptionRow>

export const CHECKPOINT_OPTIONS = {
  checkpoints: { type: 'string', value: 'FILE', help: 'the published checkpoints' },
  key: {
    type: 'string',
    multiple: true,
    value: 'KEY',
    help: 'a key that may sign them: name+hash+key, or a file with it',
  },
} as const satisfies Record<string, OptionRow>

/** What a command works with. */
export interface Connection {
  readonly redis: BytesClient & RedisClient
  readonly store: FrameStore
  readonly people: People | undefined
  /** Where commands record what they do. */
  readonly log: AuditLog
  reader(): AuditReader
  pseudonymKey(): Uint8Array
  close(): Promise<void>
}

type OpenedClient = BytesClient &
  RedisClient & {
    connect(): Promise<void>
    on(event: 'error', listener: () => void): unknown
    disconnect(): void
  }

/** Connects to the log that the options name. */
export async function connect(invocation: Invocation): Promise<Connection> {
  const { values, env } = invocation
  const url = textOf(values, 'redis') ?? env['REDIS_URL']
  if (url === undefined) throw new CommandUsageError('`--redis` is missing, and REDIS_URL is not set')
  const redis = await openRedis(url)
  const prefix = textOf(values, 'prefix')
  const named = prefix === undefined ? {} : { prefix }
  const store = redisFrames(redis, { ...named, settlesAfter: 0 })
  const vaultKey = secretOf(env, 'PORTCULLIS_VAULT_KEY')
  const vaultId = env['PORTCULLIS_VAULT_KEY_ID'] ?? 'default'
  const own =
    vaultKey === undefined
      ? undefined
      : people({
          store: redisPeople(redis, named),
          vault: createVault({ keys: [{ id: vaultId, key: vaultKey }] }),
        })
  const frameKey = secretOf(env, 'PORTCULLIS_FRAME_KEY')
  const log = auditLog({
    store,
    storeTimeout: 5_000,
    ...(own === undefined ? {} : { people: own }),
    ...(frameKey === undefined ? {} : { frameKey }),
  })
  const pseudonymKey = (): Uint8Array => {
    const key = secretOf(env, 'PORTCULLIS_PSEUDONYM_KEY')
    if (key === undefined)
      throw new CommandUsageError(
        'PORTCULLIS_PSEUDONYM_KEY is not set: it is the `pseudonymKey` of `auditAccess` in base64',
      )
    return key
  }
  const archive = textOf(values, 'archive')
  return {
    redis,
    store,
    people: own,
    log,
    pseudonymKey,
    reader: () => {
      const key = secretOf(env, 'PORTCULLIS_PSEUDONYM_KEY')
      return createAuditReader({
        store,
        sink: log,
        actor: textOf(values, 'actor') ?? env['USER'] ?? 'command line',
        ...(own === undefined ? {} : { people: own }),
        ...(key === undefined ? {} : { pseudonymKey: key }),
        ...(archive === undefined ? {} : { archive }),
      })
    },
    async close() {
      await log.close().finally(() => redis.disconnect())
    },
  }
}

async function openRedis(url: string): Promise<OpenedClient> {
  let make: (url: string, options: object) => OpenedClient
  try {
    const { Redis } = await import('ioredis')
    make = (given, options) => new Redis(given, options)
  } catch {
    throw new CommandUsageError('the package `ioredis` is not installed, which this command needs')
  }
  const redis = make(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    connectTimeout: 5_000,
  })
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    return redis
  } catch {
    redis.disconnect()
    // The URL may hold a password.
    throw new UnavailableError('Redis cannot be reached')
  }
}

/** A secret of the environment, in base64. */
export function secretOf(env: Invocation['env'], name: string): Uint8Array | undefined {
  const text = env[name]
  if (text === undefined || text === '') return undefined
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length >= 32 && bytes.toString('base64').replace(/={1,2}$/, '') === text.replace(/={1,2}$/, ''))
    return new Uint8Array(bytes)
  throw new CommandUsageError(`${name} must be at least 32 bytes in base64`)
}

/** The checkpoints and keys that the options name. */
export async function checkpointsOf({ values }: Invocation): Promise<{
  readonly checkpoints: readonly string[]
  readonly keys: readonly NoteKey[]
}> {
  const path = textOf(values, 'checkpoints')
  const keys = await Promise.all(textsOf(values, 'key').map(keyOf))
  if (path === undefined) return { checkpoints: [], keys }
  if (keys.length === 0) throw new CommandUsageError('`--checkpoints` needs `--key`')
  try {
    return { checkpoints: await readCheckpointFile(path), keys }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new CommandUsageError(`there is no file \`${path}\``)
    throw error
  }
}

async function keyOf(text: string): Promise<NoteKey> {
  const line = text.includes('+') ? text : (await readFile(text, 'utf8').catch(() => '')).trim()
  const key = parseVerifierKey(line)
  if (key === undefined)
    throw new CommandUsageError('`--key` must be a key as `name+hash+key`, or a file with one')
  return key
}

/** Runs a command with a connection, which is closed however it ends. */
export function withLog(
  act: (invocation: Invocation, log: Connection) => Promise<ExitCode>,
): CommandRow['run'] {
  return async (invocation) => {
    const connection = await connect(invocation)
    try {
      return await act(invocation, connection)
    } finally {
      await connection.close()
    }
  }
}

export const isJson = ({ values }: Invocation): boolean => values['json'] === true

/** The frames of archive and store. */
export async function* allFrames(invocation: Invocation, { store }: Connection): AsyncGenerator<StoredFrame> {
  const archive = textOf(invocation.values, 'archive')
  if (archive !== undefined) yield* archivedFrames(archive)
  yield* framesOf(store)
}
