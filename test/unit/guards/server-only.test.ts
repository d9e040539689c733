import { createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { decideServerOnly, refuseStranger, type ServerFacts } from '../../../src/guards/server-only.ts'
import { httpMessageSignatures } from '../../../src/signature/http-message-signatures.ts'
import { parseAppKeys } from '../../../src/signature/keys.ts'
import { signatureBase } from '../../../src/signature/base.ts'
import { messageOf, NOW, SECRET, type PlainMessage } from '../signature/message.ts'
import { describeGuard } from './table.ts'

const CREATED = NOW / 1_000
const NONCE = 'nonce-of-16-char'
const SHA256_OF_EMPTY_OBJECT = 'sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:'

/** A request signed by a server of the app. */
function signed({
  created = CREATED,
  components = ['@method', '@authority', '@path', '@query'],
  secret = SECRET,
  keyId = 'key-1',
  ...message
}: Partial<PlainMessage> & {
  created?: number
  components?: readonly string[]
  secret?: string
  keyId?: string
} = {}): PlainMessage {
  const plain = { method: 'GET', authority: 'example.com', target: '/a?b=c', headers: {}, ...message }
  const base = signatureBase(messageOf(plain), components, [
    ['created', created],
    ['keyid', keyId],
    ['nonce', NONCE],
  ])
  if ('problem' in base) throw new TypeError(base.problem)
  const mac = createHmac('sha256', Buffer.from(secret, 'base64')).update(base.text).digest('base64')
  return {
    ...plain,
    headers: { ...plain.headers, 'signature-input': `s=${base.input}`, signature: `s=:${mac}:` },
  }
}

const body = '{}'
const COVERING = ['@method', '@authority', '@path', '@query', 'content-digest', 'content-type']
const withBody = {
  method: 'POST',
  body,
  headers: { 'content-type': 'application/json', 'content-digest': SHA256_OF_EMPTY_OBJECT },
  components: COVERING,
}

const END = NOW + 86_400_000
const keys = parseAppKeys([{ id: 'key-1', algorithm: 'hmac-sha256', secret: SECRET }])
const ending = parseAppKeys([
  { id: 'key-1', algorithm: 'hmac-sha256', secret: SECRET, notAfter: new Date(END).toISOString() },
])
const OTHER = Buffer.alloc(32, 1).toString('base64')

const by = (message: PlainMessage, more: Partial<ServerFacts> = {}): Partial<ServerFacts> => ({
  message: messageOf(message),
  ...more,
})

const facts: ServerFacts = {
  browserEvidence: undefined,
  headersComplete: true,
  message: messageOf(signed()),
  scheme: httpMessageSignatures(),
  appId: 'a',
  keys,
  now: NOW,
}

describeGuard({ name: 'serverOnly', guard: decideServerOnly, facts }, [
  [
    'allows a signature that holds, and leaves its nonce to be claimed',
    {},
    {},
    'ALLOWED',
    {
      outcome: { nonce: `key-1/${NONCE}`, nonceUntil: NOW + 300_000, keyId: 'key-1', keyNotAfter: undefined },
      evidence: { keyId: 'key-1' },
    },
  ],
  [
    'tells when the key ends',
    {},
    { keys: ending },
    'ALLOWED',
    {
      outcome: { nonce: `key-1/${NONCE}`, nonceUntil: NOW + 300_000, keyId: 'key-1', keyNotAfter: END },
      evidence: { keyId: 'key-1', keyNotAfter: new Date(END).toISOString() },
    },
  ],
  [
    'refuses a request without a signature',
    {},
    by({ ...signed(), headers: {} }),
    'SIGNATURE_REQUIRED',
    { outcome: undefined, evidence: {} },
  ],
  [
    'refuses a signature by another secret',
    {},
    by(signed({ secret: OTHER })),
    'SIGNATURE_INVALID',
    { outcome: undefined },
  ],
  [
    'refuses a signature by a key that the app does not have',
    {},
    by(signed({ keyId: 'x' })),
    'SIGNATURE_INVALID',
  ],
  ['refuses every signature for an app without keys', {}, { keys: [] }, 'SIGNATURE_INVALID'],
  ['refuses a signature of another target', {}, by({ ...signed(), target: '/a?b=d' }), 'SIGNATURE_INVALID'],
  ['refuses a signature of another method', {}, by({ ...signed(), method: 'DELETE' }), 'SIGNATURE_INVALID'],
  [
    'refuses a signature of another authority',
    {},
    by({ ...signed(), authority: 'other.example' }),
    'SIGNATURE_INVALID',
  ],
  [
    'refuses a signature that leaves the query out',
    {},
    by(signed({ components: ['@method', '@authority', '@path'] })),
    'SIGNATURE_INVALID',
  ],
  [
    'refuses a key after its end',
    {},
    { keys: ending, message: messageOf(signed({ created: END / 1_000 })), now: END },
    'SIGNATURE_INVALID',
  ],
  ['allows a signature of 300 seconds ago', {}, by(signed({ created: CREATED - 300 })), 'ALLOWED'],
  ['refuses a signature of 301 seconds ago', {}, by(signed({ created: CREATED - 301 })), 'SIGNATURE_EXPIRED'],
  ['allows a signature of 300 seconds from now', {}, by(signed({ created: CREATED + 300 })), 'ALLOWED'],
  [
    'refuses a signature of 301 seconds from now',
    {},
    by(signed({ created: CREATED + 301 })),
    'SIGNATURE_EXPIRED',
  ],
  [
    'takes the window from the policy',
    { maxAge: 10 },
    by(signed({ created: CREATED - 11 })),
    'SIGNATURE_EXPIRED',
  ],
  ['allows content whose digest and type are covered', {}, by(signed(withBody)), 'ALLOWED'],
  ['refuses other content than was signed', {}, by({ ...signed(withBody), body: '[]' }), 'DIGEST_MISMATCH'],
  [
    'refuses content whose digest is not covered',
    {},
    by(signed({ ...withBody, components: COVERING.filter((name) => name !== 'content-digest') })),
    'SIGNATURE_INVALID',
  ],
  [
    'refuses content whose type is not covered',
    {},
    by(signed({ ...withBody, components: COVERING.filter((name) => name !== 'content-type') })),
    'SIGNATURE_INVALID',
  ],
  [
    'allows content whose type is not covered where the policy lets it',
    { requireContentType: false },
    by(signed({ ...withBody, components: COVERING.filter((name) => name !== 'content-type') })),
    'ALLOWED',
  ],
  [
    'allows content without a digest where the policy lets it',
    { requireDigest: false },
    by(
      signed({
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
        components: ['@method', '@authority', '@path', '@query', 'content-type'],
      }),
    ),
    'ALLOWED',
  ],
  [
    'refuses a browser, even with a signature that holds',
    {},
    { browserEvidence: 'origin' },
    'BROWSER_NOT_ALLOWED',
    { outcome: undefined, evidence: { evidence: 'origin' } },
  ],
  [
    'refuses a request of which header lines may be lost',
    {},
    { headersComplete: false },
    'SIGNATURE_INVALID',
    { outcome: undefined },
  ],
  [
    'refuses where a scheme of the app throws',
    {},
    {
      scheme: {
        name: 'broken',
        verify: () => {
          throw new Error('a fault')
        },
      },
    },
    'SIGNATURE_INVALID',
  ],
])

describe('the refusal of a caller whose app does not exist', () => {
  const always = {
    name: 'always',
    verify: () => ({ ok: true, keyId: 'k', nonce: 'n', usableUntil: NOW + 1_000 }) as const,
  }
  it.each<[what: string, more: Partial<ServerFacts>, code: string, evidence: object]>([
    ['has signed', {}, 'SIGNATURE_INVALID', {}],
    ['has not signed', by({ ...signed(), headers: {} }), 'SIGNATURE_REQUIRED', {}],
    ['is a browser', { browserEvidence: 'origin' }, 'BROWSER_NOT_ALLOWED', { evidence: 'origin' }],
    ['may have sent more headers', { headersComplete: false }, 'SIGNATURE_INVALID', {}],
    ['has signed for a scheme that needs no key', { scheme: always }, 'SIGNATURE_INVALID', {}],
  ])('has the code of an app without the key if the caller %s', (_what, more, code, evidence) => {
    const stranger = { ...facts, appId: '', keys: [], ...more }
    const { decision, outcome } = refuseStranger(stranger)
    expect(decision).toMatchObject({ guard: 'serverOnly', effect: 'deny', mode: 'enforce', code })
    expect(decision.evidence).toEqual({ ...evidence, cause: 'APP_UNKNOWN' })
    expect(outcome).toBeUndefined()
  })
})
