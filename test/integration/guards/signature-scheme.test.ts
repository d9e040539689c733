import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { parseDictionary } from 'structured-headers'
import {
  appIdFrom,
  bodyParsers,
  memoryNonces,
  serverOnly,
  type Decision,
  type PolicySource,
  type SignatureScheme,
  type PolicyInput,
} from 'portcullis'
import { signedFetch, signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'

const SECTIONS = { serverOnly: { mode: 'enforce' } } as const

/** Everything by which a caller can distinguish two answers. */
async function seen(response: Response): Promise<unknown> {
  const { instance, ...body } = (await response.json()) as Record<string, unknown>
  const headers = Object.fromEntries(response.headers)
  expect(headers['x-request-id']).toBe(instance)
  return { status: response.status, body, headers: { ...headers, date: '', 'x-request-id': '' } }
}

describe('a scheme of your own', () => {
  /** A scheme in which callers send the digest of the content and a ticket that is valid once. */
  const toy: SignatureScheme = {
    name: 'toy',
    verify({ method, target, header, body }, { appId, keys, now }) {
      const [proof] = header('x-proof')
      if (proof === undefined) return { ok: false, code: 'SIGNATURE_REQUIRED', detail: 'no proof' }
      const text = `${appId} ${method} ${target} ${body.kind === 'bytes' ? Buffer.from(body.bytes).toString() : ''}`
      const right = createHash('sha256').update(text).digest('hex') === proof
      if (!right || keys[0] === undefined)
        return { ok: false, code: 'SIGNATURE_INVALID', detail: 'wrong proof' }
      return { ok: true, keyId: keys[0].id, nonce: proof, usableUntil: now + 1000 }
    },
    challenge: () => ({ 'X-Proof-Wanted': 'sha-256' }),
  }
  const proofOf = (text: string) => createHash('sha256').update(text).digest('hex')
  const send = (origin: string, headers: Record<string, string>, body?: string) =>
    fetch(`${origin}/pay?a=1`, {
      method: 'POST',
      headers: { 'x-app-id': APP, 'content-type': 'application/json', ...headers },
      body: body ?? '{}',
    })

  async function guarded<T>(
    scheme: unknown,
    run: (origin: string, decisions: readonly Decision[]) => Promise<T>,
    sections: Partial<PolicyInput> = SECTIONS,
  ): Promise<T> {
    const trail: Decision[] = []
    const { app } = protectedApp(sections, (policies) => [
      (
        req: { portcullis?: { decisions: readonly Decision[] } },
        res: NodeJS.EventEmitter,
        next: () => void,
      ) => {
        res.on('close', () => trail.push(...(req.portcullis?.decisions ?? [])))
        next()
      },
      ...bodyParsers(),
      serverOnly({ policies, nonces: memoryNonces(), scheme: scheme as SignatureScheme }),
    ])
    return listening(app, (origin) => run(origin, trail))
  }

  it('gets the message as received, and its nonce works once', async () => {
    await guarded(toy, async (origin, trail) => {
      const headers = { 'x-proof': proofOf(`${APP} POST /pay?a=1 {}`) }
      expect((await send(origin, headers)).status).toBe(200)
      expect(await (await send(origin, headers)).json()).toMatchObject({ code: 'SIGNATURE_REPLAYED' })
      expect((await send(origin, headers, '{"a":1}')).status).toBe(401)
      expect(trail[0]).toMatchObject({ code: 'ALLOWED', evidence: { keyId: KEY.id } })
    })
  })

  it('says how to sign, instead of Accept-Signature', async () => {
    await guarded(toy, async (origin) => {
      const { headers } = await send(origin, {})
      expect([headers.get('x-proof-wanted'), headers.get('accept-signature')]).toEqual(['sha-256', null])
    })
  })

  it('does not admit an app that does not exist, even without looking up a key', async () => {
    const naive: SignatureScheme = {
      name: 'naive',
      verify: (_message, { now }) => ({ ok: true, keyId: 'k', nonce: 'n', usableUntil: now }),
    }
    await guarded(naive, async (origin, trail) => {
      const response = await send(origin, { 'x-app-id': 'nobody' })
      expect([response.status, await response.json()]).toMatchObject([401, { code: 'SIGNATURE_INVALID' }])
      expect(trail).toMatchObject([{ code: 'SIGNATURE_INVALID', evidence: { cause: 'APP_UNKNOWN' } }])
    })
  })

  const good = { ok: true, keyId: 'k', nonce: 'n', usableUntil: Number.MAX_SAFE_INTEGER }
  const answers: [string, () => unknown, RegExp][] = [
    ['throws', () => { throw new TypeError('secret') }, /^the scheme `odd` failed with TypeError$/], // prettier-ignore
    ['throws nothing', () => { throw undefined }, /failed with undefined/], // prettier-ignore
    ['answers nothing', () => undefined, /did not return a usable answer/],
    ['answers true', () => true, /did not return a usable answer/],
    ['answers with a promise', async () => good, /did not return a usable answer/],
    ['answers without a nonce', () => ({ ...good, nonce: '' }), /did not return a usable answer/],
    [
      'answers with an endless nonce',
      () => ({ ...good, nonce: 'n'.repeat(257) }),
      /did not return a usable answer/,
    ],
    [
      'answers with a nonce to forget at once',
      () => ({ ...good, usableUntil: 0 }),
      /did not return a usable answer/,
    ],
    [
      'answers with a nonce to keep for ever',
      () => ({ ...good, usableUntil: Infinity }),
      /did not return a usable answer/,
    ],
    ['answers with no key', () => ({ ...good, keyId: undefined }), /did not return a usable answer/],
    ['answers with truth', () => ({ ...good, ok: 1 }), /did not return a usable answer/],
    [
      'refuses with an allowance',
      () => ({ ok: false, code: 'ALLOWED', detail: '' }),
      /did not return a usable answer/,
    ],
    [
      'refuses for a replay, which only the nonce store can tell',
      () => ({ ok: false, code: 'SIGNATURE_REPLAYED', detail: '' }),
      /did not return a usable answer/,
    ],
    [
      'refuses without a reason',
      () => ({ ok: false, code: 'SIGNATURE_INVALID' }),
      /did not return a usable answer/,
    ],
  ]
  for (const [what, verify, detail] of answers) {
    it(`refuses when it ${what}`, async () => {
      await guarded({ name: 'odd', verify }, async (origin, trail) => {
        const response = await send(origin, {})
        const text = await response.text()
        expect([response.status, JSON.parse(text)]).toMatchObject([401, { code: 'SIGNATURE_INVALID' }])
        expect(text).not.toContain('secret')
        expect(trail).toMatchObject([{ code: 'SIGNATURE_INVALID', detail: expect.stringMatching(detail) }])
      })
    })
  }

  it('changes nothing in report mode, even when it throws', async () => {
    const verify = () => {
      throw new Error('broken')
    }
    await guarded(
      { name: 'odd', verify },
      async (origin) => {
        expect((await send(origin, {})).status).toBe(200)
      },
      { serverOnly: { mode: 'report' } },
    )
  })
})

describe('Accept-Signature', () => {
  const guards = (policies: PolicySource) => [
    ...bodyParsers(),
    serverOnly({ policies, nonces: memoryNonces() }),
  ]
  const cases: [string, RequestInit, string[]][] = [
    ['without content', {}, []],
    [
      'with content',
      { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
      ['content-digest', 'content-type'],
    ],
    ['with X-Origin', { headers: { 'x-origin': 'https://example.org' } }, ['x-origin']],
  ]
  for (const [what, init, more] of cases) {
    it(`lists what a request ${what} must cover, as a dictionary of RFC 9651`, async () => {
      const { app } = protectedApp(SECTIONS, guards)
      await listening(app, async (origin) => {
        const response = await fetch(origin, { ...init, headers: { 'x-app-id': APP, ...init.headers } })
        const [components, parameters] = parseDictionary(response.headers.get('accept-signature') ?? '').get(
          'sig1',
        ) as unknown as [[string, unknown][], Map<string, unknown>]
        expect(components.map(([name]) => name)).toEqual([
          '@method',
          '@authority',
          '@path',
          '@query',
          ...more,
        ])
        // RFC 9421 5.1: in a request for a signature, it has no value.
        expect([...parameters]).toEqual([['created', true]])
      })
    })
  }
})

describe('an unknown app, an unknown key and a wrong signature', () => {
  const requests: [string, (headers: Record<string, string>) => Record<string, string>][] = [
    ['signed', (headers) => headers],
    ['not signed', () => ({})],
    ['signed with garbage', (headers) => ({ ...headers, signature: 'garbage' })],
    ['too old', (headers) => ({ ...headers, 'signature-input': (headers['signature-input'] ?? '').replace(/created=\d+/, 'created=1') })], // prettier-ignore
    ['of a browser', (headers) => ({ ...headers, origin: 'https://example.org' })],
  ]
  for (const [what, change] of requests) {
    it(`cannot be distinguished: ${what}`, async () => {
      const { app } = protectedApp(SECTIONS, (policies) => [
        ...bodyParsers(),
        serverOnly({ policies, nonces: memoryNonces() }),
      ])
      await listening(app, async (origin) => {
        const secret = Buffer.alloc(32, 7).toString('base64')
        const callers = [
          ['nobody', KEY.id],
          ['nobody', 'key-9'],
          ['not an id', KEY.id],
          [APP, 'key-9'],
          [APP, KEY.id],
        ] as const
        const answers: unknown[] = []
        for (const [appId, keyId] of callers) {
          const headers = await signRequest({ method: 'GET', url: `${origin}/a` }, { keyId, secret })
          answers.push(
            await seen(await fetch(`${origin}/a`, { headers: { ...change(headers), 'x-app-id': appId } })),
          )
        }
        for (const answer of answers) expect(answer).toEqual(answers[0])
      })
    })
  }

  it('cannot be distinguished if the key id names the app', async () => {
    const appId = appIdFrom({ keyId: (id) => (id === KEY.id ? APP : undefined) })
    const { app } = protectedApp(SECTIONS, (policies) => [
      serverOnly({ policies, nonces: memoryNonces(), appId }),
    ])
    await listening(app, async (origin) => {
      const secret = Buffer.alloc(32, 7).toString('base64')
      const [known, unknown] = await Promise.all(
        [KEY.id, 'key-9'].map(async (keyId) => seen(await signedFetch({ keyId, secret })(origin))),
      )
      expect(known).toEqual(unknown)
      expect((await signedFetch({ keyId: KEY.id, secret: KEY.secret })(origin)).status).toBe(200)
    })
  })

  it('are distinguished in the trail', async () => {
    const told: unknown[] = []
    const { app } = protectedApp(SECTIONS, (policies) => [
      serverOnly({
        policies,
        nonces: memoryNonces(),
        onDeny: ({ code, evidence }, _req, res) => {
          told.push([code, evidence['cause']])
          res.end()
        },
      }),
    ])
    await listening(app, async (origin) => {
      await signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: 'nobody' })(origin)
    })
    expect(told).toEqual([['SIGNATURE_INVALID', 'APP_UNKNOWN']])
  })
})
