import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  randomUUID,
  sign,
  verify,
} from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { createSignature, verifySignature } from 'http-message-sig'
import { createSigner, createVerifier, httpbis } from 'http-message-signatures'
import { bodyParsers, memoryNonces, serverOnly } from 'portcullis'
import { signRequest, type SigningOptions } from '../../../src/client/index.ts'
import { verifyMessage, type Rejected, type Verified } from '../../../src/signature/verify.ts'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { messageOf, RULES, SECRET } from '../signature/message.ts'
import { APP_KEYS, ED25519 } from './verifying-server.ts'

type Headers = Record<string, string>

interface Message {
  method: string
  url: string
  headers: Headers
}

type Algorithm = 'hmac-sha256' | 'ed25519'

/** A key of the app, in our form and in that of other packages. */
interface KeyPair {
  readonly algorithm: Algorithm
  readonly ours: SigningOptions
  sign(bytes: Uint8Array): Buffer
  verify(bytes: Uint8Array, signature: Uint8Array): boolean
}

const hmac = (secret: string, bytes: Uint8Array): Buffer =>
  createHmac('sha256', Buffer.from(secret, 'base64')).update(bytes).digest()
const publicKey = createPublicKey({
  key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(ED25519.publicKey, 'base64').toString('base64url') },
  format: 'jwk',
})

const PAIRS: readonly KeyPair[] = [
  {
    algorithm: 'hmac-sha256',
    ours: { keyId: 'key-1', secret: SECRET },
    sign: (bytes) => hmac(SECRET, bytes),
    verify: (bytes, signature) => hmac(SECRET, bytes).equals(signature),
  },
  {
    algorithm: 'ed25519',
    ours: { keyId: 'key-2', privateKey: ED25519.pem },
    sign: (bytes) => sign(null, bytes, createPrivateKey(ED25519.pem)),
    verify: (bytes, signature) => verify(null, bytes, publicKey, signature),
  },
]

const COMPONENTS = [
  'x-origin',
  '@query',
  '@path',
  '@authority',
  '@method',
  'content-digest',
  'content-type',
  'x-list',
]
const REQUIRED = ['@method', '@authority', '@path', '@query', 'content-digest', 'x-origin']

/** Another package that signs and verifies. */
interface Package {
  readonly name: string
  /** Returns all headers. */
  sign(message: Message, key: KeyPair): Promise<Headers>
  verify(message: Message, key: KeyPair): Promise<boolean>
}

const lowered = (headers: object): Headers =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), String(value)]))

const PACKAGES: readonly Package[] = [
  {
    name: 'http-message-signatures',
    async sign(message, { algorithm, ours }) {
      const key = algorithm === 'ed25519' ? createPrivateKey(ED25519.pem) : Buffer.from(SECRET, 'base64')
      const { headers } = await httpbis.signMessage(
        {
          key: createSigner(key, algorithm, ours.keyId),
          name: 'theirs',
          fields: COMPONENTS.filter((name) => name.startsWith('@') || name in message.headers),
          params: ['nonce', 'keyid', 'alg', 'created', 'expires'],
          paramValues: { nonce: randomUUID() },
        },
        message,
      )
      return lowered(headers)
    },
    async verify(message, { algorithm, ours }) {
      const key = algorithm === 'ed25519' ? publicKey : Buffer.from(SECRET, 'base64')
      return (
        (await httpbis.verifyMessage(
          {
            keyLookup: async ({ keyid }) =>
              keyid === ours.keyId ? { id: keyid, verify: createVerifier(key, algorithm) } : null,
            requiredFields: REQUIRED,
            requiredParams: ['created', 'keyid', 'nonce'],
          },
          message,
        )) === true
      )
    },
  },
  {
    name: 'http-message-sig',
    async sign(message, { algorithm, ours, sign: signer }) {
      const created = Math.floor(Date.now() / 1000)
      const { signature, signatureInput } = await createSignature(new Request(message.url, message), {
        label: 'theirs',
        components: COMPONENTS.filter((name) => name.startsWith('@') || name in message.headers),
        parameters: {
          created,
          expires: created + 60,
          keyid: ours.keyId,
          nonce: randomUUID(),
          alg: algorithm,
        },
        signer: { algorithm, sign: signer },
      })
      return { ...message.headers, signature, 'signature-input': signatureInput }
    },
    async verify(message, { algorithm, verify: verifier }) {
      const checked = verifySignature(new Request(message.url, message), {
        policy: {
          algorithms: [algorithm],
          requiredComponents: REQUIRED,
          requiredParameters: ['created', 'keyid', 'nonce'],
          maxAge: 300,
        },
        resolveVerifier: () => ({ algorithm, verify: verifier }),
      })
      return checked.then(
        () => true,
        (error: Error & { code?: string }) => {
          if (error.code === 'VerificationFailed') return false
          throw error
        },
      )
    },
  },
]

