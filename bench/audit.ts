/**
 * What the audit log costs, beside one XADD for each event and beside pino writing to a file: events for each second of CPU, bytes
 * for each event in Redis, the speed of a verification. Starts its own Redis.
 *
 * `npm run bench:audit` takes about a minute; `-- --events 50000` measures fewer. Ends with 1 when a target is missed. A target is
 * a ratio to a yardstick of the same run, in CPU time of this process.
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

const { values } = parseArgs({ options: { events: { type: 'string', default: '200000' } } })
const EVENTS = Number(values.events)
/** As many as one turn of the event loop brings where a server is busy. */
const TOGETHER = 256

const names = ['email', 'name', 'ip', 'image', 'address.city']
const made: AuditEvent[] = Array.from({ length: EVENTS }, (_, index) => ({
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

/** Microseconds of CPU for each event. */
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
    const written = Promise.resolve(write(made.slice(at, at + size)))
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

  const json = await cpuOf(() => made.map(serialiseEvent))
  const lines = made.map(serialiseEvent)
  const sha = await cpuOf(() => lines.map((text) => hash('sha256', text, 'buffer')))

  const single = await cpuOf(() =>
    inBatches(1, (events) => redis.xadd('single', '*', 'event', serialiseEvent(events[0] as AuditEvent))),
  )
  const sink = redisAuditSink(redis, { stream: 'each' })
  const each = await cpuOf(() => inBatches(TOGETHER, (events) => sink.write(events)))

  const log = auditLog({
    store: redisFrames(redis, { prefix: 'log:', settlesAfter: 0 }),
    storeTimeout: 10_000,
  })
  const frames = await cpuOf(() => inBatches(TOGETHER, (events) => log.write(events)))
  await log.close()
  const spooled = auditLog({
    store: redisFrames(redis, { prefix: 'spooled:', settlesAfter: 0 }),
    spool: { directory: join(folder, 'spool') },
    storeTimeout: 10_000,
  })
  const withSpool = await cpuOf(async () => {
    await inBatches(TOGETHER, (events) => spooled.write(events))
    await spooled.flush()
  })
  await spooled.close()

  const file = pino.destination({ dest: join(folder, 'pino.log'), sync: false, minLength: 4_096 })
  const logger = pino({ base: null }, file)
  const toFile = await cpuOf(async () => {
    for (const event of made) logger.info(event)
    file.end()
    await once(file, 'close')
  })

  let report: Awaited<ReturnType<typeof verifyLog>> | undefined
  const verify = await cpuOf(async () => {
    report = await verifyLog({ frames: framesOf(redisFrames(redis, { prefix: 'log:' })) })
  })
  if (report?.events !== EVENTS || report.found !== 0)
    throw new Error('the log that was written does not verify')

  const us = (value: number): string => `${value.toFixed(2)} us`
  // In the same hash: what leads from a person to frames, and from each frame to the one before it of the same person.
  const inFrames = await bytesOf('log:{audit}:log')
  rows.push(
    told('JSON of an event', us(json)),
    told('sha256 over the same bytes', us(sha)),
    told('one awaited XADD for each event', us(single)),
    told('`redisAuditSink`, 256 events a write', us(each)),
    told('pino to a file', us(toFile)),
    told('frames in Redis, JSON and index included', us(frames)),
    told('the same with a spool', us(withSpool)),
    told('verification, from Redis', us(verify)),
    told('events for each second of CPU, frames', (1e6 / frames).toFixed(0)),
    told('bytes for each event, `redisAuditSink`', (await bytesOf('each')).toFixed(0)),
    told('bytes for each event, frames and index', inFrames.toFixed(1)),
    atMost('CPU of frames to one XADD for each event', frames / single, 1, '', 2),
    told('CPU of frames to `redisAuditSink`', (frames / each).toFixed(2)),
    atMost('CPU of frames to pino to a file', frames / toFile, 2.5, '', 2),
    atMost(
      'bytes of frames to those of one entry for each event',
      inFrames / (await bytesOf('each')),
      0.5,
      '',
      2,
    ),
    atMost('CPU of a verification to sha256 over the same bytes', verify / sha, 5, '', 2),
  )
} finally {
  redis.disconnect()
  await server.stop()
  rmSync(folder, { recursive: true, force: true })
}
console.log(
  `Node ${process.version}, ${EVENTS} events, load of the machine: ${loadavg()
    .map((each) => each.toFixed(1))
    .join(', ')}`,
)
console.log(header)
for (const row of rows) console.log(line(row))
process.exitCode = rows.every(({ ok }) => ok !== false) ? 0 : 1
