import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { fileStore, memoryStore, type ManagedPolicyStore } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { consoleStateOf } from '../../../example-server/console-state.ts'
import { memoryStorage } from '../../../example-server/storage.ts'
import {
  APP,
  APP_DOCUMENT,
  SECRET,
  startConsole,
  type Answered,
  type Client,
  type ConsoleServer,
} from '../../support/console.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'

const DAY = 86_400_000
const vault = createVault({ keys: [{ id: 'root', key: Buffer.alloc(32, 1) }] })

let redis: RedisServer | undefined
const ends: (() => unknown)[] = []
afterAll(async () => {
  await Promise.all(ends.map((end) => end()))
  await redis?.stop()
})

/** Each store of the package, with the app `shop`. */
const STORES: Readonly<Record<string, () => Promise<ManagedPolicyStore>>> = {
  'the memory store': async () => memoryStore(),
  async 'the file store'() {
    const folder = await mkdtemp(join(tmpdir(), 'portcullis-console-'))
    ends.push(() => rm(folder, { recursive: true, force: true }))
    const path = join(folder, 'policies.json')
    await writeFile(path, '{"apps":{}}')
    const store = fileStore(path, { vault })
    ends.push(() => store.close())
    return store
  },
  async Redis() {
    redis ??= await startRedis()
    const client = new Redis(redis.url)
    const store = redisStore(client, { prefix: `console:${Math.random()}:`, vault })
    ends.push(() => {
      store.close()
      client.disconnect()
    })
    return store
  },
}

