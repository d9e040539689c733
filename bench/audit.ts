/**
 * Measures the audit log, compared with one XADD per event and with pino writing to a file: CPU time per event, bytes
 * per event in Redis, and the speed of a verification. Starts its own Redis.
 *
 * `npm run bench:audit` takes about two minutes; `-- --events 50000` measures fewer events. Exits with 1 if a target is
 * missed. A target is a ratio to a reference measured in the same run, in CPU time of this process.
 */
import { hash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import pino from 'pino'
import { auditLog, framesOf, serialiseEvent, verifyLog, type AuditEvent } from '../src/audit/index.ts'
import { redisAuditSink, redisFrames } from '../src/redis/index.ts'
import { startRedis } from '../test/support/redis.ts'
import { atMost, header, line, told, type Row } from './store/table.ts'

const { values } = parseArgs({ options: { events: { type: 'string', default: '100000' } } })
const EVENTS = Number(values.events)
/** The number of events per write, about as many as one turn of the event loop of a busy server produces. */
const TOGETHER = 256
const ROUNDS = 3

const names = ['email', 'name', 'ip', 'image', 'address.city']
const templates: readonly AuditEvent[] = Array.from({ length: EVENTS }, (_, index) => ({
  kind: 'field',
  version: 1,
  id: crypto.randomUUID(),
  time: new Date(1_795_000_000_000 + index * 7).toISOString(),
  requestId: crypto.randomUUID(),
  appId: `app-${index % 20}`,
  person: Buffer.from(`${(index * 7_919) % 50_000}`.padStart(16, '0')).toString('base64url'),
  field: names[index % names.length] ?? '',
  reads: 1,
  record: 'user',
  purpose: 'support',
}))

/** Creates new events for each batch, so that they can be collected after the write, as in a server. */
const made = (begin: number, end: number): AuditEvent[] =>
  templates.slice(begin, end).map((event) => ({ ...event }))

/** CPU time per event, in microseconds. */
async function cpuOf(act: () => unknown): Promise<number> {
  globalThis.gc?.()
  const before = process.cpuUsage()
  await act()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / EVENTS
}

async function inBatches(size: number, write: (events: readonly AuditEvent[]) => unknown): Promise<void> {
  const open = new Set<Promise<unknown>>()
  for (let at = 0; at < EVENTS; at += size) {
    const written = Promise.resolve(write(made(at, Math.min(EVENTS, at + size))))
    open.add(written)
    void written.finally(() => open.delete(written))
    if (open.size >= 8) await Promise.race(open)
  }
  await Promise.all(open)
}

const server = await startRedis()
const redis = new Redis(server.url)
const folder = mkdtempSync(join(tmpdir(), 'portcullis-bench-'))
const rows: Row[] = []
try {
  const used = async (key: string): Promise<number> =>
    Number(await redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0))
  const bytesOf = async (key: string): Promise<number> => (await used(key)) / EVENTS

  const lines = templates.map((event) => serialiseEvent(event))
  let length = 0
  const contestants: Readonly<Record<string, (round: number) => unknown>> = {
    json() {
      for (const event of templates) length += serialiseEvent({ ...event }).length
    },
    plain() {
      for (const text of lines) {
        const { version } = JSON.parse(text) as AuditEvent
        length += version + hash('sha256', text, 'buffer').length
      }
    },
    single: (round) =>
      inBatches(1, ([event]) =>
        redis.xadd(`single:${round}`, '*', 'event', serialiseEvent(event as AuditEvent)),
      ),
    each(round) {
      const sink = redisAuditSink(redis, { stream: `each:${round}` })
      return inBatches(TOGETHER, (events) => sink.write(events))
    },
    async frames(round) {
      const store = redisFrames(redis, { prefix: `log:${round}:`, settlesAfter: 0 })
      const log = auditLog({ store, storeTimeout: 10_000 })
      await inBatches(TOGETHER, (events) => log.write(events))
      await log.close()
    },
    async spooled(round) {
      const store = redisFrames(redis, { prefix: `spooled:${round}:`, settlesAfter: 0 })
      const spool = { directory: join(folder, 'spool') }
      const log = auditLog({ store, spool, storeTimeout: 10_000 })
      await inBatches(TOGETHER, (events) => log.write(events))
      await log.close()
    },
    async toFile(round) {
      const file = pino.destination({
        dest: join(folder, `pino-${round}.log`),
        sync: false,
        minLength: 4_096,
      })
      const logger = pino({ base: null }, file)
      for (let at = 0; at < EVENTS; at += 1) logger.info(made(at, at + 1)[0])
      file.end()
      await once(file, 'close')
    },
    async verify(round) {
      const store = redisFrames(redis, { prefix: `log:${round}:` })
      const report = await verifyLog({ frames: framesOf(store) })
      if (report.events !== EVENTS || report.found !== 0) throw new Error('the written log does not verify')
    },
  }
  // Contestants take turns, and the best round of each counts, because other work on the machine can only slow them
  // down.
  const best = new Map(Object.keys(contestants).map((name) => [name, Infinity]))
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, act] of Object.entries(contestants)) {
      best.set(name, Math.min(best.get(name) ?? Infinity, await cpuOf(() => act(round))))
    }
  }
  if (length === 0) throw new Error('nothing was measured')
  const cost = (name: string): number => best.get(name) ?? Number.NaN
  const [json, plain, single, each] = [cost('json'), cost('plain'), cost('single'), cost('each')]
  const [frames, withSpool, toFile, verify] = [
    cost('frames'),
    cost('spooled'),
    cost('toFile'),
    cost('verify'),
  ]

  const us = (value: number): string => `${value.toFixed(2)} us`
  // The hash also contains the index from people to frames.
  const inFrames = await bytesOf('log:0:{audit}:log')
  rows.push(
    told('JSON of an event', us(json)),
    told('JSON.parse and sha256 of each event', us(plain)),
    told('one XADD per event, eight in flight', us(single)),
    told('`redisAuditSink`, 256 events per write', us(each)),
    told('pino to a file', us(toFile)),
    told('frames in Redis, JSON and index included', us(frames)),
    told('the same with a spool', us(withSpool)),
    told('verification, from Redis', us(verify)),
    told('events per second of CPU time, frames', (1e6 / frames).toFixed(0)),
    told('bytes per event, `redisAuditSink`', (await bytesOf('each:0')).toFixed(0)),
    told('bytes per event, frames and index', inFrames.toFixed(1)),
    atMost('CPU time of frames, relative to one XADD per event', frames / single, 0.5, '', 2),
    told('CPU time of frames, relative to `redisAuditSink`', (frames / each).toFixed(2)),
    atMost('CPU time of frames, relative to pino to a file', frames / toFile, 1.5, '', 2),
    atMost(
      'bytes of frames, relative to one stream entry per event',
      inFrames / (await bytesOf('each:0')),
      0.5,
      '',
      2,
    ),
    atMost('CPU time of a verification, relative to JSON.parse and sha256', verify / plain, 2.5, '', 2),
  )
} finally {
  redis.disconnect()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}
console.log(
  `Node ${process.version}, ${EVENTS} events, load average: ${loadavg()
    .map((each) => each.toFixed(1))
    .join(', ')}`,
)
console.log(header)
for (const row of rows) console.log(line(row))
process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
