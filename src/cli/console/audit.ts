import { appendFile, readFile, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { randomBytes } from 'node:crypto'
import type { AuditEvent } from '../../audit/event.ts'
import { parseEvent, serialiseEvent } from '../../audit/line.ts'
import { auditLog } from '../../audit/log/audit-log.ts'
import { people } from '../../audit/people/people.ts'
import { createAuditReader } from '../../audit/reading/reader.ts'
import { collect, recentLogEvents, MOST_LOOKED_AT } from '../../audit/reading/recent-events.ts'
import type { AuditSink } from '../../audit/sink.ts'
import type { ConsoleOptions } from '../../console/options.ts'
import { redisAuditSink } from '../../redis/audit-sink.ts'
import { redisFrames } from '../../redis/frames.ts'
import { redisPeople } from '../../redis/people.ts'
import { redisRecentEvents } from '../../redis/recent-events.ts'
import { secretOf } from '../audit/connection.ts'
import { CommandUsageError, textOf, type Invocation } from '../command.ts'
import { tell } from '../output.ts'
import type { OpenedStore } from '../store.ts'

/** The audit functions of the console. */
export interface ConsoleAudit extends Pick<
  ConsoleOptions,
  'sink' | 'pseudonymKey' | 'recentEvents' | 'judgedKey' | 'accessReport'
> {
  /** The place of the log, for people. */
  readonly place: string
  close(): Promise<void>
}

/** Opens the audit log that belongs to a store. */
export async function openAudit(invocation: Invocation, opened: OpenedStore): Promise<ConsoleAudit> {
  const { values, env } = invocation
  const stream = textOf(values, 'audit-stream')
  const known = secretOf(env, 'PORTCULLIS_PSEUDONYM_KEY')
  if (known === undefined)
    tell(
      invocation,
      'PORTCULLIS_PSEUDONYM_KEY is not set: the users of this console get pseudonyms that are valid for this run only',
    )
  const shared = {
    pseudonymKey: known ?? new Uint8Array(randomBytes(32)),
    judgedKey: secretOf(env, 'PORTCULLIS_JUDGED_KEY'),
  }
  if (opened.redis === undefined) {
    if (stream !== undefined) throw new CommandUsageError('`--audit-stream` needs a store in Redis')
    const path = resolve(invocation.directory, opened.place.slice('file:'.length))
    const isFolder = (await stat(path)).isDirectory()
    const file = join(isFolder ? path : dirname(path), NAME)
    return { ...shared, ...fileAudit(file), place: file }
  }
  if (stream !== undefined) {
    const { client } = opened.redis
    return {
      ...shared,
      sink: redisAuditSink(client, { stream }),
      recentEvents: redisRecentEvents(client, { stream }),
      place: `stream ${stream}`,
      close: async () => undefined,
    }
  }
  return { ...shared, ...logAudit(invocation, opened, opened.redis.client, known) }
}

function logAudit(
  { values, env }: Invocation,
  { vault }: OpenedStore,
  client: NonNullable<OpenedStore['redis']>['client'],
  pseudonymKey: Uint8Array | undefined,
): Omit<ConsoleAudit, 'pseudonymKey' | 'judgedKey'> {
  const prefix = textOf(values, 'prefix')
  const named = prefix === undefined ? {} : { prefix }
  const store = redisFrames(client, { ...named, settlesAfter: 0 })
  const own = vault && people({ store: redisPeople(client, named), vault })
  const frameKey = secretOf(env, 'PORTCULLIS_FRAME_KEY')
  const withPeople = own === undefined ? {} : { people: own }
  const log = auditLog({
    store,
    storeTimeout: 5_000,
    ...withPeople,
    ...(frameKey === undefined ? {} : { frameKey }),
  })
  return {
    sink: log,
    recentEvents: recentLogEvents(store),
    ...(pseudonymKey !== undefined && {
      accessReport: (person, { purpose, actor }) =>
        createAuditReader({ store, sink: log, actor, pseudonymKey, ...withPeople }).subject(person, {
          purpose,
        }),
    }),
    place: 'audit log of this Redis',
    close: () => log.close(),
  }
}

const NAME = 'console-audit.ndjson'

/** A sink that writes one line for each event, and flushes it to the disk. */
function fileAudit(
  file: string,
): { sink: AuditSink; close(): Promise<void> } & Pick<ConsoleOptions, 'recentEvents'> {
  let last: Promise<unknown> = Promise.resolve()
  return {
    sink: {
      async write(events: readonly AuditEvent[]) {
        const written = last
          .catch(() => undefined)
          .then(() =>
            appendFile(file, events.map((event) => `${serialiseEvent(event)}\n`).join(''), { flush: true }),
          )
        last = written
        await written
      },
    },
    recentEvents: (query) => collect(linesBack(file), query, MOST_LOOKED_AT),
    close: async () => void (await last.catch(() => undefined)),
  }
}

async function* linesBack(file: string): AsyncGenerator<readonly string[]> {
  const text = await readFile(file, 'utf8').catch(() => '')
  yield text
    .split('\n')
    .filter((line) => parseEvent(line) !== undefined)
    .reverse()
}
