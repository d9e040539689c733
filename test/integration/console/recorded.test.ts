import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryAuditSink } from 'portcullis'
import { auditLog, memoryFrames, recentLogEvents } from 'portcullis/audit'
import { signRequest } from 'portcullis/client'
import { redisAuditSink, redisFrames, redisRecentEvents } from 'portcullis/redis'
import { Redis } from 'ioredis'
import { startConsole, type Client, type ConsoleServer } from '../../support/console.ts'
import { HOSTILE_TEXTS } from '../../support/hostile-texts.ts'
import { OTHER_SECRET, startRecordedConsole, type RecordedConsole } from '../../support/recorded-console.ts'
import { freshPrefix, sharedRedisUrl } from '../../support/redis.ts'

describe('the recorded requests', () => {
  let server: ConsoleServer
  let recorded: RecordedConsole
  let ada: Client
  /** The id of the newest request of the app. */
  const newest = async (): Promise<string> => {
    const { body } = await ada.ask('GET', 'apps/shop/requests?limit=1')
    return body.rows[0].requestId as string
  }

  /** A request signed with the key `new`, which can be sent repeatedly. */
  async function signedOnce(): Promise<() => Promise<Response>> {
    const url = `${recorded.base}/people/1`
    const headers = await signRequest(
      { method: 'GET', url, headers: { 'x-app-id': 'shop' } },
      { keyId: 'new', secret: OTHER_SECRET },
    )
    return () => fetch(url, { headers: { 'x-app-id': 'shop', ...headers } })
  }

  const statuses: number[] = []
  beforeAll(async () => {
    recorded = await startRecordedConsole()
    ;({ server } = recorded)
    ada = await server.signIn()
    for (const path of ['/people/1', '/people/2', '/people/3'])
      statuses.push((await recorded.call('old', path)).status)
    // The second call is a replay.
    const again = await signedOnce()
    for (let time = 0; time < 2; time += 1) statuses.push((await again()).status)
    statuses.push((await recorded.call('old', '/people/1', OTHER_SECRET)).status)
  })
  afterAll(() => recorded.close())

  it('are judged', () => expect(statuses).toEqual([200, 200, 200, 200, 401, 401]))

  it('show how many requests each key signed, without replays and invalid signatures', async () => {
    const { body } = await ada.ask('GET', 'apps/shop/key-uses')
    expect(body).toEqual({
      uses: [
        { id: 'new', calls: 1, lastUse: expect.any(String) },
        { id: 'old', calls: 3, lastUse: expect.any(String) },
      ],
      isComplete: true,
    })
    expect(JSON.stringify(body)).not.toContain('127.0.0.1')
  })

  it('show who signs with the old key only to operators who may see personal data, and this is recorded', async () => {
    const { body } = await ada.ask('GET', 'apps/shop/keys/old/callers')
    expect(body).toEqual({
      callers: [
        {
          address: '127.0.0.1',
          isPseudonym: false,
          operation: 'GET /people/:id',
          calls: 3,
          lastUse: expect.any(String),
        },
      ],
      isComplete: true,
    })
    expect(server.sink.events().at(-1)).toMatchObject({
      operation: 'console GET /apps/:appId/keys/:keyId/callers',
      appId: 'shop',
    })
    const looker = await server.signIn('look')
    expect((await looker.ask('GET', 'apps/shop/keys/old/callers')).status).toBe(403)
  })

  it('can be judged again, by the published policy and by the draft, with a list of what is missing', async () => {
    await recorded.call('new', '/people/9')
    const requestId = await newest()
    const path = `requests/${requestId}/judgement`
    const before = await ada.ask('GET', path)
    expect(before.body).toMatchObject({ appId: 'shop', revision: 1, hasDraft: false, kept: 'kept' })
    expect(before.body.call).toEqual({ address: '127.0.0.1' })
    expect(before.body.missing).toEqual([
      {
        guard: 'ipWhitelist',
        list: 'ipWhitelist.ranges',
        entry: '127.0.0.1',
        nearest: {
          entry: '10.0.0.0/8',
          text: 'differs in network: 1 of the 8 bits of the entry are the same',
        },
      },
    ])
    const { policy } = (await ada.ask('GET', 'apps/shop')).body
    const draft = {
      ...policy,
      ipWhitelist: { mode: 'enforce', ranges: ['10.0.0.0/8', '127.0.0.1'] },
      serverOnly: { mode: 'off' },
    }
    expect((await ada.ask('PUT', 'apps/shop/draft', { before: policy, policy: draft })).status).toBe(200)
    const { body } = await ada.ask('GET', path)
    const of = (guard: string) =>
      body.decisions.find((decision: { guard: string }) => decision.guard === guard)
    expect(of('ipWhitelist')).toMatchObject({
      recorded: 'ADDRESS_NOT_ALLOWED',
      now: { effect: 'deny', mode: 'report', code: 'ADDRESS_NOT_ALLOWED' },
      draft: { effect: 'allow', mode: 'enforce' },
    })
    expect(of('serverOnly')).toMatchObject({
      now: { effect: 'allow', mode: 'enforce' },
      draft: { mode: 'off' },
    })
    expect([body.hasDraft, body.missing]).toEqual([true, []])
    // Nothing was published.
    expect((await recorded.store.read('shop'))?.revision).toBe(1)
  })

  it('show the missing origin', async () => {
    await fetch(`${recorded.base}/page`, { headers: { origin: 'https://new.example' } })
    const { body } = await ada.ask('GET', `requests/${await newest()}/judgement`)
    expect(body.missing).toEqual([
      {
        guard: 'domainProtect',
        list: 'domainProtect.domains',
        entry: 'https://new.example',
        nearest: {
          entry: 'https://shop.example',
          text: 'differs in host: `new.example`, the entry has `shop.example`',
        },
      },
    ])
  })

  it.each(['null', 'https://NEW.example', 'not an origin'])(
    'can be judged again if their origin was %j',
    async (origin) => {
      await fetch(`${recorded.base}/page`, { headers: { origin } })
      const { status, body } = await ada.ask('GET', `requests/${await newest()}/judgement`)
      expect(status).toBe(200)
      expect(body.decisions).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ guard: 'domainProtect', recorded: 'ORIGIN_NOT_ALLOWED' }),
        ]),
      )
      // A policy may have the entry `null`, and writes hosts in lower case.
      expect(body.missing).toMatchObject([{ entry: origin }])
      expect(body.missing[0].refused).toBe(
        origin === 'not an origin'
          ? 'is not an origin, which is a scheme, a host and perhaps a port'
          : undefined,
      )
    },
  )

  it('show who read the data of a person, for a purpose that is recorded', async () => {
    const without = await ada.ask('POST', 'access-report', { person: 'person-7', note: '  ' })
    expect([without.status, without.body.code]).toEqual([400, 'PURPOSE_MISSING'])
    const asked = { person: 'person-7', note: 'asked by the person' }
    const { status, body } = await ada.ask('POST', 'access-report', asked)
    expect([status, body.recipients, body.fields]).toEqual([200, ['shop'], { email: 5 }])
    expect(server.sink.events().at(-1)).toMatchObject({
      operation: 'console POST /access-report',
      purpose: 'asked by the person',
    })
    expect(JSON.stringify(server.sink.events())).not.toContain('person-7')
    // The query itself is an access, and the only one.
    const nobody = (await ada.ask('POST', 'access-report', { ...asked, person: 'nobody' })).body
    expect([nobody.fields, nobody.recipients, nobody.accesses.length]).toEqual([{}, [], 1])
  })

  it('accept any text as the id of a person and as a purpose, or refuse it', async () => {
    for (const text of HOSTILE_TEXTS) {
      const { status, body } = await ada.ask('POST', 'access-report', { person: text, note: text })
      const isTaken = text.length <= 512 && text.trim().length >= 5
      expect([text.slice(0, 40), status]).toEqual([text.slice(0, 40), isTaken ? 200 : 400])
      if (isTaken) expect(body.fields).toEqual({})
    }
  })

  it('show the locations', async () => {
    const { body } = await ada.ask('GET', 'regions')
    expect(body.locations).toEqual([
      { jurisdiction: 'europe', location: 'london', condition: 'current' },
      { jurisdiction: 'europe', location: 'frankfurt', condition: 'behind' },
      { jurisdiction: 'world', location: 'dallas', condition: 'away' },
    ])
  })

  it('are reported as unavailable if the options for them are missing', async () => {
    const bare = await startConsole({ recentEvents: undefined })
    const user = await bare.signIn()
    for (const [method, path, body] of [
      ['GET', 'apps/shop/key-uses'],
      ['GET', 'requests/x/judgement'],
      ['POST', 'access-report', { person: 'p', note: 'a purpose' }],
      ['GET', 'regions'],
    ] as const)
      expect([path, (await user.ask(method, path, body)).body.code]).toEqual([path, 'NOT_SUPPORTED'])
    await bare.close()
  })
})

