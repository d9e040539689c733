import {
  constants,
  createHash,
  createPublicKey,
  createVerify,
  generateKeyPairSync,
  publicEncrypt,
} from 'node:crypto'
import { get as httpGet } from 'node:http'
import { memoryNonces } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { createVault } from 'portcullis/vault'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage } from '../../../example-server/storage.ts'
import { createUkey1 } from '../../../example-server/ukey1.ts'
import { startExampleProcess, type ExampleProcess } from '../../support/example-process.ts'
import {
  ADA,
  answerOf,
  CALLBACK,
  CONNECT,
  SHOP,
  SHOP_KEY,
  SHOP_POLICY,
  shopServer,
  signUp,
  startExampleServer,
  type ExampleServer,
} from '../../support/example-server.ts'
import { startRedis } from '../../support/redis.ts'

let server: ExampleServer
let secretKey: string

const storage = memoryStorage()

beforeAll(async () => {
  server = await startExampleServer({ ukey1Apps: ['shop', 'other'], storage })
  await server.change({ ...SHOP_POLICY, appId: 'plain' })
  await server.change({ ...SHOP_POLICY, appId: 'other' })
  secretKey = (await server.ukey1?.issue('shop')) ?? ''
})
afterAll(() => server.close())

interface Legacy {
  app?: string
  method?: string
  path?: string
  body?: string | undefined
  token?: string | undefined
  key?: string
}

/** Creates `X-Ukey1-Signature` like the SDKs. */
function sign({
  app = 'shop',
  method = 'POST',
  path = '/auth/v2/connect',
  body = '',
  token = '',
  key = secretKey,
}: Legacy): string {
  const digest = createHash('sha512')
    .update(app + method + path + body + token)
    .digest('hex')
  const publicKey = createPublicKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'spki' })
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  return encodeURIComponent(
    publicEncrypt({ key: publicKey, padding }, Buffer.from(digest)).toString('base64'),
  )
}

const BODY = JSON.stringify(CONNECT)

