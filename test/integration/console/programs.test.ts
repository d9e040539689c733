import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { consoleTokens, type ConsoleRight } from 'portcullis/console'
import {
  ALL_RIGHTS,
  APP,
  startConsole,
  tokenFor,
  type Answered,
  type ConsoleServer,
} from '../../support/console.ts'

let server: ConsoleServer
beforeEach(async () => {
  server = await startConsole()
})
afterEach(async () => {
  await server.close()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})

type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
) => Promise<Answered>
const bearer =
  (...rights: readonly ConsoleRight[]): Ask =>
  (method, path, body, headers = {}) =>
    server.ask(method, path, body, { authorization: `Bearer ${tokenFor(...rights)}`, ...headers })

const WIDER = {
  ...APP,
  ipWhitelist: { mode: 'enforce', ranges: ['10.0.0.0/8', '192.0.2.0/24'] },
}
const NARROWER = { ...APP, ipWhitelist: { mode: 'enforce', ranges: ['10.0.0.0/9'] } }

describe('a token with each request', () => {
  it('replaces a session, in every spelling of the scheme, and creates none', async () => {
    for (const scheme of ['Bearer', 'bearer', 'BEARER ']) {
      const { status, headers } = await server.ask('GET', 'apps', undefined, {
        authorization: `${scheme} ${tokenFor('look')}`,
      })
      expect([scheme, status, headers.get('set-cookie')]).toEqual([scheme, 200, null])
    }
  })

  it('has the rights of its owner, whose pseudonym is recorded', async () => {
    server.sink.clear()
    const refused = await bearer('look')('POST', 'apps', { appId: 'new' })
    expect([refused.status, refused.body.code]).toEqual([403, 'RIGHT_MISSING'])
    const made = await bearer('look', 'widen')('POST', 'apps', { appId: 'new' })
    expect(made.status).toBe(201)
    const [row] = await server.store.history('new', { limit: 1 })
    expect(row?.author).toBe('look and widen')
    expect(JSON.stringify(server.sink.events())).not.toContain('token for')
    expect(server.sink.events().map(({ kind }) => kind)).toContain('operation')
  })

  it.each(['wrong', '', `${tokenFor('look')}x`, `${tokenFor('look')} x`])(
    'that is wrong (`%s`) is refused, and does not affect a session',
    async (token) => {
      const { status, body } = await server.ask('GET', 'apps', undefined, {
        authorization: `Bearer ${token}`,
      })
      expect([status, body.code]).toEqual([401, 'SIGNED_OUT'])
      const ada = await server.signIn()
      const authorization = `Bearer ${token}`
      expect((await ada.ask('GET', 'apps', undefined, { authorization })).status).toBe(200)
      const forged = await ada.ask('POST', 'apps', { appId: 'new' }, { authorization, 'x-csrf-token': '' })
      expect([forged.status, forged.body.code]).toEqual([403, 'FORGERY_SUSPECTED'])
    },
  )

  it('is refused from a page of another site', async () => {
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      const { status, body } = await bearer(...ALL_RIGHTS)('POST', 'apps', { appId: 'new' }, headers)
      expect([status, body.code]).toEqual([403, 'FORGERY_SUSPECTED'])
    }
  })

  it('is ignored if `authorize` is your own function, which an attacker could otherwise guess tokens for', async () => {
    const inner = consoleTokens([{ token: tokenFor('look'), name: 'Ada' }])
    const other = await startConsole({ authorize: (attempt) => inner(attempt) })
    const { status } = await other.ask('GET', 'apps', undefined, {
      authorization: `Bearer ${tokenFor('look')}`,
    })
    expect(status).toBe(401)
    await other.close()
  })
})

describe('PUT /apps/{appId}/policy', () => {
  const put = (
    rights: readonly ConsoleRight[],
    policy: { readonly appId: string },
    revision: number,
    why = '',
  ): Promise<Answered> =>
    bearer(...rights)(
      'PUT',
      `apps/shop/policy${why === '' ? '' : `?why=${encodeURIComponent(why)}`}`,
      policy,
      {
        'if-match': `"${revision}"`,
      },
    )

  it('replaces the named revision, with a reason, and keeps the keys', async () => {
    const { status, body, headers } = await put(ALL_RIGHTS, WIDER, 1, 'a new office')
    expect([status, body, headers.get('etag')]).toEqual([200, { revision: 2, replaced: 1 }, '"2"'])
    const [row] = await server.store.history('shop', { limit: 1 })
    expect([row?.author, row?.note, row?.keysChanged]).toEqual(['Ada', 'a new office', false])
    expect(await server.store.keys('shop')).toHaveLength(1)
  })

  it('requires the rights that the change needs', async () => {
    const wider = await put(['look', 'narrow'], WIDER, 1)
    expect([wider.status, wider.body.missing]).toEqual([403, ['widen']])
    const narrower = await put(['look', 'widen'], NARROWER, 1)
    expect([narrower.status, narrower.body.missing]).toEqual([403, ['narrow']])
    expect((await put(['look', 'narrow'], NARROWER, 1)).status).toBe(200)
    const hurried = await put(['look', 'break-glass'], APP, 2, 'soon')
    expect([hurried.status, hurried.body.code]).toEqual([400, 'PURPOSE_MISSING'])
    expect((await put(['look', 'break-glass'], APP, 2, 'an outage of the office network')).status).toBe(200)
    const [row] = await server.store.history('shop', { limit: 1 })
    expect(row?.note).toBe('break glass: an outage of the office network')
  })

  it('refuses another revision, another app, an invalid document and a broken expectation', async () => {
    const stale = await put(ALL_RIGHTS, WIDER, 7)
    expect([stale.status, stale.body.code]).toEqual([412, 'REVISION_STALE'])
    const other = await put(ALL_RIGHTS, { ...WIDER, appId: 'other' }, 1)
    expect([other.status, other.body.issues[0].path]).toEqual([422, 'appId'])
    const bad = await put(ALL_RIGHTS, { ...APP, ipWhitelist: { mode: 'enforce', ranges: ['x'] } } as never, 1)
    expect([bad.status, bad.body.issues[0].path]).toEqual([422, 'ipWhitelist.ranges[0]'])
    const request = { url: 'https://gateway.example/', address: '192.0.2.7' }
    const broken = { ...APP, expect: [{ name: 'office', request, effect: 'allow' }] }
    const answer = await put(ALL_RIGHTS, broken, 1)
    expect([answer.status, answer.body.code]).toEqual([422, 'EXPECTATION_FAILED'])
    expect((await server.store.read('shop'))?.revision).toBe(1)
  })

  it('creates an app with `If-Match: "0"`, which requires `widen`, unless it exists', async () => {
    const make = (...rights: readonly ConsoleRight[]) =>
      bearer(...rights)('PUT', 'apps/new/policy', { appId: 'new' }, { 'if-match': '"0"' })
    const refused = await make('look', 'narrow')
    expect([refused.status, refused.body.missing]).toEqual([403, ['widen']])
    expect((await make('look', 'widen')).status).toBe(201)
    const again = await make('look', 'widen')
    expect([again.status, again.body.code]).toEqual([409, 'ALREADY_THERE'])
  })
})
