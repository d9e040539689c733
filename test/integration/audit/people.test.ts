import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { createPseudonyms } from '../../../src/audit/event.ts'
import { auditLog } from '../../../src/audit/log/audit-log.ts'
import { framesOf } from '../../../src/audit/log/frames-of.ts'
import { memoryFrames } from '../../../src/audit/log/memory-frames.ts'
import { memoryPeople } from '../../../src/vault/memory-people.ts'
import { people, type People, type PeopleStore } from '../../../src/audit/people/people.ts'
import { createSealer } from '../../../src/audit/proof/sealer.ts'
import { verifyLog } from '../../../src/audit/proof/verify.ts'
import { createAuditReader } from '../../../src/audit/reading/reader.ts'
import { printSubjectReport } from '../../../src/audit/reading/subject-report.ts'
import { archivedFrames } from '../../../src/audit/retention/archive.ts'
import { erasePeople, searchTraces } from '../../../src/audit/retention/erase.ts'
import { retainLog } from '../../../src/audit/retention/retain.ts'
import { Replay } from '../../../src/audit/spool/replay.ts'
import { UnavailableError } from '../../../src/errors.ts'
import { redisFrames } from '../../../src/redis/frames.ts'
import { redisPeople } from '../../../src/redis/people.ts'
import { rewriteRedis } from '../../../src/redis/rewrite.ts'
import { createVault } from '../../../src/vault/vault.ts'
import { freshPrefix, PATIENT, startRedis, until, type RedisServer } from '../../support/redis.ts'
import { fieldEvent, operationEvent } from '../../unit/audit/events.ts'
import { KEY, ORIGIN } from '../../unit/audit/proof/made-log.ts'

const folder = mkdtempSync(join(tmpdir(), 'portcullis-people-'))
const data = join(folder, 'redis')
const pseudonymKey = randomBytes(32)
const pseudonymise = createPseudonyms(pseudonymKey)
const vault = createVault({ keys: [{ id: 'k', key: randomBytes(32) }] })
let server: RedisServer
let redis: Redis