/** Sends a request like an SDK, without a content type. `signature` replaces the correct one. */
async function send(
  {
    app = 'shop',
    method = 'POST',
    path = '/auth/v2/connect',
    body = method === 'POST' ? BODY : undefined,
    token,
  }: Legacy,
  signature: string = sign({ app, method, path, body, token }),
  headers: Record<string, string> = {},
): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(server.url + path, {
    method,
    headers: {
      'x-ukey1-app': app,
      'x-origin': SHOP,
      'x-ukey1-signature': signature,
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    // Bytes, so that fetch adds no content type.
    ...(body !== undefined && { body: Buffer.from(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const codeOf = async (answer: ReturnType<typeof send>): Promise<unknown> => {
  const { status, body } = await answer
  return `${status} ${String(body['code'])}`
}

/** The detail of the last refusal in the audit. */
function lastDetail(): string | undefined {
  const operations = server.sink.events().flatMap((event) => (event.kind === 'operation' ? [event] : []))
  return operations.at(-1)?.decisions.find(({ effect }) => effect === 'deny')?.detail
}

describe('an SDK of Ukey1', () => {
  it('signs a person in: connect, the signed answer, token, me', async () => {
    const connected = await send({})
    expect(connected).toMatchObject({ status: 200, body: { result: 200 } })
    const visitor = await signUp(server, String(connected.body['gateway']))
    const { location } = await visitor.submit('consent', { email: 'yes' })
    const { request_id = '', connect_id = '', code = '', result = '', signature = '' } = answerOf(location)
    const publicKey = createPublicKey({ key: Buffer.from(secretKey, 'base64'), format: 'der', type: 'spki' })
    const verifier = createVerify('sha512').update(`shop${request_id}${connect_id}${code}${result}`)
    expect(verifier.verify(publicKey, signature, 'base64')).toBe(true)

    const body = JSON.stringify({ request_id, connect_id, auth_code: code })
    const token = await send({ path: '/auth/v2/token', body })
    expect(token).toMatchObject({ status: 200, body: { result: 200, expiration: expect.any(Number) } })
    const me = { method: 'GET', path: '/auth/v2/me', token: String(token.body['access_token']) }
    expect(await send(me)).toEqual({
      status: 200,
      body: { result: 200, user: { firstname: ADA.firstname, email: ADA.email } },
    })
  })

  it('can use each ciphertext once, even concurrently', async () => {
    const signature = sign({ body: BODY })
    const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(send({}, signature))))
    expect(codes.filter((code) => code === '200 undefined')).toHaveLength(1)
    expect(codes.filter((code) => code === '401 SIGNATURE_REPLAYED')).toHaveLength(19)
    expect(await codeOf(send({}))).toBe('200 undefined')
  })
})

describe('a request changed by somebody else', () => {
  const other = `${SHOP}/callback/other`
  const unreadable = /^400 INVALID_REQUEST$/
  const changed: readonly (readonly [what: string, sent: Legacy, signed: Legacy, says?: RegExp])[] = [
    ['another body', { body: BODY.replace(CALLBACK, other) }, { body: BODY }],
    ['a body with one more space', { body: `${BODY.slice(0, -1)} }` }, { body: BODY }],
    ['another path', { path: '/auth/v2/token' }, { body: BODY }],
    ['another spelling of the path', { path: '/auth/v2/Connect' }, { body: BODY }],
    ['another method', { method: 'DELETE', body: BODY }, { body: BODY }],
    [
      'another token',
      { method: 'GET', path: '/auth/v2/me', token: 'b'.repeat(43) },
      { method: 'GET', path: '/auth/v2/me', token: 'a'.repeat(43) },
    ],
    ['a token more', { token: 'a' }, { body: BODY }],
    ['no token', { method: 'GET', path: '/auth/v2/me' }, { method: 'GET', path: '/auth/v2/me', token: 'a' }],
    ['a query', { path: '/auth/v2/connect?a' }, { body: BODY }],
    ['a query that is signed', { path: '/auth/v2/connect?a' }, { path: '/auth/v2/connect?a', body: BODY }],
    ['another app', { app: 'plain' }, { body: BODY }],
    ['an app that has no key, signed for it', { app: 'other' }, { app: 'other', body: BODY }],
    ['an app that may not, signed for it', { app: 'plain' }, { app: 'plain', body: BODY }],
    ['an app that does not exist', { app: 'nobody' }, { app: 'nobody', body: BODY }],
    // All of these have the same signed text.
    [
      'a part of the body in the path',
      { path: `/auth/v2/connect${encodeURIComponent(BODY)}`, body: '' },
      { path: `/auth/v2/connect${encodeURIComponent(BODY)}` },
    ],
    ['the token as a body', { method: 'POST', body: 'abc' }, { body: '', token: 'abc' }, unreadable],
    ['the end of the body as a token', { body: '{"a":1', token: '2}' }, { body: '{"a":12}' }, unreadable],
    [
      'the end of the path as a token',
      { method: 'GET', path: '/auth/v2/m', token: 'e' },
      { method: 'GET', path: '/auth/v2/me' },
    ],
    [
      'the beginning of the token in the path',
      { method: 'GET', path: '/auth/v2/meab', token: 'cd' },
      { method: 'GET', path: '/auth/v2/me', token: 'abcd' },
    ],
    [
      'another key',
      {},
      {
        body: BODY,
        key: generateKeyPairSync('rsa', { modulusLength: 2048 })
          .publicKey.export({ type: 'spki', format: 'der' })
          .toString('base64'),
      },
    ],
  ]
  it.each(changed)(
    'is refused: %s',
    async (_what, sent, signed, says = /^401 (?:SIGNATURE_INVALID|APP_UNKNOWN)$/) => {
      expect(await codeOf(send(sent, sign(signed)))).toMatch(says)
    },
  )

  const garbage: readonly (readonly [what: string, signature: (right: string) => string])[] = [
    ['nothing', () => ''],
    ['no base64', () => 'ä'],
    ['a cut URI encoding', () => '%E0%A4'],
    ['too few bytes', (right) => right.slice(4)],
    ['too many bytes', (right) => `AAAA${right}`],
    ['a long one', () => 'A'.repeat(9000)],
    ['zeros', () => encodeURIComponent(Buffer.alloc(256).toString('base64'))],
    ['more than the modulus', () => encodeURIComponent(Buffer.alloc(256, 255).toString('base64'))],
    ['without the URI encoding', (right) => decodeURIComponent(right)],
    [
      'with more URI encoding than there is',
      (right) => right.replace(/^./, (first) => `%${first.charCodeAt(0).toString(16).toUpperCase()}`),
    ],
    ['in lower case', (right) => right.replace(/%[0-9A-F]{2}/g, (part) => part.toLowerCase())],
    ['two of them', (right) => `${right}, ${right}`],
    ['with one bit changed', (right) => right.replace(/[A-Z]/, (letter) => (letter === 'A' ? 'B' : 'A'))],
  ]
  it.each(garbage)('is refused: %s', async (_what, make) => {
    const right = sign({ body: BODY })
    expect(await codeOf(send({}, make(right)))).toBe('401 SIGNATURE_INVALID')
    // Only the spelling was wrong: the signed spelling still passes, so none of these attempts has used it up.
    expect(await codeOf(send({}, right))).toBe('200 undefined')
  })

  it('cannot bypass a better signature', async () => {
    const url = `${server.url}/auth/v2/connect`
    const headers = {
      'x-app-id': 'shop',
      'x-origin': SHOP,
      'content-type': 'application/json',
      'x-ukey1-signature': sign({ body: BODY }),
    }
    const key = { keyId: SHOP_KEY.id, secret: SHOP_KEY.secret }
    const signed = await signRequest({ method: 'POST', url, headers, body: BODY }, key)
    const post = async (more: Record<string, string>): Promise<number> =>
      (await fetch(url, { method: 'POST', headers: { ...signed, ...more }, body: BODY })).status
    expect(
      await post({
        signature: signed['signature']?.replace(/:(.)/, (_, first) => (first === 'x' ? ':y' : ':x')) ?? '',
      }),
    ).toBe(401)
    expect(await post({})).toBe(200)
  })

  const notObjects = [
    '[1]',
    '"x"',
    '1',
    'null',
    '[{}]',
    ` ${BODY}`,
    `${BODY} `,
    `\t${BODY}`,
    `${BODY}\n`,
    `\ufeff${BODY}`,
  ]
  it.each(notObjects)(
    'is refused, even if correctly signed, if the body is not a JSON object: %j',
    async (body) => {
      const code = await codeOf(send({ body }, sign({ body })))
      // The JSON parser does not accept bare values.
      const isBare = ['"x"', '1', 'null'].includes(body)
      expect(code).toBe(isBare ? '400 INVALID_REQUEST' : '401 SIGNATURE_INVALID')
      if (!isBare) expect(lastDetail()).toBe('the body is not a JSON object')
    },
  )

  it('is refused with two tokens, of which only one is signed', async () => {
    const path = '/auth/v2/me'
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = [
        ['x-ukey1-app', 'shop'],
        ['x-origin', SHOP],
        ['x-ukey1-signature', sign({ method: 'GET', path, token: 'first' })],
        ['authorization', 'Bearer first'],
        ['authorization', 'Bearer second'],
        ['host', new URL(server.url).host],
      ].flat()
      httpGet(server.url + path, { headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
      }).on('error', reject)
    })
    expect(status).toBe(401)
    expect(lastDetail()).toMatch(/sent more than once/)
  })

  it('that names two apps is not identified', async () => {
    expect(await codeOf(send({}, undefined, { 'x-app-id': 'plain' }))).toBe('401 APP_UNIDENTIFIED')
  })

  it('gets no details that are in the audit', async () => {
    const missing = await send({ app: 'other' }, sign({ app: 'other', body: BODY }))
    expect(lastDetail()).toBe('the app has no key for legacy Ukey1 signatures')
    const wrong = await send({}, sign({ body: '{}' }))
    expect(lastDetail()).toBe('X-Ukey1-Signature does not match the received request')
    expect({ ...missing.body, instance: '' }).toEqual({ ...wrong.body, instance: '' })
  })

  it('does not affect requests with standard signatures', async () => {
    const { send: sendSigned } = shopServer()
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: BODY }
    expect((await sendSigned(`${server.url}/auth/v2/connect`, init)).status).toBe(200)
  })
})

describe('a key of the legacy scheme', () => {
  const vault = createVault({ keys: [{ id: 'root', key: new Uint8Array(32) }] })
  const DAY = 86_400_000

  it('is shown once, and stored encrypted', async () => {
    const memory = memoryStorage()
    const ukey1 = createUkey1({ storage: memory, vault, apps: ['a'] })
    const given = (await ukey1.issue('a')) ?? ''
    expect(await ukey1.issue('a')).toBeUndefined()
    const stored = (await memory.get('ukey1:a')) ?? ''
    expect(stored).not.toContain('pkcs8')
    expect(JSON.parse(vault.open(stored, 'ukey1:a'))).toHaveProperty('pkcs8')
    expect(() => vault.open(stored, 'ukey1:b')).toThrow()
    expect(given).toMatch(/^[\w+/]+=*$/)
  })

  it('expires, and every ciphertext is remembered until then', async () => {
    let time = Date.now()
    const memory = memoryStorage({ now: () => time })
    const ukey1 = createUkey1({ storage: memory, vault, apps: ['shop'] }, () => time)
    const key = (await ukey1.issue('shop')) ?? ''
    const signature = sign({ body: BODY, key })
    const nonces = memoryNonces({ now: () => time })
    const judge = async (): Promise<unknown> => {
      await new Promise((resolve) => {
        const headers: Record<string, string> = { 'x-ukey1-app': 'shop', 'x-ukey1-signature': signature }
        void ukey1.prepare({ headers } as never, {} as never, resolve as never)
      })
      const verdict = ukey1.scheme.verify(
        {
          method: 'POST',
          authority: 'any',
          target: '/auth/v2/connect',
          header: (name) => (name === 'x-ukey1-signature' ? [signature] : []),
          body: { kind: 'bytes', bytes: Buffer.from(BODY) },
        },
        {
          appId: 'shop',
          keys: [],
          rules: { maxAge: 300, requireDigest: true, requireContentType: true },
          now: time,
        },
      )
      return verdict.ok
        ? nonces.claim('shop', `${verdict.keyId}/${verdict.nonce}`, verdict.usableUntil)
        : verdict.detail
    }
    expect(await judge()).toBe(true)
    expect(await judge()).toBe(false)
    time += 89 * DAY
    expect(await judge()).toBe(false)
    time += DAY
    expect(await judge()).toBe('the app has no key for legacy Ukey1 signatures')
    expect(typeof (await ukey1.issue('shop'))).toBe('string')
    expect(await judge()).toBe('X-Ukey1-Signature does not match the received request')
  })
})

describe('in processes that share a Redis', () => {
  it('the Secret Key is printed once, and a ciphertext accepted by one process is refused by all others, also later', async () => {
    const redis = await startRedis()
    const environment = {
      REDIS_URL: redis.url,
      SECRET_KEY: Buffer.alloc(32, 5).toString('base64'),
      UKEY1_LEGACY_APPS: 'demo-server',
    }
    const printed = ({ said }: ExampleProcess): string | undefined =>
      /Secret Key: (\S+)/.exec(said.stdout)?.[1]
    const stop = async (one: ExampleProcess): Promise<void> => {
      one.signal('SIGKILL')
      await one.ended
    }
    const body = JSON.stringify({ ...CONNECT, return_url: `${SHOP}/callback/` })
    const ask = async ({ url }: ExampleProcess, signature: string): Promise<number> => {
      const headers = { 'x-ukey1-app': 'demo-server', 'x-origin': SHOP, 'x-ukey1-signature': signature }
      const response = await fetch(`${url}/auth/v2/connect`, {
        method: 'POST',
        headers,
        body: Buffer.from(body),
      })
      return response.status
    }

    const processes: ExampleProcess[] = []
    const start = async (): Promise<ExampleProcess> => {
      const one = await startExampleProcess(environment)
      processes.push(one)
      return one
    }
    try {
      const first = await start()
      const key = printed(first) ?? ''
      const signature = sign({ app: 'demo-server', body, key })
      const second = await start()
      expect([key === '', printed(second)]).toEqual([false, undefined])
      expect(second.said.stdout).toContain('legacy: demo-server may use Ukey1 signatures')
      const statuses = [
        await ask(first, signature),
        await ask(first, signature),
        await ask(second, signature),
      ]
      expect(statuses).toEqual([200, 401, 401])
      await stop(first)
      const third = await start()
      expect(await ask(third, signature)).toBe(401)
      expect(await ask(third, sign({ app: 'demo-server', body, key }))).toBe(200)
    } finally {
      await Promise.all(processes.map(stop))
      await redis.stop()
    }
  })
})