describe('removing an app', () => {
  let server: ConsoleServer
  beforeAll(async () => {
    server = await startConsole()
  })
  afterAll(() => server.close())

  it('requires two rights, the revision, and the id again', async () => {
    const ada = await server.signIn()
    const remove = (client: Client, body: unknown, tag?: string) =>
      client.ask('DELETE', 'apps/shop', body, tag === undefined ? {} : { 'if-match': tag })
    const narrow = await server.signIn('look', 'narrow')
    expect((await remove(narrow, { appId: 'shop' }, '"1"')).body).toMatchObject({
      code: 'RIGHT_MISSING',
      missing: ['keys'],
    })
    expect((await remove(ada, { appId: 'shop' })).body.code).toBe('REVISION_REQUIRED')
    expect((await remove(ada, { appId: 'shpo' }, '"1"')).body.code).toBe('DOCUMENT_REFUSED')
    expect((await remove(ada, { appId: 'shop' }, '"7"')).body.code).toBe('REVISION_STALE')
    expect((await server.store.read('shop'))?.revision).toBe(1)

    const { policy } = (await ada.ask('GET', 'apps/shop')).body
    await ada.ask('PUT', 'apps/shop/draft', { before: policy, policy: { ...policy, name: 'New' } })
    server.sink.clear()
    expect((await remove(ada, { appId: 'shop', note: 'the shop has closed' }, '"1"')).status).toBe(204)
    expect(server.sink.events()).toMatchObject([
      { operation: 'console DELETE /apps/:appId', appId: 'shop', purpose: 'the shop has closed' },
    ])
    expect(await server.store.read('shop')).toBeUndefined()
    expect(await server.store.keys('shop')).toBeUndefined()
    const { rows } = (await ada.ask('GET', 'apps/shop/history')).body
    expect(rows[0]).toMatchObject({ removed: true, author: 'Ada', note: 'the shop has closed' })
    expect((await remove(ada, { appId: 'shop' }, '"2"')).status).toBe(404)
    // Creating the app again does not restore the draft of the old one.
    await server.store.write({ policy }, 0)
    expect((await ada.ask('GET', 'apps/shop')).body.draft).toBeUndefined()
  })
})