const body = '{"request_id":"r-1"}'
const given = { 'x-origin': 'https://shop.example', 'x-list': 'a,  b' }
const digested = {
  ...given,
  'content-digest': `sha-512=:${createHash('sha512').update(body).digest('base64')}:`,
}
const urls = [
  'https://api.example.com/',
  'https://API.example.com:8443/a%2Fb/c?x=1&x=%20&y',
  'http://localhost:3000/?',
]

/** The verdict of our verifier on the received request. */
function verdict({ method, url, headers }: Message, content: string): Verified | Rejected {
  const { host, pathname, search } = new URL(url)
  const message = messageOf({ method, authority: host, target: pathname + search, headers, body: content })
  return verifyMessage(message, APP_KEYS, RULES, Date.now())
}

const table = PACKAGES.flatMap((other) =>
  PAIRS.flatMap((key) => urls.map((url) => [other.name, key.algorithm, url, other, key] as const)),
)

describe('signed by us, verified by', () => {
  it.each(table)('%s, with %s: %s', async (_name, _algorithm, url, other, key) => {
    const request = { method: 'POST', url, headers: given, body }
    const headers = await signRequest(request, { ...key.ours, covered: ['x-list'], expiresIn: 60 })
    const message = { method: 'POST', url, headers }
    expect(await other.verify(message, key)).toBe(true)
    expect(await other.verify({ ...message, headers: { ...headers, 'x-list': 'a, b' } }, key)).toBe(false)
    expect(await other.verify({ ...message, method: 'PUT' }, key)).toBe(false)
    expect(verdict(message, body)).toMatchObject({ ok: true })
  })
})

describe('verified by us, signed by', () => {
  it.each(table)('%s, with %s: %s', async (_name, _algorithm, url, other, key) => {
    const headers = await other.sign({ method: 'POST', url, headers: digested }, key)
    const message = { method: 'POST', url, headers }
    expect(verdict(message, body)).toMatchObject({ ok: true, keyId: key.ours.keyId, label: 'theirs' })
    expect(verdict({ ...message, method: 'PUT' }, body)).toMatchObject({ code: 'SIGNATURE_INVALID' })
    expect(verdict(message, `${body} `)).toMatchObject({ code: 'DIGEST_MISMATCH' })
  })
})

describe('requests to serverOnly over HTTP', () => {
  const pairs = PAIRS.map((key) => [key.algorithm, key] as const)
  const rows = PACKAGES.flatMap((other) =>
    pairs.map(([name, key]) => [other.name, name, other, key] as const),
  )

  it.each(rows)('a request signed by %s with %s passes once', async (_name, _algorithm, other, key) => {
    const { app, store, policies } = protectedApp({ serverOnly: { mode: 'enforce' } }, (source) => [
      ...bodyParsers(),
      serverOnly({ policies: source, nonces: memoryNonces() }),
    ])
    await store.write(
      {
        policy: { appId: APP, serverOnly: { mode: 'enforce' } },
        keys: [
          { ...KEY, id: 'key-1', secret: SECRET },
          { id: 'key-2', algorithm: 'ed25519', secret: ED25519.publicKey },
        ],
      },
      1,
    )
    await listening(app, async (origin) => {
      const url = `${origin}/a?b=c`
      const typed = { ...digested, 'content-type': 'application/json' }
      const headers = await other.sign({ method: 'POST', url, headers: typed }, key)
      const send = async (): Promise<Response> =>
        fetch(url, {
          method: 'POST',
          headers: { ...headers, 'x-app-id': APP },
          body,
        })
      expect((await send()).status).toBe(200)
      const again = await send()
      expect([again.status, ((await again.json()) as { code: string }).code]).toEqual([
        401,
        'SIGNATURE_REPLAYED',
      ])
    })
    policies.close()
  })
})
