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
import { unavailable, type BytesClient, type RedisClient } from '../../redis/client.ts'
import { redisFrames } from '../../redis/frames.ts'
import { DEFAULT_PREFIX } from '../../redis/keyspace.ts'
import { redisPeople } from '../../redis/people.ts'
import { openRedis, redisUrlOf } from '../redis.ts'
import { readVault } from '../secrets.ts'
import {
  CommandDeniedError,
  CommandUsageError,
  textOf,
  textsOf,
  type ExitCode,
  type Invocation,
  type Run,
} from '../command.ts'

/** The objects that a command works with. */
export interface Connection {
  readonly redis: BytesClient & RedisClient
  readonly store: FrameStore
  readonly people: People | undefined
  /** The log in which commands record their use. */
  readonly log: AuditLog
  reader(): AuditReader
  pseudonymKey(): Uint8Array
  close(): Promise<void>
}

/** How long the store may take for one answer, in milliseconds. */
const STORE_TIMEOUT = 5_000

/** Connects to the log given by the options. */
export async function connect(invocation: Invocation): Promise<Connection> {
  const { values, env } = invocation
  const url = await redisUrlOf(invocation, textOf(values, 'redis'))
  if (url === undefined)
    throw new CommandUsageError('`--redis` is missing, and neither PORTCULLIS_REDIS_URL nor REDIS_URL is set')
  const redis = await openRedis(url)
  const prefix = textOf(values, 'prefix')
  const named = prefix === undefined ? {} : { prefix }
  const store = redisFrames(redis, { ...named, settlesAfter: 0 })
  const vault = await readVault(invocation)
  // A command may wait longer than a request, because nobody else waits for it.
  const own = vault && people({ store: redisPeople(redis, named), vault, timeout: STORE_TIMEOUT })
  const frameKey = secretOf(env, 'PORTCULLIS_FRAME_KEY')
  const log = auditLog({
    store,
    storeTimeout: STORE_TIMEOUT,
    ...(own === undefined ? {} : { people: own }),
    ...(frameKey === undefined ? {} : { frameKey }),
  })
  const pseudonymKey = (): Uint8Array => {
    const key = secretOf(env, 'PORTCULLIS_PSEUDONYM_KEY')
    if (key === undefined)
      throw new CommandUsageError(
        'PORTCULLIS_PSEUDONYM_KEY is not set: set it to the `pseudonymKey` of `auditAccess`, in base64',
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

/** A secret from the environment, in base64. */
export function secretOf(env: Invocation['env'], name: string): Uint8Array | undefined {
  const text = env[name]
  if (text === undefined || text === '') return undefined
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length >= 32 && bytes.toString('base64').replace(/={1,2}$/, '') === text.replace(/={1,2}$/, ''))
    return new Uint8Array(bytes)
  throw new CommandUsageError(`${name} must be at least 32 bytes in base64`)
}

/** The checkpoints and keys given by the options. */
export async function checkpointsOf({ values }: Invocation): Promise<{
  readonly checkpoints: readonly string[]
  readonly keys: readonly NoteKey[]
}> {
  const path = textOf(values, 'checkpoints')
  const keys = await Promise.all(textsOf(values, 'key').map(keyOf))
  if (path === undefined) return { checkpoints: [], keys }
  if (keys.length === 0)
    throw new CommandUsageError('`--checkpoints` needs `--key`: the key that signs the checkpoints')
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
    throw new CommandUsageError(
      '`--key` must be a verifier key such as `name+hash+key`, or a file that contains one',
    )
  return key
}

/**
 * Runs a command with a connection, and closes it in any case. `records`: the use is recorded as an event. Without the right to
 * write, the log would retry forever, so the right is checked first.
 */
export function withLog(
  act: (invocation: Invocation, log: Connection) => Promise<ExitCode>,
  { records = true }: { readonly records?: boolean } = {},
): Run {
  return async (invocation) => {
    const connection = await connect(invocation)
    try {
      if (records) await checkWriting(connection.redis, textOf(invocation.values, 'prefix') ?? DEFAULT_PREFIX)
      return await act(invocation, connection)
    } finally {
      await connection.close()
    }
  }
}

async function checkWriting(redis: RedisClient, prefix: string): Promise<void> {
  try {
    // With NOMKSTREAM, no stream is created, so nothing is written.
    await redis.call('XADD', `${prefix}{audit}:rights`, 'NOMKSTREAM', '*', 'may', 'write')
  } catch (error) {
    if (!(error as Error).message.startsWith('NOPERM')) throw unavailable(error, 'XADD')
    throw new CommandDeniedError('the Redis user may not write: every use of the audit log is recorded in it')
  }
}

/** The frames of the archive and the store. */
export async function* allFrames(invocation: Invocation, { store }: Connection): AsyncGenerator<StoredFrame> {
  const archive = textOf(invocation.values, 'archive')
  if (archive !== undefined) yield* archivedFrames(archive)
  yield* framesOf(store)
}