for (const [name, open] of Object.entries(STORES)) {
  describe(`on ${name}`, () => {
    let server: ConsoleServer
    let ada: Client
    let now: number

    beforeEach(async () => {
      const store = await open()
      await store.write(APP_DOCUMENT, 0)
      now = Date.now()
      server = await startConsole({
        store,
        state: consoleStateOf(memoryStorage()),
        now: () => now,
        idleTimeout: 12 * 3_600_000,
      })
      ada = await server.signIn()
    })
    afterEach(async () => {
      await server.close()
      if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
    })

    const view = async (client = ada) => (await client.ask('GET', 'apps/shop')).body
    const shown = async () => {
      const app = await view()
      return app.draft?.policy ?? app.policy
    }
    /** Puts members of a section into the draft, like the dashboard. */
    async function edit(section: string, members: object, client = ada): Promise<Answered> {
      const { policy, draft } = await view(client)
      const before = draft?.policy ?? policy
      return client.ask('PUT', 'apps/shop/draft', {
        ...(draft && { version: draft.version }),
        before,
        policy: { ...before, [section]: { ...before[section], ...members } },
      })
    }
    async function publish(client = ada, note?: string) {
      const { body } = await client.ask('GET', 'apps/shop/review')
      return client.ask(
        'POST',
        'apps/shop/publication',
        { version: body.version, note },
        { 'if-match': `"${body.revision}"` },
      )
    }

    it('an edit is only in the draft; publishing puts it in force, and undoing takes it out of force', async () => {
      expect((await edit('domainProtect', { mode: 'enforce' })).status).toBe(200)
      expect((await server.store.read('shop'))?.policy).toMatchObject({ domainProtect: { mode: 'report' } })
      const { body: review } = await ada.ask('GET', 'apps/shop/review')
      expect(review).toMatchObject({
        changes: [{ path: 'domainProtect.mode', sentence: 'changes the mode from report to enforce' }],
        verdict: { narrows: true, widens: false },
        missing: [],
      })
      expect(review.scoreAfter).toBeGreaterThan(review.scoreBefore)
      const published = await publish(ada, 'seen enough')
      expect(published).toMatchObject({ status: 200, body: { revision: 2, replaced: 1 } })
      expect((await server.store.read('shop'))?.policy).toMatchObject({ domainProtect: { mode: 'enforce' } })
      expect((await view()).draft).toBeUndefined()
      const { body: history } = await ada.ask('GET', 'apps/shop/history')
      expect(history.rows[0]).toMatchObject({ revision: 2, author: 'Ada', note: 'seen enough' })

      const undone = await ada.ask('POST', 'apps/shop/rollback', { to: 1 }, { 'if-match': '"2"' })
      expect(undone.body).toEqual({ revision: 3, replaced: 2 })
      expect((await server.store.read('shop'))?.policy).toMatchObject({ domainProtect: { mode: 'report' } })
      expect((await server.store.keys('shop'))?.map(({ id }) => id)).toEqual(['shop-1'])
    })

    it('an edit that reverts the last one leaves no draft', async () => {
      await edit('regionPin', { mode: 'report' })
      await edit('regionPin', { mode: 'off' })
      expect((await view()).draft).toBeUndefined()
    })

    it('edits of two people in different places are merged, and in the same place the second person decides', async () => {
      const bob = await server.signIn('look', 'widen')
      const before = (await view()).policy
      const put = (client: Client, section: string, members: object): Promise<Answered> =>
        client.ask('PUT', 'apps/shop/draft', {
          before,
          policy: { ...before, [section]: { ...before[section], ...members } },
        })
      expect((await put(ada, 'ipWhitelist', { ranges: ['10.0.0.0/8', '192.0.2.1'] })).status).toBe(200)
      expect((await put(bob, 'ipWhitelist', { ranges: ['10.0.0.0/8', '192.0.2.2'] })).status).toBe(200)
      expect((await put(bob, 'serverOnly', { maxAge: 60 })).status).toBe(200)
      expect(await shown()).toMatchObject({
        serverOnly: { maxAge: 60 },
        ipWhitelist: { ranges: expect.arrayContaining(['10.0.0.0/8', '192.0.2.1', '192.0.2.2']) },
      })
      const refused = await put(ada, 'serverOnly', { maxAge: 90 })
      expect([refused.status, refused.body.code]).toEqual([412, 'REVISION_STALE'])
      expect(refused.body.conflict).toMatchObject({
        conflicts: ['serverOnly.maxAge'],
        theirs: { serverOnly: { maxAge: 60 } },
        yours: { serverOnly: { maxAge: 90 } },
      })
      expect(refused.body.current.author).toBe('look and widen')
    })

    it('an outdated draft is not published, and can be merged', async () => {
      await edit('serverOnly', { maxAge: 60 })
      await server.store.write({ policy: { ...APP, regionPin: { mode: 'report' } } }, 1, { author: 'bob' })
      const { body: review } = await ada.ask('GET', 'apps/shop/review')
      expect(review.conflict).toMatchObject({
        conflicts: [],
        merged: { regionPin: { mode: 'report' }, serverOnly: { maxAge: 60 } },
      })
      const early = await publish()
      expect([early.status, early.body.code]).toEqual([412, 'REVISION_STALE'])
      const { body } = await ada.ask('POST', 'apps/shop/draft/rebase', {
        take: 'merged',
        version: review.version,
      })
      expect(body.draft).toMatchObject({ base: 2, stale: false })
      expect((await publish()).status).toBe(200)
      expect((await server.store.read('shop'))?.policy).toMatchObject({
        regionPin: { mode: 'report' },
        serverOnly: { maxAge: 60 },
      })
    })

    it('a review applies only to the reviewed draft and to the revision that it names', async () => {
      await edit('serverOnly', { maxAge: 60 })
      const { body: review } = await ada.ask('GET', 'apps/shop/review')
      await edit('serverOnly', { maxAge: 90 })
      const send = (version: string, tag?: string): Promise<Answered> =>
        ada.ask('POST', 'apps/shop/publication', { version }, tag === undefined ? {} : { 'if-match': tag })
      expect((await send(review.version, '"1"')).body.code).toBe('REVISION_STALE')
      const { draft } = await view()
      expect((await send(draft.version)).body.code).toBe('REVISION_REQUIRED')
      expect((await send(draft.version, '"7"')).body.code).toBe('REVISION_STALE')
      expect((await send(draft.version, '*')).body.code).toBe('REQUEST_INVALID')
      expect((await server.store.read('shop'))?.revision).toBe(1)
    })

    it('admitting more requires `widen`, admitting less `narrow`, and the glass can be broken with a reason', async () => {
      const [narrow, widen, glass] = [
        await server.signIn('look', 'narrow'),
        await server.signIn('look', 'widen'),
        await server.signIn('look', 'break-glass'),
      ]
      await edit('ipWhitelist', { ranges: ['10.0.0.0/8', '203.0.113.0/24'] })
      expect((await publish(narrow)).body).toMatchObject({ code: 'RIGHT_MISSING', missing: ['widen'] })
      expect((await publish(widen)).status).toBe(200)
      await edit('ipWhitelist', { ranges: ['10.0.0.0/9'] })
      expect((await publish(widen)).body).toMatchObject({ code: 'RIGHT_MISSING', missing: ['narrow'] })
      expect((await publish(glass, 'too short')).body.code).toBe('PURPOSE_MISSING')
      expect((await publish(glass, 'an attack from 10.128 is under way')).status).toBe(200)
      const [latest] = await server.store.history('shop', { limit: 1 })
      expect(latest?.note).toBe('break glass: an attack from 10.128 is under way')
    })

    it.each([
      ['auditAccess', { mode: 'report' }, { mode: 'off' }],
      ['auditAccess', { mode: 'enforce', onSinkFailure: 'allow' }, { mode: 'off' }],
      [
        'domainProtect',
        { mode: 'report', domains: [] },
        { mode: 'enforce', domains: ['https://page.example'], credentials: true },
      ],
    ] as const)(
      'who may only narrow can neither end the record nor let pages read with cookies: `%s` %j',
      async (section, from, to) => {
        await edit(section, from)
        await publish()
        await edit(section, to)
        const refused = await publish(await server.signIn('look', 'narrow'))
        expect(refused.body).toMatchObject({ code: 'RIGHT_MISSING', missing: ['widen'] })
      },
    )

    it('a policy that would break its own expectation is not published', async () => {
      const { policy } = await view()
      const expectation = {
        name: 'the office may call',
        request: { address: '10.1.2.3', signature: {} },
        guards: ['ipWhitelist'],
        effect: 'allow',
      }
      await ada.ask('PUT', 'apps/shop/draft', {
        before: policy,
        policy: { ...policy, expect: [expectation] },
      })
      expect((await publish()).status).toBe(200)
      await edit('ipWhitelist', { ranges: ['192.0.2.0/24'] })
      const refused = await publish()
      expect([refused.status, refused.body.code]).toEqual([422, 'EXPECTATION_FAILED'])
      expect(refused.body.failures).toMatchObject([
        { name: 'the office may call', got: 'ADDRESS_NOT_ALLOWED' },
      ])
      expect((await server.store.read('shop'))?.revision).toBe(2)
    })

    it('the secret of a key is in a single answer', async () => {
      const made = await ada.ask('POST', 'apps/shop/keys', { id: 'shop-2' })
      expect(made.status).toBe(201)
      const { secret } = made.body
      expect(Buffer.from(secret, 'base64')).toHaveLength(32)
      expect((await server.store.read('shop'))?.keys).toContainEqual({
        id: 'shop-2',
        algorithm: 'hmac-sha256',
        secret,
      })
      const others = await Promise.all(
        ['apps', 'apps/shop', 'apps/shop/keys', 'apps/shop/history'].map((path) => ada.ask('GET', path)),
      )
      const said = JSON.stringify([others.map(({ body }) => body), server.sink.events()])
      expect(said).not.toContain(secret)
      expect(said).not.toContain(SECRET)
      expect((await ada.ask('POST', 'apps/shop/keys', { id: 'shop-2' })).status).toBe(422)
    })

    it('a rotation keeps the old key valid for the given time', async () => {
      const { body } = await ada.ask('POST', 'apps/shop/keys/shop-1/rotation', {
        id: 'shop-2',
        overlap: 3_600_000,
      })
      expect(body.keys).toMatchObject([
        { id: 'shop-1', state: 'ending', notAfter: new Date(now + 3_600_000).toISOString() },
        { id: 'shop-2', state: 'active' },
      ])
      now += 3_600_000
      const { body: later } = await ada.ask('GET', 'apps/shop/keys')
      expect(later.keys[0]).toMatchObject({ id: 'shop-1', state: 'ended' })
    })

    it('a rotation neither reactivates expired keys nor extends keys that end sooner', async () => {
      const rotate = async (id: string, overlap: number) =>
        (await ada.ask('POST', 'apps/shop/keys/shop-1/rotation', { id, overlap })).body.keys[0]
      expect(await rotate('shop-2', 3_600_000)).toMatchObject({ state: 'ending' })
      expect(await rotate('shop-3', DAY)).toMatchObject({
        id: 'shop-1',
        notAfter: new Date(now + 3_600_000).toISOString(),
      })
      await ada.ask('POST', 'apps/shop/keys/shop-1/revocation', { leaked: false })
      expect(await rotate('shop-4', DAY)).toMatchObject({
        id: 'shop-1',
        state: 'ended',
        notAfter: new Date(now).toISOString(),
      })
    })

    it('a revoked key can be restored for seven days, and then the next change removes its secret', async () => {
      const { body } = await ada.ask('POST', 'apps/shop/keys/shop-1/revocation', { leaked: false })
      expect(body.keys).toMatchObject([
        { id: 'shop-1', state: 'ended', restorableUntil: new Date(now + 7 * DAY).toISOString() },
      ])
      const restored = await ada.ask('POST', 'apps/shop/keys/shop-1/restoration')
      expect(restored.body.keys).toEqual([expect.objectContaining({ id: 'shop-1', state: 'active' })])

      await ada.ask('POST', 'apps/shop/keys/shop-1/revocation', { leaked: false })
      now += 7 * DAY + 1_000
      ada = await server.signIn()
      expect((await ada.ask('POST', 'apps/shop/keys/shop-1/restoration')).body.code).toBe('NOT_RESTORABLE')
      await ada.ask('POST', 'apps/shop/keys', { id: 'shop-2' })
      expect((await server.store.read('shop'))?.keys.map(({ id }) => id)).toEqual(['shop-2'])
    })

    it('the secret of a leaked key is destroyed at once', async () => {
      const { body } = await ada.ask('POST', 'apps/shop/keys/shop-1/revocation', { leaked: true })
      expect(body.keys).toEqual([])
      expect((await server.store.read('shop'))?.keys).toEqual([])
      expect((await ada.ask('POST', 'apps/shop/keys/shop-1/restoration')).status).toBe(404)
    })

    it('every change is recorded before it happens, with a pseudonym of its author', async () => {
      server.sink.clear()
      await edit('serverOnly', { maxAge: 60 })
      await publish(ada, 'shorter is better')
      await ada.ask('POST', 'apps/shop/keys', { id: 'bad id' })
      expect(server.sink.events()).toMatchObject([
        {
          operation: 'console PUT /apps/:appId/draft',
          appId: 'shop',
          outcome: 'answered',
          actorKind: 'staff',
        },
        { operation: 'console POST /apps/:appId/publication', appId: 'shop', purpose: 'shorter is better' },
        { operation: 'console POST /apps/:appId/keys', outcome: 'answered' },
        { kind: 'outcome', outcome: 'refused', status: 422 },
      ])
      expect(JSON.stringify(server.sink.events())).not.toContain('Ada')
    })

    it('pasted lines are judged one by one', async () => {
      const lines = Array.from({ length: 5_000 }, (_, index) => `172.16.${index >> 8}.${index & 255}`)
      const text = `${lines.join('\n')}\n10.1.2.3 # covered\n10.0.0.1/8\nnonsense, 172.16.0.0`
      const { body } = await ada.ask('POST', 'apps/shop/entries', { list: 'ipWhitelist.ranges', text })
      expect(body.entries).toHaveLength(5_004)
      expect(body.refused).toBe(2)
      const of = (entry: string): unknown =>
        body.entries.findLast((one: { text: string }) => one.text === entry)
      expect(of('10.1.2.3')).toMatchObject({ verdict: 'known' })
      expect(of('10.0.0.1/8')).toMatchObject({ verdict: 'refused', corrected: '10.0.0.0/8' })
      expect(of('nonsense')).toMatchObject({ verdict: 'refused' })
      expect(of('172.16.0.0')).toMatchObject({ verdict: 'known', canonical: '172.16.0.0' })
      expect((await view()).draft).toBeUndefined()
    })

    it('a pasted entry that only a doubtful one covers is valid by itself', async () => {
      const verdicts = async (text: string): Promise<unknown> => {
        const { body } = await ada.ask('POST', 'apps/shop/entries', { list: 'ipWhitelist.ranges', text })
        return body.entries.map(({ verdict }: { verdict: string }) => verdict)
      }
      expect(await verdicts('8.8.8.0/24 8.8.8.8 8.8.8.8')).toEqual(['good', 'known', 'known'])
      expect(await verdicts('0.0.0.0/0 8.8.8.0/24 8.8.8.8 0.0.0.0/0')).toEqual([
        'doubtful',
        'good',
        'known',
        'known',
      ])
    })

    it('pasted return URLs keep their parentheses, and exact ones stay exact', async () => {
      const judge = async (text: string): Promise<unknown> => {
        const asked = { list: 'returnUrlGuard.urls', text }
        const { body } = await ada.ask('POST', 'apps/shop/entries', asked)
        return body.entries.map(({ canonical }: { canonical?: unknown }) => canonical)
      }
      const url = 'https://shop.example/done_(a)'
      expect(await judge(url)).toEqual([url])
      expect(await judge(`<${url}>\n(https://shop.example/b/) ("${url}")`)).toEqual([
        url,
        'https://shop.example/b/',
        url,
      ])
      const exact = { exact: 'https://shop.example/done?a=1' }
      expect(await judge(JSON.stringify(['https://shop.example/a/', exact], undefined, 2))).toEqual([
        'https://shop.example/a/',
        exact,
      ])
      expect(await judge(JSON.stringify(exact))).toEqual([exact])
      expect(await judge('[{"exact":1}, {"exact":"https://shop.example/","more":1}, {}]')).toEqual([
        undefined,
        undefined,
        undefined,
      ])
    })

    it('a trial request is judged by the published policy and by the draft', async () => {
      await edit('ipWhitelist', { ranges: ['192.0.2.0/24'] })
      const { body } = await ada.ask('POST', 'apps/shop/trial', {
        url: 'https://gateway.example/',
        address: '10.1.2.3',
        signature: {},
      })
      const codes = (decisions: { guard: string; code: string }[]) =>
        Object.fromEntries(decisions.map(({ guard, code }) => [guard, code]))
      expect(codes(body.inForce.decisions)).toMatchObject({ serverOnly: 'ALLOWED', ipWhitelist: 'ALLOWED' })
      expect(codes(body.draft.decisions)).toMatchObject({
        serverOnly: 'ALLOWED',
        ipWhitelist: 'ADDRESS_NOT_ALLOWED',
      })
      expect([body.inForce.passes, body.draft.passes]).toEqual([true, false])
    })

    it('a review names the lists that do not exist', async () => {
      await ada.ask('PUT', 'lists/offices', { add: '192.0.2.1' }, { 'if-match': '"0"' })
      await edit('ipWhitelist', { lists: ['offices', 'ofices'], denyLists: ['offices', 'blocked'] })
      const { body } = await ada.ask('GET', 'apps/shop/review')
      expect(body.missingLists).toEqual([
        { name: 'ofices', refuses: false },
        { name: 'blocked', refuses: true },
      ])
    })

    it('named lists are read in pages, and written with their revision', async () => {
      const put = (body: object, tag: string): Promise<Answered> =>
        ada.ask('PUT', 'lists/offices', body, { 'if-match': tag })
      expect((await ada.ask('GET', 'lists/offices')).status).toBe(404)
      const lines = Array.from(
        { length: 1_000 },
        (_, index) => `10.0.${index >> 8}.${index & 255} # desk ${index}`,
      )
      expect((await put({ add: lines.join('\n') }, '"0"')).body).toEqual({ revision: 1 })
      expect((await put({ add: '192.0.2.1' }, '"0"')).body.code).toBe('ALREADY_THERE')
      expect((await put({ add: '192.0.2.1' }, '"7"')).body.code).toBe('REVISION_STALE')
      const refused = await put({ add: '10.0.0.1/8' }, '"1"')
      expect([refused.status, refused.body.issues[0].corrected]).toEqual([422, '10.0.0.0/8'])
      const last = await ada.ask('GET', 'lists/offices?from=900&limit=200')
      expect(last.body).toMatchObject({ size: 1_000, from: 900 })
      expect(last.body.entries).toHaveLength(100)
      expect(last.body.entries[0]).toEqual({ range: '10.0.3.132', note: 'desk 900' })
      const found = await ada.ask('GET', 'lists/offices?find=desk%2099&limit=4')
      expect(found.body.entries.map(({ note }: { note: string }) => note)).toEqual([
        'desk 99',
        'desk 990',
        'desk 991',
        'desk 992',
      ])
      await put({ remove: ['10.0.0.0'], add: '10.0.0.1 # of the chief' }, '"1"')
      expect((await ada.ask('GET', 'lists')).body.lists).toMatchObject([
        { name: 'offices', size: 999, author: 'Ada' },
      ])
      expect((await ada.ask('GET', 'lists/offices?find=chief')).body.entries).toEqual([
        { range: '10.0.0.1', note: 'of the chief' },
      ])
      const widen = await server.signIn('look', 'widen')
      expect((await widen.ask('PUT', 'lists/offices', {}, { 'if-match': '"2"' })).body.missing).toEqual([
        'narrow',
      ])
    })

    it('requests are counted by protection and by hour, and viewing single ones is recorded', async () => {
      const answers = await Promise.all([1, 2, 3].map(() => fetch(new URL('/auth', server.url))))
      const [{ instance } = { instance: '' }] = (await Promise.all(
        answers.map((answer) => answer.json()),
      )) as {
        instance: string
      }[]
      const { body: traffic } = await ada.ask('GET', 'apps/shop/traffic')
      expect(traffic.guards).toContainEqual(
        expect.objectContaining({ guard: 'domainProtect', mode: 'report', judged: 3, denied: 3 }),
      )
      expect(traffic.guards).toContainEqual(
        expect.objectContaining({ guard: 'ipWhitelist', mode: 'enforce', judged: 3, denied: 3 }),
      )
      expect(traffic.hours.reduce((sum: number, hour: { refused: number }) => sum + hour.refused, 0)).toBe(3)
      expect(JSON.stringify(traffic)).not.toContain(instance)
      const before = server.sink.events().length
      const { body } = await ada.ask('GET', 'apps/shop/requests?why=a+call+of+the+shop')
      expect(body.rows).toHaveLength(3)
      const { body: one } = await ada.ask('GET', `requests/${instance}`)
      expect(one.events).toMatchObject([{ kind: 'operation', outcome: 'refused', appId: 'shop' }])
      expect(server.sink.events().slice(before)).toMatchObject([
        { operation: 'console GET /apps/:appId/requests', purpose: 'a call of the shop', actorKind: 'staff' },
        { operation: 'console GET /requests/:requestId' },
      ])
    })

    it('requests are streamed as they arrive, until the caller leaves', async () => {
      const { session } = ada
      expect(session.offers.events).toBe(true)
      const stream = await ada.stream('apps/shop/tail')
      const { instance } = (await (await fetch(new URL('/auth', server.url))).json()) as { instance: string }
      let text = ''
      for await (const chunk of stream) {
        text += Buffer.from(chunk).toString()
        if (text.includes('data: ') && text.endsWith('\n\n')) break
      }
      const [row] = text.split('\n').filter((line) => line.startsWith('data: '))
      expect(JSON.parse(row?.slice('data: '.length) ?? '')).toMatchObject({
        requestId: instance,
        outcome: 'refused',
      })
      expect(server.sink.events()).toContainEqual(
        expect.objectContaining({ operation: 'console GET /apps/:appId/tail', actorKind: 'staff' }),
      )
    })

    it('the apps with a key are found by its id, some apps at a time', async () => {
      for (const appId of ['shop-a', 'shop-b', 'zoo']) await ada.ask('POST', 'apps', { appId })
      for (const appId of ['shop-a', 'zoo']) await ada.ask('POST', `apps/${appId}/keys`, { id: 'mine' })
      const first = await ada.ask('GET', 'keys?find=mine&limit=2')
      expect(first.body).toEqual({ apps: ['shop-a'], unread: [], next: 'shop-a' })
      const second = await ada.ask('GET', 'keys?find=mine&limit=2&after=shop-a')
      expect(second.body).toEqual({ apps: ['zoo'], unread: [] })
      expect((await ada.ask('GET', 'keys?find=other')).body).toEqual({ apps: [], unread: [] })
      for (const query of ['', '?find=', '?find=a%20b', '?find=mine&limit=1000'])
        expect((await ada.ask('GET', `keys${query}`)).status).toBe(400)
    })

    it('apps are listed in pages, and found by the beginning of their id', async () => {
      for (const appId of ['shop-a', 'shop-b', 'shop-c', 'zoo']) await ada.ask('POST', 'apps', { appId })
      const ids = ({ body }: Answered): string[] => body.apps.map((app: { appId: string }) => app.appId)
      const first = await ada.ask('GET', 'apps?limit=2')
      expect([ids(first), first.body.next]).toEqual([['shop', 'shop-a'], 'shop-a'])
      const second = await ada.ask('GET', 'apps?limit=2&after=shop-a')
      expect(ids(second)).toEqual(['shop-b', 'shop-c'])
      const found = await ada.ask('GET', 'apps?limit=2&find=shop-')
      expect(ids(found)).toEqual(['shop-a', 'shop-b'])
      expect(ids(await ada.ask('GET', `apps?limit=2&find=shop-&after=${found.body.next}`))).toEqual([
        'shop-c',
      ])
      expect(ids(await ada.ask('GET', 'apps?find=shop'))).toEqual(['shop', 'shop-a', 'shop-b', 'shop-c'])
      expect((await ada.ask('POST', 'apps', { appId: 'zoo' })).body.code).toBe('ALREADY_THERE')
      expect((await ada.ask('GET', 'apps?limit=0')).status).toBe(400)
    })
  })
}