describe('recent events', () => {
  const redis = new Redis(sharedRedisUrl())
  afterAll(() => redis.disconnect())

  const event = (number: number) =>
    ({
      kind: 'operation',
      version: 1,
      id: `id-${number}`,
      time: new Date(Date.UTC(2026, 0, 1) + number * 1_000).toISOString(),
      requestId: `request-${number}`,
      appId: number % 3 === 0 ? 'shop' : 'lab',
      operation: 'GET /',
      outcome: 'answered',
      status: 200,
      decisions: [],
    }) as const

  const places = {
    async 'frames in memory'(most?: number) {
      const store = memoryFrames()
      const log = auditLog({ store })
      for (let at = 0; at < 300; at += 3) await log.write([event(at), event(at + 1), event(at + 2)])
      await log.close()
      return recentLogEvents(store, { most })
    },
    async 'frames in Redis'(most?: number) {
      const store = redisFrames(redis, { prefix: freshPrefix(), settlesAfter: 0 })
      const log = auditLog({ store })
      for (let at = 0; at < 300; at += 3) await log.write([event(at), event(at + 1), event(at + 2)])
      await log.close()
      return recentLogEvents(store, { most })
    },
    async 'a stream'(most?: number) {
      const stream = `${freshPrefix()}audit`
      const sink = redisAuditSink(redis, { stream })
      await sink.write(Array.from({ length: 300 }, (_, number) => event(number)))
      return redisRecentEvents(redis, { stream, most })
    },
  }

  it.each(Object.entries(places))('are found newest first, within limits: %s', async (_place, open) => {
    const find = await open()
    const ids = async (query: Parameters<typeof find>[0]) => {
      const { events, isComplete } = await find(query)
      return [events.map(({ requestId }) => Number(requestId.slice(8))), isComplete]
    }
    expect(await ids({ limit: 3 })).toEqual([[299, 298, 297], false])
    expect(await ids({ appId: 'shop', limit: 3 })).toEqual([[297, 294, 291], false])
    const all = Array.from({ length: 100 }, (_, number) => 297 - 3 * number)
    expect(await ids({ appId: 'shop', limit: 100 })).toEqual([all, true])
    expect(await ids({ requestId: 'request-1', limit: 9 })).toEqual([[1], true])
    expect(await ids({ requestId: 'request-300', limit: 9 })).toEqual([[], true])
    expect(await ids({ since: event(297).time, limit: 9 })).toEqual([[299, 298, 297], true])
    const near = await (await open(10))({ appId: 'shop', limit: 9 })
    expect([near.events.length, near.isComplete]).toEqual([3, false])
  })

  it('wrong options are refused', () => {
    expect(() => redisRecentEvents('redis://x' as never)).toThrow('redisRecentEvents.redis')
    expect(() => redisRecentEvents(redis, { most: 0 })).toThrow('redisRecentEvents.most')
    expect(() => recentLogEvents({} as never)).toThrow('recentLogEvents.store')
  })

  it('of a memory sink are complete while there are fewer than the limit', async () => {
    const sink = memoryAuditSink()
    sink.write([event(0)])
    const server = await startConsole({ recentEvents: async () => sink.events() })
    const ada = await server.signIn()
    expect((await ada.ask('GET', 'apps/shop/traffic')).body.isComplete).toBe(true)
    await server.close()
  })
})