beforeAll(async () => {
  mkdirSync(data)
  const persistent = [
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
    '--dir',
    data,
    '--rdbcompression',
    'no',
  ]
  server = await startRedis({ args: persistent })
  redis = new Redis(server.url, { retryStrategy: () => 30, disconnectTimeout: 50 })
  redis.on('error', () => undefined)
})
afterAll(async () => {
  redis.disconnect()
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

/** An audit log with people, and a reader of it. */
function setUp(more: { spool?: string } = {}): ReturnType<typeof make> {
  return make(more)
}
function make({ spool }: { spool?: string }) {
  const prefix = freshPrefix()
  const store = redisFrames(redis, { prefix, settlesAfter: 0 })
  // Only with a spool may Redis be unreachable.
  const timeout = spool === undefined ? PATIENT : 500
  const own = people({ store: redisPeople(redis, { prefix }), vault, timeout })
  const log = auditLog({
    store,
    people: own,
    storeTimeout: timeout,
    ...(spool === undefined ? {} : { spool: { directory: spool } }),
  })
  const reader = createAuditReader({ store, sink: log, people: own, pseudonymKey, actor: 'auditor' })
  return { prefix, store, people: own, log, reader }
}
async function restart(): Promise<void> {
  await server.restart()
  await until('the client is connected', async () => redis.status === 'ready')
}
let made = 0
/** A read of a person's field, as `auditAccess` reports it. */
const read = (person: string, field = 'email', members = {}): ReturnType<typeof fieldEvent> =>
  fieldEvent(`f${(made += 1)}`, {
    person: pseudonymise('person', person),
    field,
    requestId: `r${made}`,
    ...members,
  })

describe('people', () => {
  it('have one pseudonym each in all processes, which differs from that of `auditAccess`', async () => {
    const { log, store, people: own, prefix } = setUp()
    const elsewhere = people({ store: redisPeople(redis, { prefix }), vault, timeout: PATIENT })
    await log.write([read('alice'), read('bob'), read('alice', 'name')])
    const [one = {}, two = {}] = (await elsewhere.named([read('alice'), read('bob')])) as unknown as {
      person?: string
    }[]
    const stored = (await store.read(undefined, 10)).map(({ bytes }) => bytes.toString('latin1')).join('')
    expect(stored.split(`"person":"${one.person}"`)).toHaveLength(3)
    expect(stored.split(`"person":"${two.person}"`)).toHaveLength(2)
    expect(stored).not.toContain(pseudonymise('person', 'alice'))
    expect(await own.pseudonymsOf(pseudonymise('person', 'alice'))).toEqual([one.person])
    await log.close()
  })

  it('get their pseudonym in events about several people, and as actors', async () => {
    const own = people({ store: memoryPeople(), vault })
    const [list, action] = (await own.named([
      {
        ...read('alice'),
        actor: 'boss',
        persons: [
          ['a', 1],
          ['b', 2],
        ],
      } as never,
      { ...operationEvent('1'), persons: ['a'] } as never,
    ])) as unknown as [{ persons: [string, number][]; actor: string }, { persons: string[] }]
    expect(list.persons.map(([, count]) => count)).toEqual([1, 2])
    expect(list.persons[0]?.[0]).toBe(action.persons[0])
    expect(list.persons[0]?.[0]).not.toBe('a')
    expect(list.actor).toMatch(/^[\w-]{22}$/)
  })

  it('that first appear while Redis is unreachable get a secret from the spool, which is stored in Redis later', async () => {
    const directory = join(folder, 'outage')
    const { log, people: own, reader } = setUp({ spool: directory })
    await log.write([read('alice')])
    await server.kill()
    await log.write([read('carol'), read('alice')])
    expect(own.pending).toBe(1)
    await restart()
    await until('Redis has all', async () => log.status().unstored === 0)
    expect(own.pending).toBe(0)
    expect((await reader.query({ person: 'carol', field: 'email' })).events).toHaveLength(1)
    expect((await reader.query({ person: 'alice', field: 'email' })).events).toHaveLength(2)
    await log.close()
  })

  it('keep a secret whose process died, because it is in the spool', async () => {
    const directory = join(folder, 'dead')
    const { log, prefix, store, people: own } = setUp({ spool: directory })
    await server.kill()
    await log.write([read('dora')])
    await log.close()
    await restart()
    const fresh = people({ store: redisPeople(redis, { prefix }), vault, timeout: 2_000 })
    const onError = (error: unknown): void => {
      throw error
    }
    expect(await new Replay({ directory, store, people: fresh, storeTimeout: 2_000, onError }).all()).toBe(1)
    const name = pseudonymise('person', 'dora')
    expect(await fresh.pseudonymsOf(name)).toEqual(await own.pseudonymsOf(name))
    const reader = createAuditReader({ store, sink: auditLog({ store }), people: fresh, pseudonymKey })
    expect((await reader.query({ person: 'dora', field: 'email' })).events).toHaveLength(1)
  }, 30_000)

  it('that were erased meanwhile get no secret back from the spool of a process that died', async () => {
    const directory = join(folder, 'erased')
    const { log, prefix, store } = setUp({ spool: directory })
    await server.kill()
    await log.write([read('erna'), read('egon')])
    await log.close()
    await restart()
    const fresh = people({ store: redisPeople(redis, { prefix }), vault, timeout: 2_000 })
    const [erna, egon] = [pseudonymise('person', 'erna'), pseudonymise('person', 'egon')]
    await fresh.erase(erna)
    const onError = (error: unknown): void => {
      throw error
    }
    await new Replay({ directory, store, people: fresh, storeTimeout: 2_000, onError }).all()
    expect(await fresh.sealedOf(erna)).toEqual([])
    expect(await fresh.sealedOf(egon)).toHaveLength(1)
    expect((await redis.keys(`${prefix}person*`)).join()).not.toContain(erna)
    // Somebody who returns gets a new secret.
    await fresh.named([read('erna')])
    expect(await fresh.sealedOf(erna)).toHaveLength(1)
  }, 30_000)

  it('keep a secret that is waiting for the store in the spool, from the moment it is written there', async () => {
    const own: People = people({
      store: { ...memoryPeople(), add: async () => Promise.reject(new UnavailableError('away')) },
      vault,
    })
    const pending: number[] = []
    let isFull = false
    own.useSpool(async () => {
      pending.push(own.pending)
      if (isFull) throw new UnavailableError('full')
    })
    await own.named([read('uta')])
    isFull = true
    await expect(own.named([read('ute')])).rejects.toThrow('full')
    expect([...pending, own.pending]).toEqual([1, 2, 1])
  })

  it('are refused without a spool while their secret can be neither read nor created', async () => {
    const away: People = people({
      store: {
        ...memoryPeople(),
        add: async () => Promise.reject(new UnavailableError('away')),
      },
      vault,
    })
    const log = auditLog({ store: memoryFrames(), people: away })
    await expect(Promise.resolve(log.write([read('eve')]))).rejects.toThrow(
      'the secret of a person cannot be read',
    )
  })

  it('have a secret that is useless for everybody else, even if somebody has copied it in the store', async () => {
    const store = memoryPeople()
    const own: People = people({ store, vault })
    const [gus, hal] = [pseudonymise('person', 'gus'), pseudonymise('person', 'hal')]
    await own.named([read('gus')])
    await store.add(hal, (await store.read(gus))[0] ?? '', 1)
    await expect(own.pseudonymsOf(hal)).rejects.toMatchObject({ reason: 'SEALED_CHANGED' })
  })

  it('that are erased while their secret waits for the store do not get it back', async () => {
    const store = memoryPeople()
    let isAway = true
    const own: People = people({
      store: {
        ...store,
        add: async (...secret) =>
          isAway ? Promise.reject(new UnavailableError('away')) : store.add(...secret),
      },
      vault,
    })
    own.useSpool(async () => undefined)
    const name = pseudonymise('person', 'ivy')
    await own.named([read('ivy'), read('jan')])
    expect([own.pending, await own.erase(name), own.pending]).toEqual([2, 1, 1])
    isAway = false
    await own.deliver()
    expect(await store.read(name)).toEqual([])
    expect(await store.read(pseudonymise('person', 'jan'))).toHaveLength(1)
  })

  it('get another pseudonym after an erasure, even if the old one was being read meanwhile', async () => {
    const store = memoryPeople()
    let answer: () => void = () => undefined
    let held = new Promise<void>((resolve) => (answer = resolve))
    const slow: People = people({
      store: {
        ...store,
        async add(...secret) {
          const all = await store.add(...secret)
          await held
          return all
        },
      },
      vault,
      timeout: 10_000,
    })
    const nameNow = async (): Promise<unknown> =>
      ((await slow.named([read('fay')]))[0] as { person?: unknown }).person
    const naming = nameNow()
    expect(await slow.erase(read('fay').person)).toBe(1)
    answer()
    held = Promise.resolve()
    const before = await naming
    const after = await nameNow()
    expect(after).not.toBe(before)
    expect(await nameNow()).toBe(after)
  })
})

describe.each([
  ['memoryPeople', (): PeopleStore => memoryPeople()],
  ['redisPeople', (): PeopleStore => redisPeople(redis, { prefix: freshPrefix() })],
])('%s, after an erasure', (_, create) => {
  it('takes no secret that was made before it, or up to a minute after it, as clocks differ', async () => {
    const store = create()
    await store.add('alice', 'first', 1)
    expect(await store.erase('alice')).toBe(1)
    const now = Date.now()
    expect(await store.add('alice', 'older', 64, now - 1_000)).toEqual([])
    expect(await store.add('alice', 'by another clock', 64, now + 30_000)).toEqual([])
    expect(await store.read('alice')).toEqual([])
    expect(await store.add('alice', 'newer', 64, now + 120_000)).toEqual(['newer'])
    expect(await store.add('alice', 'new', 64)).toEqual(['newer', 'new'])
    expect(await store.add('alice', 'older', 64, now - 1_000)).toEqual(['newer', 'new'])
    expect(await store.add('bob', 'older', 64, now - 1_000)).toEqual(['older'])
  })
})

describe('the reader', () => {
  it('finds events by app, field, time, code, request and operation, page by page', async () => {
    const { log, reader } = setUp()
    for (let hour = 0; hour < 12; hour += 1) {
      const time = `2026-11-24T${String(hour).padStart(2, '0')}:00:00.000Z`
      await log.write([
        read('alice', hour % 2 === 0 ? 'email' : 'name', {
          time,
          appId: `app-${hour % 3}`,
          requestId: `q${hour}`,
        }),
        operationEvent(`o${hour}`, {
          time,
          appId: `app-${hour % 3}`,
          requestId: `q${hour}`,
          operation: hour > 9 ? 'GET /late' : 'GET /early',
          decisions: [
            {
              guard: 'ipWhitelist',
              effect: 'deny',
              mode: 'enforce',
              code: hour === 3 ? 'ADDRESS_NOT_ALLOWED' : 'ALLOWED',
              detail: '',
              evidence: {},
            } as never,
          ],
        }),
      ])
    }
    const count = async (query: Parameters<typeof reader.query>[0]): Promise<number> =>
      (await reader.query(query)).events.length
    expect(await count({ appId: 'app-1' })).toBe(8)
    expect(await count({ field: 'email' })).toBe(6)
    expect(await count({ from: '2026-11-24T05:00:00Z', to: '2026-11-24T07:00:00Z' })).toBe(4)
    expect(await count({ code: 'ADDRESS_NOT_ALLOWED' })).toBe(1)
    expect(await count({ requestId: 'q7' })).toBe(2)
    expect(await count({ operation: 'GET /late' })).toBe(2)
    expect(await count({ person: 'alice', field: 'name', appId: 'app-1' })).toBe(2)
    const pages: string[] = []
    let after: string | undefined
    do {
      const page = await reader.query({ person: 'alice' }, { after, limit: 5 })
      pages.push(...page.events.map(({ event }) => event.requestId))
      after = page.next
    } while (after !== undefined)
    // Queries of the log about her are events about her too.
    expect(pages.filter((id) => id.startsWith('q'))).toEqual(
      Array.from({ length: 12 }, (_, hour) => `q${hour}`),
    )
    expect(new Set(pages).size).toBe(pages.length)
    await expect(reader.query({ from: 'yesterday' })).rejects.toThrow(
      '`query.from` must be an ISO 8601 instant',
    )
    await log.close()
  })

  it('records each access before it shows anything, and shows nothing if recording fails', async () => {
    const { log, store, people: own } = setUp()
    await log.write([read('alice')])
    const sink = { write: async () => Promise.reject(new UnavailableError('full')) }
    const reader = createAuditReader({ store, sink, people: own, pseudonymKey })
    await expect(reader.query({})).rejects.toThrow('full')
    await expect(reader.subject('alice')).rejects.toThrow('full')
    await expect(reader.tail().next()).rejects.toThrow('full')
    await log.close()
  })

  it('shows new events as they arrive', async () => {
    const { log, reader } = setUp()
    await log.write([read('alice')])
    const ended = new AbortController()
    const seen: string[] = []
    const tailing = (async () => {
      for await (const { event } of reader.tail({ field: 'name' }, { signal: ended.signal })) {
        seen.push(event.requestId)
        if (seen.length === 2) ended.abort()
      }
    })()
    await new Promise((resolve) => setTimeout(resolve, 300))
    await log.write([
      read('alice', 'name', { requestId: 'x' }),
      read('alice'),
      read('bob', 'name', { requestId: 'y' }),
    ])
    await tailing
    expect(seen).toEqual(['x', 'y'])
    await log.close()
  })

  it('tells a person what was read, when and why, and by whom only on request', async () => {
    const { log, reader } = setUp()
    const both = {
      requestId: 'r-1',
      purpose: 'support',
      record: 'user',
      actor: pseudonymise('actor', 'staff-1'),
    }
    await log.write([
      read('alice', 'email', { ...both, reads: 2 }),
      read('alice', 'name', both),
      read('bob', 'name', both),
      operationEvent('o', { requestId: 'r-1', operation: 'GET /people/:id' }),
    ])
    const report = await reader.subject('alice', { purpose: 'request of the person' })
    const [access] = report.accesses
    expect(access).toEqual({
      time: '2026-11-24T12:00:00.000Z',
      requestId: 'r-1',
      appId: 'app-1',
      operation: 'GET /people/:id',
      record: 'user',
      purpose: 'support',
      fields: { email: 2, name: 1 },
    })
    expect(report.fields).toEqual({ email: 2, name: 1 })
    expect(report.recipients).toEqual(['app-1'])
    const printed = printSubjectReport(report)
    expect(printed).toContain(
      '2026-11-24T12:00:00.000Z  app-1  GET /people/:id\n    read: email (2 times), name\n    purpose: support\n',
    )
    const revealed = await reader.subject('alice', { revealActors: true })
    expect(revealed.accesses[0]?.actor).toMatch(/^[\w-]{22}$/)
    const asked = (await reader.query({ person: 'alice' })).events
      .map(({ event }) => event)
      .filter(({ kind }) => kind === 'operation')
    expect(asked.map((event) => event.kind === 'operation' && event.operation)).toContain(
      'audit subject with actors',
    )
    await log.close()
  })
})

describe('forgetting and retention', () => {
  it('is gone from an earlier snapshot of Redis too', async () => {
    await redis.set('deleted', 'a value in the snapshot')
    await redis.call('SAVE')
    const traces = ['a value in the snapshot']
    const paths = async (): Promise<string> =>
      (await searchTraces([data], traces)).map(({ path }) => path).join(' ')
    expect(await paths()).toContain('dump.rdb')
    await redis.del('deleted')
    await rewriteRedis(redis)
    expect(await paths()).toBe('')
  })

  it('leaves no trace of an erased person in Redis, its files, the spool and the archive, and the log still verifies', async () => {
    const spool = join(folder, 'spool')
    const archive = join(folder, 'archive')
    const { log, store, people: own, reader } = setUp({ spool })
    const checkpoints: string[] = []
    const sealer = createSealer({
      store,
      origin: ORIGIN,
      key: KEY.key,
      interval: 1e6,
      publish: (note) => void checkpoints.push(note),
    })
    for (let index = 0; index < 30; index += 1)
      await log.write([read('alice-the-person'), read('bob-the-person')])
    await log.flush()
    await sealer.seal()
    // Redis may not have the record of this query yet, which the spool has.
    const { events } = await reader.query({ person: 'alice-the-person' })
    expect(events.filter(({ event }) => event.kind === 'field')).toHaveLength(30)
    // Control: before the erasure, her name can be found in the log.
    const name = pseudonymise('person', 'alice-the-person')
    const sealed = await own.sealedOf(name)
    expect((await searchTraces([data], [name])).length).toBeGreaterThan(0)
    expect((await searchTraces([data], sealed)).length).toBeGreaterThan(0)
    await retainLog({ store, archive, before: Date.now(), checkpoints, keys: [KEY], sink: log })

    const erased = await erasePeople(['alice-the-person'], {
      store,
      people: own,
      pseudonymKey,
      sink: log,
      rewrite: () => rewriteRedis(redis),
    })
    expect([erased.people, erased.secrets]).toEqual([1, 1])
    expect(erased.traces).toEqual(expect.arrayContaining([name, ...sealed, 'alice-the-person']))
    await log.flush()
    expect(await searchTraces([data, spool, archive], erased.traces)).toEqual([])
    expect((await reader.query({ person: 'alice-the-person' })).events).toEqual([])
    expect((await searchTraces([data], [pseudonymise('person', 'bob-the-person')])).length).toBeGreaterThan(0)
    await sealer.seal()
    const start = await store.start()
    const rest = await verifyLog({ frames: framesOf(store), start, checkpoints, keys: [KEY], origin: ORIGIN })
    expect(rest.problems).toEqual([])
    expect(rest.checkpoints).toBeGreaterThan(0)
    await log.close()
  }, 60_000)

  it('removes a person from the index, and what links her to her own actions', async () => {
    const { log, store, people: own } = setUp()
    const actor = pseudonymise('actor', 'carol')
    await log.write([read('carol'), read('dave', 'email', { actor })])
    await log.flush()
    const [asPerson = ''] = await own.pseudonymsOf(pseudonymise('person', 'carol'))
    expect(await own.pseudonymsOf(actor)).toHaveLength(1)
    expect(await store.readPerson(asPerson, undefined, 10)).toHaveLength(1)
    const erased = await erasePeople(['carol'], { store, people: own, pseudonymKey, sink: log })
    expect([erased.people, erased.secrets]).toEqual([1, 2])
    expect(await own.pseudonymsOf(actor)).toEqual([])
    expect(await store.readPerson(asPerson, undefined, 10)).toEqual([])
    await log.close()
  })

  it('archives old frames up to a checkpoint, finds them again, and verifies with and without them', async () => {
    const archive = join(folder, 'archive-2')
    const { log, store, reader, people: own } = setUp()
    const checkpoints: string[] = []
    const sealer = createSealer({
      store,
      origin: ORIGIN,
      key: KEY.key,
      interval: 1e6,
      publish: (note) => void checkpoints.push(note),
    })
    const at = (day: number): { time: string } => ({
      time: `2026-11-${String(day).padStart(2, '0')}T00:00:00.000Z`,
    })
    for (let day = 1; day <= 20; day += 1) {
      await log.write([read('alice', 'email', at(day))])
      if (day % 4 === 0) await sealer.seal()
    }
    const retain = (day: number, more = {}): ReturnType<typeof retainLog> =>
      retainLog({
        store,
        archive,
        before: Date.parse(at(day).time),
        checkpoints,
        keys: [KEY],
        sink: log,
        ...more,
      })
    expect((await retain(3)).frames).toBe(0)
    // Ten days are old. The newest checkpoint that covers only old frames covers eight.
    const third = (await store.read(undefined, 3)).at(-1)?.place ?? ''
    expect((await retain(11, { readUpTo: [third] })).frames).toBe(0)
    expect((await retain(11)).frames).toBe(8)
    expect((await retain(11)).frames).toBe(0)
    expect((await retain(17)).frames).toBe(8)
    await sealer.seal()
    const hot = await verifyLog({
      frames: framesOf(store),
      start: await store.start(),
      checkpoints,
      keys: [KEY],
      origin: ORIGIN,
    })
    expect(hot.problems).toEqual([])
    async function* whole(): AsyncGenerator<{ place: string; bytes: Buffer }> {
      yield* archivedFrames(archive)
      yield* framesOf(store)
    }
    const all = await verifyLog({ frames: whole(), checkpoints, keys: [KEY], origin: ORIGIN })
    expect(all.problems).toEqual([])
    expect(all.events).toBe(22)
    const found = createAuditReader({ store, sink: log, people: own, pseudonymKey, archive })
    expect((await found.query({ person: 'alice', field: 'email' })).events).toHaveLength(20)
    expect((await reader.query({ person: 'alice', field: 'email' })).events).toHaveLength(4)
    await log.close()
  })

  it('archives nothing of a log that differs from what was signed', async () => {
    const { log, store, prefix } = setUp()
    const checkpoints: string[] = []
    const sealer = createSealer({
      store,
      origin: ORIGIN,
      key: KEY.key,
      interval: 1e6,
      publish: (note) => void checkpoints.push(note),
    })
    for (let index = 0; index < 4; index += 1) await log.write([read('alice')])
    await sealer.seal()
    const second = await redis.hgetBuffer(`${prefix}{audit}:log`, '2')
    await redis.hset(`${prefix}{audit}:log`, '1', second ?? '')
    await log.write([read('alice')])
    const retaining = retainLog({
      store,
      archive: join(folder, 'never'),
      before: Date.now(),
      checkpoints,
      keys: [KEY],
      sink: log,
    })
    await expect(retaining).rejects.toThrow(
      'the log does not match its signed checkpoint: run `audit verify`; nothing was moved',
    )
    expect(await store.read(undefined, 10)).toHaveLength(5)
    await log.close()
  })
})

describe('searchTraces', () => {
  it('finds a text in each of its forms, also across the chunks of a large file', async () => {
    const where = mkdtempSync(join(folder, 'search-'))
    const text = 'alice@example.org'
    const forms: Readonly<Record<string, Buffer>> = {
      plain: Buffer.from(`x${text}y`),
      hex: Buffer.from(Buffer.from(text).toString('hex')),
      base64: Buffer.from(Buffer.from(`ab${text}c`).toString('base64')),
      reversed: Buffer.from([...text].reverse().join('')),
      url: Buffer.from(encodeURIComponent(text)),
    }
    for (const [form, bytes] of Object.entries(forms)) {
      // The text spans the border of two chunks.
      await writeFile(join(where, form), Buffer.concat([Buffer.alloc(4_194_304 - 5), bytes]))
      expect((await readFile(join(where, form))).length).toBeGreaterThan(4_194_304)
    }
    const found = await searchTraces([where], [text])
    expect(new Set(found.map(({ path, form }) => `${path.slice(where.length + 1)} ${form}`))).toEqual(
      new Set(Object.keys(forms).map((form) => `${form} ${form}`)),
    )
    expect(await searchTraces([where], ['bob@example.org'])).toEqual([])
  })
})
