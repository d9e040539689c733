import { describe, expect, it } from '@jest/globals'
import express from 'express'
import request from 'supertest'
import {
  bodyParsers,
  createPolicySource,
  memoryNonces,
  serverOnly,
  type NonceStore,
  type PolicySource,
  type Mode,
  type PolicyInput,
} from 'portcullis'
import { signedFetch, signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const SECTIONS = { serverOnly: { mode: 'enforce' } } as const
const guards = (policies: PolicySource) => [
  ...bodyParsers(),
  serverOnly({ policies, nonces: memoryNonces() }),
]
const signer = { keyId: KEY.id, secret: KEY.secret }

describe('serverOnly', () => {
  it('admits requests that signedFetch sends, with and without content', async () => {
    const { app } = protectedApp(SECTIONS, guards, (req, res) => void res.json({ body: req.body ?? null }))
    await listening(app, async (origin) => {
      const signed = signedFetch({ ...signer, appId: APP })
      expect((await signed(`${origin}/a/b?x=1&y=%20`)).status).toBe(200)
      const posted = await signed(`${origin}/`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ text: 'Grüße' }),
      })
      expect([posted.status, await posted.json()]).toEqual([200, { body: { text: 'Grüße' } }])
    })
  })

  it('admits a signed request if a router has removed a part of the path', async () => {
    const inner = protectedApp(SECTIONS, guards)
    const outer = express().use('/auth', inner.app)
    await listening(outer, async (origin) => {
      expect((await signedFetch({ ...signer, appId: APP })(`${origin}/auth/x`)).status).toBe(200)
    })
  })

  /** Sends a signed POST that is changed in transit. */
  async function sendChanged(
    change: (sent: { url: string; method: string; headers: Record<string, string>; body: string }) => void,
    sections: Partial<PolicyInput> = SECTIONS,
  ) {
    const { app, reached } = protectedApp(sections, guards)
    return listening(app, async (origin) => {
      const sent = {
        url: `${origin}/pay?amount=1`,
        method: 'POST',
        body: '{"to":"alice"}',
        headers: {} as Record<string, string>,
      }
      sent.headers = await signRequest(
        { ...sent, headers: { 'content-type': 'application/json', 'x-app-id': APP } },
        signer,
      )
      change(sent)
      const response = await fetch(sent.url, { method: sent.method, headers: sent.headers, body: sent.body })
      return {
        status: response.status,
        code: ((await response.json()) as { code?: string }).code,
        reached,
        headers: response.headers,
      }
    })
  }

  it('refuses a request whose header lines were dropped, even if the rest is signed', async () => {
    const { app, reached } = protectedApp(SECTIONS, guards)
    await listening(app, async (origin, server) => {
      server.maxHeadersCount = 20
      const { host, port } = new URL(origin)
      const send = async (more: number): Promise<string> => {
        const signed = await signRequest({ method: 'GET', url: origin, headers: { 'x-app-id': APP } }, signer)
        const lines = Object.entries({ host, connection: 'close', ...signed })
        for (let count = 0; count < more; count += 1) lines.push([`x-more-${count}`, 'a'])
        const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
        return exchange(Number(port), `GET / HTTP/1.1\r\n${head}\r\n`)
      }
      expect(await send(5)).toMatch(/^HTTP\/1\.1 200 /)
      const refused = await send(50)
      // Later versions of Node answer 431 instead of dropping lines.
      expect(refused).toMatch(/^HTTP\/1\.1 (?:431 |401 [\s\S]*"code":"SIGNATURE_INVALID")/)
      expect(reached).toHaveLength(1)
    })
  })

  it('admits the unchanged request', async () => {
    expect((await sendChanged(() => undefined)).status).toBe(200)
  })

  const changes: [string, Parameters<typeof sendChanged>[0], string][] = [
    ['another body', (sent) => (sent.body = '{"to":"mallo"}'), 'DIGEST_MISMATCH'],
    ['another method', (sent) => (sent.method = 'PUT'), 'SIGNATURE_INVALID'],
    ['another path', (sent) => (sent.url = sent.url.replace('/pay', '/Pay')), 'SIGNATURE_INVALID'],
    ['another query', (sent) => (sent.url = sent.url.replace('amount=1', 'amount=2')), 'SIGNATURE_INVALID'],
    [
      'another authority',
      (sent) => (sent.url = sent.url.replace('127.0.0.1', 'localhost')),
      'SIGNATURE_INVALID',
    ],
    [
      'no signature',
      (sent) => {
        delete sent.headers['signature']
        delete sent.headers['signature-input']
      },
      'SIGNATURE_REQUIRED',
    ],
    ['garbage for a signature', (sent) => (sent.headers['signature'] = 'sig1=:AAAA:'), 'SIGNATURE_INVALID'],
    [
      'an unknown key',
      (sent) =>
        (sent.headers['signature-input'] = (sent.headers['signature-input'] ?? '').replace('key-1', 'key-2')),
      'SIGNATURE_INVALID',
    ],
    ['an Origin header', (sent) => (sent.headers['origin'] = 'https://example.org'), 'BROWSER_NOT_ALLOWED'],
    [
      'a Sec-Fetch header',
      (sent) => (sent.headers['sec-fetch-storage-access'] = 'none'),
      'BROWSER_NOT_ALLOWED',
    ],
  ]
  for (const [what, change, code] of changes) {
    it(`refuses ${what} with ${code}`, async () => {
      const answer = await sendChanged((sent) => void change(sent))
      expect(answer.code).toBe(code)
      expect(answer.status).toBe(code === 'BROWSER_NOT_ALLOWED' ? 403 : 401)
      expect(answer.reached).toEqual([])
      if (answer.status === 401) {
        expect(answer.headers.get('accept-signature')).toContain('"@method"')
        expect(answer.headers.get('www-authenticate')).toBe('Signature')
      }
    })
  }

  it('refuses a preflight', async () => {
    const { app } = protectedApp(SECTIONS, guards)
    const response = await request(app)
      .options('/')
      .set({ 'x-app-id': APP, origin: 'https://example.org', 'access-control-request-method': 'POST' })
    expect([response.status, response.body.code]).toEqual([403, 'BROWSER_NOT_ALLOWED'])
  })

  it('admits a request once, even if it is sent many times at once', async () => {
    const { app } = protectedApp(SECTIONS, guards)
    await listening(app, async (origin) => {
      const headers = await signRequest(
        { method: 'GET', url: `${origin}/`, headers: { 'x-app-id': APP } },
        signer,
      )
      const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(origin, { headers })))
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
      const refused = answers.find(({ status }) => status !== 200)
      expect(await refused?.json()).toMatchObject({ status: 401, code: 'SIGNATURE_REPLAYED' })
    })
  })

  it('does not claim the nonce of a request that is refused for another reason', async () => {
    const claimed: string[] = []
    const nonces: NonceStore = { claim: (_appId, nonce) => claimed.push(nonce) > 0 }
    const { app } = protectedApp(SECTIONS, (policies) => [...bodyParsers(), serverOnly({ policies, nonces })])
    await listening(app, async (origin) => {
      const headers = await signRequest(
        { method: 'GET', url: `${origin}/`, headers: { 'x-app-id': APP } },
        signer,
      )
      expect((await fetch(`${origin}/other`, { headers })).status).toBe(401)
      expect(claimed).toEqual([])
      expect((await fetch(`${origin}/`, { headers })).status).toBe(200)
      expect(claimed).toHaveLength(1)
    })
  })

  it('refuses a signature outside the time window', async () => {
    let now = Date.now()
    const { app } = protectedApp(SECTIONS, (policies) => [
      serverOnly({ policies, nonces: memoryNonces(), now: () => now }),
    ])
    await listening(app, async (origin) => {
      const signed = signedFetch({ ...signer, appId: APP })
      for (const away of [-301_000, 302_000]) {
        now = Date.now() + away
        expect(await (await signed(origin)).json()).toMatchObject({ code: 'SIGNATURE_EXPIRED' })
      }
      now = Date.now() + 290_000
      expect((await signed(origin)).status).toBe(200)
    })
  })

  it('refuses content whose bytes were not kept, whatever the signature', async () => {
    const { app, reached } = protectedApp(SECTIONS, (policies) => [
      express.json(),
      serverOnly({ policies, nonces: memoryNonces() }),
    ])
    await listening(app, async (origin) => {
      const response = await signedFetch({ ...signer, appId: APP })(origin, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{}',
      })
      expect(await response.json()).toMatchObject({ code: 'DIGEST_MISMATCH' })
      expect(reached).toEqual([])
    })
  })

  const failing: [string, NonceStore['claim']][] = [
    ['gives no answer', () => new Promise<boolean>(() => undefined)],
    ['answers with something else', async () => 1 as never],
    ['rejects', async () => Promise.reject(new Error('down'))],
    [
      'throws',
      () => {
        throw new Error('down')
      },
    ],
  ]
  for (const [what, claim] of failing) {
    it(`answers 503 when the nonce store ${what}`, async () => {
      const { app, reached } = protectedApp(SECTIONS, (policies) => [
        serverOnly({ policies, nonces: { claim } }),
      ])
      await listening(app, async (origin) => {
        const response = await signedFetch({ ...signer, appId: APP })(origin)
        expect(response.status).toBe(503)
        expect(response.headers.get('retry-after')).toMatch(/^[1-5]$/)
        expect(await response.json()).toMatchObject({ code: 'NONCES_UNAVAILABLE' })
        expect(reached).toEqual([])
      })
    })
  }

  it('accepts a key from its notBefore until its notAfter', async () => {
    const { app, store } = protectedApp(SECTIONS, guards)
    const policy = { appId: APP, ...SECTIONS }
    const day = 86_400_000
    const at = (offset: number) => new Date(Date.now() + offset).toISOString()
    await listening(app, async (origin) => {
      const signed = signedFetch({ ...signer, appId: APP })
      await store.write({ policy, keys: [{ ...KEY, notBefore: at(-day), notAfter: at(day) }] }, 1)
      expect((await signed(origin)).status).toBe(200)
      await store.write({ policy, keys: [{ ...KEY, notBefore: at(day) }] }, 2)
      expect((await signed(origin)).status).toBe(401)
      await store.write({ policy, keys: [{ ...KEY, notAfter: at(-1) }] }, 3)
      expect((await signed(origin)).status).toBe(401)
      await store.write({ policy, keys: [] }, 4)
      expect((await signed(origin)).status).toBe(401)
    })
  })

  describe('a key that expires', () => {
    const day = 86_400_000
    const notAfter = new Date(Date.now() + 10 * day).toISOString()
    const HEADER = 'portcullis-key-expires'

    async function answerTo(
      options: { keyExpiryWarning?: number; now?: () => number; mode?: Mode },
      headers: Record<string, string> = {},
    ) {
      const { mode = 'enforce', ...given } = options
      const { app, store, reached } = protectedApp({ serverOnly: { mode } }, (policies) => [
        serverOnly({ policies, nonces: memoryNonces({ ...(given.now && { now: given.now }) }), ...given }),
      ])
      await store.write({ policy: { appId: APP, serverOnly: { mode } }, keys: [{ ...KEY, notAfter }] }, 1)
      return listening(app, async (origin) => {
        const time = given.now ?? Date.now
        const signed = await signRequest(
          { method: 'GET', url: origin, headers: { 'x-app-id': APP } },
          { ...signer, now: time },
        )
        const first = await fetch(origin, { headers: { ...signed, ...headers } })
        const again = await fetch(origin, { headers: { ...signed, ...headers } })
        return { first, again, reached }
      })
    }

    it('is announced to callers that have used it, two weeks before', async () => {
      const { first, again } = await answerTo({})
      expect([first.status, first.headers.get(HEADER)]).toEqual([200, notAfter])
      expect([again.status, again.headers.get(HEADER)]).toEqual([401, null])
    })

    it('is announced to nobody else', async () => {
      const { first } = await answerTo({}, { 'x-app-id': APP, signature: `sig1=:${'A'.repeat(43)}=:` })
      expect([first.status, first.headers.get(HEADER)]).toEqual([401, null])
    })

    it.each([
      [{ keyExpiryWarning: 0 }, false],
      [{ keyExpiryWarning: 9 }, false],
      [{ keyExpiryWarning: 11 }, true],
      [{ mode: 'report' as const }, false],
      [{ now: () => Date.parse(notAfter) - 14 * day - 1_000 }, false],
      [{ now: () => Date.parse(notAfter) - 14 * day + 1_000 }, true],
    ])('is announced with %j: %s', async (options, told) => {
      const { first } = await answerTo(options)
      expect([first.status, first.headers.has(HEADER)]).toEqual([200, told])
    })

    it('is in the evidence for handlers and the audit, also in report mode', async () => {
      for (const mode of ['enforce', 'report'] as const) {
        const evidence: unknown[] = []
        const sections = { serverOnly: { mode } }
        const { app, store } = protectedApp(sections, guards, (req, res) => {
          evidence.push(req.portcullis.decisions[0]?.evidence)
          res.end()
        })
        await store.write({ policy: { appId: APP, ...sections }, keys: [{ ...KEY, notAfter }] }, 1)
        await listening(app, (origin) => signedFetch({ ...signer, appId: APP })(origin))
        expect(evidence).toEqual([{ keyId: KEY.id, keyNotAfter: notAfter }])
      }
    })
  })

  it.each(['enforce', 'report'] as const)(
    'records the last use of a key by requests that passed in mode %s',
    async (mode) => {
      const { app, store } = protectedApp({ serverOnly: { mode } }, guards)
      const used = async () => (await store.keys(APP))?.[0]?.lastUsed
      await listening(app, async (origin) => {
        const headers = { 'x-app-id': APP }
        await fetch(origin, { headers })
        const signed = await signRequest({ method: 'GET', url: origin, headers }, signer)
        await fetch(origin, { headers: { ...signed, signature: `sig1=:${'A'.repeat(43)}=:` } })
        expect(await used()).toBeUndefined()
        await fetch(origin, { headers: signed })
        expect(Date.parse((await used()) ?? '')).toBeGreaterThan(Date.now() - 20_000)
      })
    },
  )

  it('binds a key to its app', async () => {
    const { app, store } = protectedApp(SECTIONS, guards)
    await store.write({ policy: { appId: 'other', ...SECTIONS }, keys: [{ ...KEY, id: 'key-2' }] }, 0)
    await listening(app, async (origin) => {
      expect((await signedFetch({ ...signer, appId: 'other' })(origin)).status).toBe(401)
    })
  })

  it('cannot be created without a nonce store', () => {
    const policies = createPolicySource({ store: { read: async () => undefined } })
    expect(() => serverOnly({ policies } as never)).toThrow(
      /`serverOnly.nonces` is missing: give a nonce store/,
    )
  })
})
