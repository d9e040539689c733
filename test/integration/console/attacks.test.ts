import { connect } from 'node:net'
import express from 'express'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { UnavailableError } from 'portcullis'
import { consoleTokens, memoryConsoleState, type ConsoleRight, type ConsoleUser } from 'portcullis/console'
import { SESSION_COOKIE } from '../../../src/console/sessions.ts'
import { HOSTILE_TEXTS } from '../../support/hostile-texts.ts'
import { APP, startConsole, tokenFor, type Client, type ConsoleServer } from '../../support/console.ts'

let server: ConsoleServer
let ada: Client
let now: number
beforeEach(async () => {
  now = 1_800_000_000_000
  server = await startConsole({ now: () => now })
  ada = await server.signIn()
})
afterEach(async () => {
  await server.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

/** A draft in which one member of a section has another form. */
const drafted = (section: string, members: object) =>
  ['PUT', 'apps/shop/draft', { before: APP, policy: { ...APP, [section]: members } }] as const

describe('hostile input', () => {
  const fields: Readonly<
    Record<
      string,
      (
        text: string,
      ) => readonly [method: string, path: string, body?: unknown, headers?: Record<string, string>]
    >
  > = {
    'an id of an app': (text) => ['POST', 'apps', { appId: text }],
    'a name of an app': (text) => ['POST', 'apps', { appId: 'fresh', name: text }],
    'an id of an app in a path': (text) => ['GET', `apps/${encode(text)}`],
    'what is searched for': (text) => ['GET', `apps?find=${encode(text)}`],
    'where a page begins': (text) => ['GET', `apps?after=${encode(text)}`],
    'an id of a key': (text) => ['POST', 'apps/shop/keys', { id: text }],
    'an id of a key in a path': (text) => ['DELETE', `apps/shop/keys/${encode(text)}`],
    'a pasted text': (text) => ['POST', 'apps/shop/entries', { list: 'domainProtect.domains', text }],
    'a name of a list': (text) => ['POST', 'apps/shop/entries', { list: text, text: 'x' }],
    'a version': (text) => ['DELETE', 'apps/shop/draft', { version: text }],
    'a range': (text) => [
      'PUT',
      'apps/shop/draft',
      { before: APP, policy: { ...APP, ipWhitelist: { mode: 'enforce', ranges: [text] } } },
    ],
    'a jurisdiction': (text) => [
      'PUT',
      'apps/shop/draft',
      { before: APP, policy: { ...APP, regionPin: { mode: 'enforce', fallback: text } } },
    ],
    'a key of a policy': (text) => [
      'PUT',
      'apps/shop/draft',
      { before: APP, policy: { ...APP, [text]: {} } },
    ],
    'a URL that is tried': (text) => ['POST', 'apps/shop/trial', { url: text }],
    'a header that is tried': (text) => [
      'POST',
      'apps/shop/trial',
      { url: 'https://a.example/', headers: { [text]: text } },
    ],
    'an origin that is tried': (text) => [
      'POST',
      'apps/shop/trial',
      { url: 'https://a.example/', headers: { origin: text }, returnUrl: text, address: text.slice(0, 60) },
    ],
    'a method that is tried': (text) => ['POST', 'apps/shop/trial', { method: text }],
    'content that is tried': (text) => [
      'POST',
      'apps/shop/trial',
      { method: 'POST', body: text, signature: {} },
    ],
    'a country and a location that are tried': (text) => [
      'POST',
      'apps/shop/trial',
      { country: text, here: text },
    ],
    'a name in the draft': (text) => [
      'PUT',
      'apps/shop/draft',
      { before: APP, policy: { ...APP, name: text } },
    ],
    'a denied range': (text) => drafted('ipWhitelist', { mode: 'enforce', ranges: [], deny: [text] }),
    'a named list of a policy': (text) =>
      drafted('ipWhitelist', { mode: 'enforce', ranges: [], lists: [text], denyLists: [text] }),
    'an origin': (text) => drafted('domainProtect', { mode: 'enforce', domains: [text] }),
    'a method of pages': (text) =>
      drafted('domainProtect', { mode: 'enforce', domains: [], methods: [text] }),
    'a header of pages': (text) =>
      drafted('domainProtect', { mode: 'enforce', domains: [], headers: [text], exposedHeaders: [text] }),
    'what servers must show': (text) =>
      drafted('domainProtect', { mode: 'enforce', domains: [], server: text }),
    'cookies of pages': (text) =>
      drafted('domainProtect', { mode: 'enforce', domains: [], credentials: text }),
    'a return URL': (text) => drafted('returnUrlGuard', { mode: 'enforce', urls: [text] }),
    'an exact return URL': (text) => drafted('returnUrlGuard', { mode: 'enforce', urls: [{ exact: text }] }),
    'an age of signatures': (text) => drafted('serverOnly', { mode: 'enforce', maxAge: text }),
    'what a signature covers': (text) =>
      drafted('serverOnly', { mode: 'enforce', requireDigest: text, requireContentType: text }),
    'a mode': (text) => drafted('serverOnly', { mode: text }),
    'what becomes of a misdirected request': (text) =>
      drafted('regionPin', { mode: 'enforce', onMisdirected: text }),
    'what becomes of an event that cannot be kept': (text) =>
      drafted('auditAccess', { mode: 'enforce', onSinkFailure: text }),
    'a name of an expectation': (text) => [
      'PUT',
      'apps/shop/draft',
      {
        before: APP,
        policy: { ...APP, expect: [{ name: text, request: { url: 'https://a.example/' }, effect: 'deny' }] },
      },
    ],
    'an id that confirms a removal': (text) => [
      'DELETE',
      'apps/shop',
      { appId: text, note: text },
      { 'if-match': '"7"' },
    ],
    'a note of a publication': (text) => [
      'POST',
      'apps/shop/publication',
      { version: text, note: text },
      { 'if-match': '"1"' },
    ],
    'a reason of a roll-back': (text) => [
      'POST',
      'apps/shop/rollback',
      { to: 7, note: text },
      { 'if-match': '"1"' },
    ],
    'a policy of a program, with its reason': (text) => [
      'PUT',
      `apps/shop/policy?why=${encode(text)}`,
      { ...APP, name: text },
      { 'if-match': '"7"' },
    ],
    'an entity tag': (text) => [
      'POST',
      'apps/shop/rollback',
      { to: 1 },
      // Text that is not valid in a header is not sent.
      { 'if-match': /^[ -~]{1,1000}$/.test(text) ? text : 'x' },
    ],
    'an id of a rotated key': (text) => ['POST', 'apps/shop/keys/shop-1/rotation', { id: text, overlap: 0 }],
    'an overlap of keys': (text) => ['POST', 'apps/shop/keys/shop-1/rotation', { id: 'new', overlap: text }],
    'a name of a new list': (text) => ['PUT', `lists/${encode(text)}`, {}, { 'if-match': '"0"' }],
    'entries of a list': (text) => ['PUT', 'lists/office', { add: text, note: text }, { 'if-match': '"0"' }],
    'entries that leave a list': (text) => [
      'PUT',
      'lists/other',
      { add: '', remove: [text] },
      { 'if-match': '"0"' },
    ],
    'what is searched for in a list': (text) => [
      'GET',
      `lists/office?find=${encode(text)}&from=${encode(text)}`,
    ],
    'an id of a request': (text) => ['GET', `requests/${encode(text)}`],
    'an id of a request that is judged again': (text) => ['GET', `requests/${encode(text)}/judgement`],
    'what a rebase takes': (text) => ['POST', 'apps/shop/draft/rebase', { take: text, version: text }],
    'a token': (text) => ['POST', 'session', { token: text }],
    'a number': (text) => ['GET', `apps/shop/history?before=${encode(text)}`],
  }
  const encode = (text: string): string =>
    encodeURIComponent(text === '\ud800' ? '%ed%a0%80' : text).slice(0, 4_000)

  for (const [field, request] of Object.entries(fields)) {
    it(`${field} is refused or stored as text`, async () => {
      for (const text of HOSTILE_TEXTS) {
        const [method, path, body, more] = request(text)
        const { status, headers } = await ada.ask(method, path, body, more)
        expect([text.slice(0, 40), status < 500, status]).toEqual([text.slice(0, 40), true, status])
        expect(headers.get('content-type') ?? 'application/json').toMatch(/^application\/(problem\+)?json/)
        expect(headers.get('x-content-type-options')).toBe('nosniff')
      }
      expect((await server.store.read('shop'))?.policy).toMatchObject({
        ipWhitelist: { ranges: ['10.0.0.0/8'] },
      })
      expect(({} as { mode?: unknown }).mode).toBeUndefined()
    })
  }

  const contents: readonly (readonly [string, string, number])[] = [
    ['no JSON', '{', 400],
    ['an array', '[]', 400],
    ['null', 'null', 400],
    ['a member too many', '{"id":"a","more":1}', 400],
    ['a member of another type', '{"id":{}}', 400],
    ['a prototype', '{"__proto__":{"id":"a"}}', 400],
    ['eight megabytes and more', `{"id":"${'a'.repeat(8 * 1_048_576)}"}`, 413],
  ]
  it.each(contents)('content such as %s is refused', async (_name, content, status) => {
    expect((await ada.ask('POST', 'apps/shop/keys', content)).status).toBe(status)
  })

  it('content of a form is refused', async () => {
    const { status } = await ada.ask('POST', 'apps/shop/keys', 'id=a', {
      'content-type': 'application/x-www-form-urlencoded',
    })
    expect(status).toBe(415)
  })
})

describe('a caller who is not signed in', () => {
  it('can send at most 4,096 bytes', async () => {
    const content = JSON.stringify({ token: tokenFor('look') })
    expect((await server.ask('POST', 'session', content.padEnd(4_096))).status).toBe(201)
    for (const size of [4_097, 1_000_000]) {
      const { status, body } = await server.ask('POST', 'session', content.padEnd(size))
      expect([size, status, body.code]).toEqual([size, 413, 'CONTENT_TOO_LARGE'])
    }
  })

  it('who aborts a request does not cause an error in the console', async () => {
    const app = express()
    const over = new Promise<void>((resolve) => {
      app.use((req, res, next) => {
        if (req.headers['content-length'] === '100') res.once('close', resolve)
        next()
      })
    })
    const other = await startConsole({ app })
    const { hostname, port } = new URL(other.url)
    const socket = connect(Number(port), hostname)
    const head = 'POST /admin/console/api/session HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n'
    socket.write(`${head}content-length: 100\r\n\r\n{"token"`, () => setImmediate(() => socket.destroy()))
    await over
    // This is answered after the consequences of the aborted request.
    expect((await other.ask('GET', 'session')).status).toBe(200)
    await other.close()
    expect(other.faults).toEqual([])
  })
})

describe('the session', () => {
  const signIn = (token = tokenFor('look')): ReturnType<ConsoleServer['ask']> =>
    server.ask('POST', 'session', { token })
  const idOf = (cookie: string | null): string => /=([\w-]{43});/.exec(cookie ?? '')?.[1] ?? ''

  it('is a cookie that scripts cannot read and other sites cannot send', async () => {
    const cookie = (await signIn()).headers.get('set-cookie')
    expect(cookie).toMatch(
      /^__Host-portcullis-console=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
    )
  })

  it('gets a new id at each sign-in, whatever cookie was sent', async () => {
    const planted = 'A'.repeat(43)
    const { headers } = await server.ask(
      'POST',
      'session',
      { token: tokenFor('look') },
      { cookie: `${SESSION_COOKIE}=${planted}` },
    )
    expect(idOf(headers.get('set-cookie'))).not.toBe(planted)
    const asked = await server.ask('GET', 'apps', undefined, { cookie: `${SESSION_COOKIE}=${planted}` })
    expect(asked.status).toBe(401)
  })

  it('is ignored if two cookies have its name', async () => {
    const id = idOf((await signIn()).headers.get('set-cookie'))
    const one = `${SESSION_COOKIE}=${id}`
    expect((await server.ask('GET', 'apps', undefined, { cookie: one })).status).toBe(200)
    expect((await server.ask('GET', 'apps', undefined, { cookie: `${one}; ${one}` })).status).toBe(401)
  })

  it('ends after half an hour without use, after twelve hours in any case, and at sign-out', async () => {
    now += 29 * 60_000
    expect((await ada.ask('GET', 'apps')).status).toBe(200)
    now += 29 * 60_000
    expect((await ada.ask('GET', 'apps')).status).toBe(200)
    now += 31 * 60_000
    expect((await ada.ask('GET', 'apps')).status).toBe(401)

    ada = await server.signIn()
    for (let minutes = 0; minutes < 12 * 60; minutes += 20) {
      expect((await ada.ask('GET', 'apps')).status).toBe(200)
      now += 20 * 60_000
    }
    now += 60_000
    expect((await ada.ask('GET', 'apps')).status).toBe(401)

    ada = await server.signIn()
    await ada.ask('DELETE', 'session')
    expect((await ada.ask('GET', 'apps')).status).toBe(401)
  })

  it('cannot be started with a wrong token', async () => {
    for (const token of ['', 'wrong', `${tokenFor('look')} `, tokenFor('look').toUpperCase()]) {
      const { status, body, headers } = await signIn(token)
      expect([token, status, body.code, headers.get('set-cookie')]).toEqual([
        token,
        401,
        'SIGN_IN_REFUSED',
        null,
      ])
    }
  })

  it('is recorded with a pseudonym of its owner, and so is a failed attempt', async () => {
    server.sink.clear()
    await signIn()
    await signIn('wrong')
    const [asked, begun, again, failed] = server.sink.events()
    expect([asked, begun]).toMatchObject([
      { operation: 'console POST /session', outcome: 'answered' },
      { operation: 'console POST /session', actorKind: 'staff', requestId: asked?.requestId },
    ])
    expect(failed).toMatchObject({
      kind: 'outcome',
      outcome: 'refused',
      status: 401,
      requestId: again?.requestId,
    })
    expect(server.sink.events()).toHaveLength(4)
    expect(JSON.stringify(server.sink.events())).not.toContain('token for')
  })

  it('is one of at most fifty with one name: one more ends the oldest, and others stay', async () => {
    const begin = async () => {
      const { headers } = await signIn()
      const cookie = `${SESSION_COOKIE}=${idOf(headers.get('set-cookie'))}`
      return async () => (await server.ask('GET', 'apps', undefined, { cookie })).status
    }
    const first = await begin()
    const second = await begin()
    for (let count = 2; count < 50; count += 1) await begin()
    expect([await first(), await second()]).toEqual([200, 200])
    const last = await begin()
    expect([await first(), await second(), await last()]).toEqual([401, 200, 200])
    expect((await ada.ask('GET', 'apps')).status).toBe(200)
  })

  it('is stored as long as it can be used, and takes no space from drafts', async () => {
    const lifetimes: number[] = []
    const state = memoryConsoleState()
    const other = await startConsole({
      idleTimeout: 60_000,
      state: {
        read: state.read,
        replace(key, before, after, lifetime) {
          if (key.startsWith('session:')) lifetimes.push(lifetime)
          return state.replace(key, before, after, lifetime)
        },
      },
    })
    const client = await other.signIn()
    expect(lifetimes).toEqual([60_000])
    const fill = async () => {
      for (let count = 0; count <= 10_000; count += 1)
        await state.replace(`session:${count}`, undefined, 'x', 3_600_000)
    }
    await expect(fill()).rejects.toThrow('10000 entries of this kind')
    const policy = { ...APP, regionPin: { mode: 'report' } }
    expect((await client.ask('PUT', 'apps/shop/draft', { before: APP, policy })).status).toBe(200)
    await other.close()
  })

  it('cannot be reconstructed from the stored state', async () => {
    const kept = new Map<string, string>()
    const inner = memoryConsoleState()
    const other = await startConsole({
      state: {
        read: inner.read,
        replace(key, before, after, lifetime) {
          if (after !== undefined) kept.set(key, after)
          return inner.replace(key, before, after, lifetime)
        },
      },
    })
    const { headers } = await other.ask('POST', 'session', { token: tokenFor('look') })
    const id = idOf(headers.get('set-cookie'))
    expect([...kept.keys()].filter((key) => key.startsWith('session:'))).toHaveLength(1)
    expect(JSON.stringify([...kept])).not.toContain(id)
    await other.close()
  })

  it('ends with its token, and has the current rights of the token', async () => {
    const state = memoryConsoleState()
    const token = tokenFor('look')
    const other = { token: 'of somebody else'.padEnd(40), name: 'Eve' }
    const start = (rights?: readonly ConsoleRight[]): Promise<ConsoleServer> =>
      startConsole({
        state,
        authorize: consoleTokens([other, ...(rights ? [{ token, name: 'Bob', rights }] : [])]),
      })
    const servers = [await start(['look', 'keys']), await start(['look']), await start()] as const
    const { body, headers } = await servers[0].ask('POST', 'session', { token })
    const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
    const codes = servers.map(async (one) => {
      const content = { id: `key-${servers.indexOf(one)}` }
      const answer = await one.ask('POST', 'apps/shop/keys', content, { cookie, 'x-csrf-token': body.csrf })
      return answer.body.code ?? answer.status
    })
    expect(await Promise.all(codes)).toEqual([201, 'RIGHT_MISSING', 'SIGNED_OUT'])
    await Promise.all(servers.map((one) => one.close()))
  })

  it('ends its stream of requests when it ends', async () => {
    const stream = await ada.stream('apps/shop/tail')
    let told = 0
    for await (const chunk of stream) {
      if (told === 0) await ada.ask('DELETE', 'session')
      told += chunk.length
    }
    expect(told).toBeGreaterThan(0)
  })

  it('ends its stream of requests when the right to see them is removed', async () => {
    let rights: readonly ConsoleRight[] = ['look', 'look-at-personal-data']
    const other = await startConsole({ authorize: () => ({ name: 'bob', rights }) })
    const { headers } = await other.ask('POST', 'session', {})
    const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
    const { body: events } = await fetch(`${other.url}/api/apps/shop/tail`, { headers: { cookie } })
    let told = 0
    for await (const chunk of events ?? []) {
      rights = ['look']
      told += chunk.length
    }
    expect(told).toBeGreaterThan(0)
    expect((await other.ask('GET', 'apps', undefined, { cookie })).status).toBe(200)
    await other.close()
  })

  it('of the application itself is checked with every request', async () => {
    let user: ConsoleUser | undefined = { name: 'bob', rights: ['look', 'keys'] }
    const other = await startConsole({ authorize: ({ token }) => (token === undefined ? user : undefined) })
    const { body, headers } = await other.ask('POST', 'session', {})
    const cookie = headers.get('set-cookie')?.split(';')[0] ?? ''
    const ask = (method: string, path: string, content?: unknown): ReturnType<ConsoleServer['ask']> =>
      other.ask(method, path, content, { cookie, 'x-csrf-token': body.csrf })
    expect((await ask('POST', 'apps/shop/keys', { id: 'k' })).status).toBe(201)
    user = { name: 'bob', rights: ['look'] }
    expect((await ask('POST', 'apps/shop/keys', { id: 'l' })).body.code).toBe('RIGHT_MISSING')
    user = { name: 'eve', rights: ['look'] }
    expect((await ask('GET', 'apps')).status).toBe(401)
    user = undefined
    expect((await ask('GET', 'apps')).status).toBe(401)
    await other.close()
  })
})

describe('when a service is unreachable', () => {
  it('nothing is changed that the audit cannot record', async () => {
    const sink = { write: () => Promise.reject(new Error('the sink is away')) }
    const other = await startConsole({ sink })
    const { status, body } = await other.ask('POST', 'session', { token: tokenFor('look') })
    expect([status, body.code]).toEqual([503, 'UNAVAILABLE'])
    expect(other.faults).toHaveLength(1)
    await other.close()
  })

  it.each([
    ['that cannot be reached', 503, new UnavailableError('connection to 10.0.0.5 lost')],
    ['with a fault of its own', 500, new TypeError('connection to 10.0.0.5 lost')],
  ])('a store %s gives %i, without the reason', async (_, wanted, error) => {
    const away = (): Promise<never> => Promise.reject(error)
    const other = await startConsole({ store: { ...server.store, list: away } })
    const client = await other.signIn()
    const { status, headers, body } = await client.ask('GET', 'apps')
    expect([status, headers.get('retry-after'), body.code]).toEqual(
      wanted === 503 ? [503, '5', 'UNAVAILABLE'] : [500, null, 'INTERNAL'],
    )
    expect(JSON.stringify(body)).not.toContain('10.0.0.5')
    expect(other.faults).toEqual([error])
    await other.close()
  })
})
