import { createHmac, randomBytes } from 'node:crypto'
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { otlpLogs, webhook } from '../../../src/audit/export/destinations.ts'
import { createExporter, type Destination, type Exporter } from '../../../src/audit/export/exporter.ts'
import { fromOcsf, toOcsf } from '../../../src/audit/export/mapping.ts'
import { auditLog } from '../../../src/audit/log/audit-log.ts'
import { parseEvent } from '../../../src/audit/line.ts'
import { ConfigError } from '../../../src/errors.ts'
import { redisCursors } from '../../../src/redis/cursors.ts'
import { redisFrames } from '../../../src/redis/frames.ts'
import { freshPrefix, sharedRedisUrl, until } from '../../support/redis.ts'
import { fieldEvent, operationEvent, outcomeEvent } from '../../unit/audit/events.ts'

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

let redis: Redis
let server: Server
let url: string
let received: Received[] = []
/** The status that the destination answers. */
let status = 200
let answer = '{}'

beforeAll(async () => {
  redis = new Redis(sharedRedisUrl())
  server = createServer((message, reply) => {
    let body = ''
    message.on('data', (chunk: Buffer) => (body += chunk.toString()))
    message.on('end', () => {
      received.push({ headers: message.headers, body })
      reply.writeHead(status).end(answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
})
beforeEach(() => {
  received = []
  status = 200
  answer = '{}'
})
afterAll(() => {
  redis.disconnect()
  server.close()
})

/** A log with this many frames, and its exporter. */
async function exporting(
  destination: Destination,
  frames: number,
): Promise<{ exporter: Exporter; again(): Exporter; write(id: string): Promise<void>; told: string[] }> {
  const prefix = freshPrefix()
  const store = redisFrames(redis, { prefix, settlesAfter: 0 })
  const log = auditLog({ store })
  const write = async (id: string): Promise<void> => log.write([fieldEvent(id)])
  for (let index = 0; index < frames; index += 1) await write(`e${index}`)
  const told: string[] = []
  const make = (): Exporter =>
    createExporter({
      store,
      destination,
      cursors: redisCursors(redis, { prefix }),
      interval: 20,
      batch: 4,
      onError: ({ message }) => told.push(message),
    })
  return { exporter: make(), again: make, write, told }
}
const idsOf = (all: readonly Received[]): string[] =>
  all.flatMap(({ body }) =>
    body
      .trim()
      .split('\n')
      .map((line) => parseEvent(line)?.id ?? '?'),
  )

describe('an exporter', () => {
  it('sends stored and new events in order and signed, and resumes where it stopped', async () => {
    const secret = new Uint8Array(randomBytes(32))
    const { exporter, again, write } = await exporting(webhook({ url, secret }), 10)
    await until('ten events came', async () => idsOf(received).length === 10)
    await until('the cursor is there', async () => exporter.place !== undefined)
    await write('late')
    await until('the eleventh came', async () => idsOf(received).length === 11)
    await exporter.close()
    const expected = [...Array.from({ length: 10 }, (_, index) => `e${index}`), 'late']
    expect(idsOf(received)).toEqual(expected)
    for (const { headers, body } of received) {
      const signed = `${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`
      expect(headers['webhook-signature']).toBe(
        `v1,${createHmac('sha256', secret).update(signed).digest('base64')}`,
      )
    }
    received = []
    await write('next')
    const later = again()
    await until('the next one came', async () => received.length > 0)
    expect(idsOf(received)).toEqual(['next'])
    await later.rewind(undefined)
    await until('all came again', async () => idsOf(received).length === 13)
    expect(idsOf(received).slice(1)).toEqual([...expected, 'next'])
    await later.close()
  })

  it('loses nothing while its destination fails, and reports the failure', async () => {
    status = 503
    const { exporter, told } = await exporting(webhook({ url, secret: new Uint8Array(24) }), 6)
    await until('it has failed', async () => told.length > 0)
    expect(told[0]).toBe('the destination answered with 503')
    expect([exporter.failing, exporter.place]).toEqual([true, undefined])
    const ids = new Set(received.map(({ headers }) => headers['webhook-id']))
    expect(ids.size).toBe(1)
    received = []
    status = 200
    await until('all came', async () => idsOf(received).length === 6)
    await exporter.close()
    expect(idsOf(received)).toEqual(['e0', 'e1', 'e2', 'e3', 'e4', 'e5'])
  })

  it('sends OTLP logs, and treats a partial success as a failure', async () => {
    answer = '{"partialSuccess":{"rejectedLogRecords":"2"}}'
    const { exporter, told } = await exporting(otlpLogs({ url, headers: { authorization: 'Bearer x' } }), 3)
    await until('it has failed', async () => told.length > 0)
    expect(told[0]).toBe('the collector rejected 2 of 3 events')
    answer = '{}'
    await until('it was taken', async () => exporter.place !== undefined)
    await exporter.close()
    const { headers, body } = received.at(-1) as Received
    expect(headers.authorization).toBe('Bearer x')
    const { resourceLogs } = JSON.parse(body) as {
      resourceLogs: { scopeLogs: { logRecords: Record<string, unknown>[] }[] }[]
    }
    const [record = {}] = resourceLogs[0]?.scopeLogs[0]?.logRecords ?? []
    expect(record).toMatchObject({
      timeUnixNano: `${Date.parse('2026-11-24T12:00:00.000Z')}000000`,
      eventName: 'portcullis.audit.field',
      attributes: expect.arrayContaining([{ key: 'log.record.uid', value: { stringValue: 'e0' } }]),
    })
  })

  it.each([
    [
      () => webhook({ url: 'ftp://:secret@x', secret: new Uint8Array(24) }),
      '`webhook.url` must be an http or https URL',
    ],
    [
      () => webhook({ url: 'http://x', secret: new Uint8Array(23) }),
      '`webhook.secret` must be at least 24 bytes',
    ],
    [
      () => webhook({ url: 'http://x', secret: new Uint8Array(24), format: 'osf' as never }),
      'did you mean `ocsf`?',
    ],
    [() => otlpLogs({} as never), '`otlpLogs.url` is missing'],
    [() => createExporter({} as never), '`createExporter.store` is missing'],
  ])('refuses wrong options: %#', (make, message) => {
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(message)
    expect(make).not.toThrow('secret@x')
  })
})

describe('OCSF', () => {
  it('is a mapping that loses nothing', () => {
    const events = [
      fieldEvent('1', { purpose: 'a', record: 'user', actor: 'x' }),
      operationEvent('2', { outcome: 'refused', status: 403 }),
      outcomeEvent('3'),
      (({ appId: _appId, ...rest }) => rest)(fieldEvent('4')),
    ]
    for (const event of events) {
      const mapped = toOcsf(event)
      expect(fromOcsf(JSON.parse(JSON.stringify(mapped)))).toEqual(event)
      const { class_uid: classUid, activity_id: activity, type_uid: type } = mapped as Record<string, number>
      expect(type).toBe(Number(classUid) * 100 + Number(activity))
    }
    expect(toOcsf(events[1] as never)).toMatchObject({ class_uid: 6003, status_id: 2, status_code: '403' })
    expect(fromOcsf({})).toBeUndefined()
  })
})
