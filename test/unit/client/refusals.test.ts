import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import type { RequestToSign, SigningOptions } from '../../../src/client/index.ts'
import { checkSigningOptions } from '../../../src/client/options.ts'
import { createSigner } from '../../../src/client/sign.ts'
import { ConfigError } from '../../../src/errors.ts'
import { verifyMessage, type Rejected, type Verified } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, NOW, RULES, SECRET, type PlainMessage } from '../signature/message.ts'

const NONCE = 'nonce-of-16-char'
const CREATED = NOW / 1000

/** A request with a correct signature, created without our code. */
interface Forged extends Partial<PlainMessage> {
  components?: readonly string[]
  parameters?: string
  label?: string
}

const FOUR = ['@method', '@authority', '@path', '@query']

/** The verdict of the verifier. */
function verdict({ components, parameters, label = 'sig1', ...given }: Forged): Verified | Rejected {
  const message: PlainMessage = {
    method: 'GET',
    authority: 'example.com',
    target: '/a?b',
    headers: {},
    ...given,
  }
  const { method, authority = '', target, headers } = message
  const values: Record<string, string> = {
    '@method': method,
    '@authority': authority.toLowerCase(),
    '@path': target.replace(/\?.*/, ''),
    '@query': /\?.*/.exec(target)?.[0] ?? '?',
  }
  const covered = [...FOUR, ...Object.keys(headers), ...(components ?? [])]
  const lines = covered.map((name) => `"${name}": ${values[name] ?? [headers[name] ?? ''].flat().join(', ')}`)
  const list = covered.map((name) => `"${name}"`).join(' ')
  const input = `(${list});${parameters ?? `created=${CREATED};keyid="key-1";nonce="${NONCE}"`}`
  const base = [...lines, `"@signature-params": ${input}`].join('\n')
  const signature = createHmac('sha256', Buffer.from(SECRET, 'base64'))
    .update(base, 'latin1')
    .digest('base64')
  const signed = { ...headers, 'signature-input': `${label}=${input}`, signature: `${label}=:${signature}:` }
  return verifyMessage(messageOf({ ...message, headers: signed }), KEYS, RULES, NOW)
}

type Row = readonly [
  what: string,
  request: Partial<RequestToSign> & { target?: string },
  options: object,
  says: RegExp,
  forged: Forged,
]

const many = (count: number, name: (at: number) => string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [name(at), 'v']))
const manyNames = many(29, (at) => `x-${at}`)
const longNames = many(28, (at) => `x-${at}-${'a'.repeat(582)}`)
const digest = `sha-256=:${createHash('sha256').update('x').digest('base64')}:`
const post = { method: 'POST' }
const withParameters = (parameters: string): Forged => ({ parameters })

const ROWS: readonly Row[] = [
  [
    'more than 32 components',
    { headers: manyNames },
    { covered: Object.keys(manyNames) },
    /more than 32 components/,
    { headers: manyNames },
  ],
  [
    'a signature of more than 16384 characters',
    { headers: longNames },
    { covered: Object.keys(longNames) },
    /more than 16384 characters/,
    { headers: longNames },
  ],
  [
    'a covered header that is not ASCII',
    { headers: { authorization: 'caf\u00e9' } },
    {},
    /"authorization" is not printable ASCII/,
    { headers: { authorization: 'caf\u00e9' } },
  ],
  [
    'a control character in a covered header',
    { headers: { 'x-a': 'a\u0001b' } },
    { covered: ['x-a'] },
    /header `x-a` must be a string of Latin-1 without control/,
    { headers: { 'x-a': 'a\u0001b' } },
  ],
  [
    'a covered header that is not sent',
    {},
    { covered: ['x-a'] },
    /`x-a` is covered but was not sent/,
    { components: ['x-a'] },
  ],
  [
    'two lines of a header that has one',
    {
      headers: [
        ['Authorization', 'a'],
        ['authorization', 'b'],
      ],
    },
    {},
    /`authorization` must be given once/,
    { headers: { authorization: ['a', 'b'] } },
  ],
  [
    'two lines of X-Origin',
    {
      headers: [
        ['x-origin', 'https://a.example'],
        ['X-Origin', 'https://b.example'],
      ],
    },
    {},
    /`x-origin` must be given once/,
    { headers: { 'x-origin': ['https://a.example', 'https://b.example'] } },
  ],
  [
    'two hosts',
    { headers: { host: 'a.example, b.example' } },
    {},
    /not have exactly one readable Host/,
    { authority: 'a.example, b.example' },
  ],
  ['an empty host', { headers: { host: '' } }, {}, /not have exactly one readable Host/, { authority: '' }],
  [
    'a host with a path',
    { headers: { host: 'a.example/b' } },
    {},
    /not have exactly one readable Host/,
    { authority: 'a.example/b' },
  ],
  [
    'user information',
    { url: 'https://user:pass@example.com/' },
    {},
    /must not contain a user name or password/,
    { authority: 'user:pass@example.com' },
  ],
  ['a fragment in the target', { target: '/a#b' }, {}, /request target is not a path/, { target: '/a#b' }],
  [
    'an absolute target',
    { target: 'http://example.com/a' },
    {},
    /request target is not a path/,
    { target: 'http://example.com/a' },
  ],
  [
    'the target of CONNECT',
    { method: 'CONNECT', target: 'example.com:443' },
    {},
    /CONNECT request cannot be signed/,
    { method: 'CONNECT', target: 'example.com:443' },
  ],
  [
    'a target that is not ASCII',
    { target: '/caf\u00e9' },
    {},
    /target is not a path with an optional query in printable ASCII/,
    { target: '/caf\u00e9' },
  ],
  ['a method with a line break', { method: 'GET\n' }, {}, /HTTP method in upper case/, { method: 'GET\n' }],
  [
    'content without a digest',
    { ...post, headers: { 'content-length': '1' } },
    {},
    /announce a body: pass the body or its `content-digest`/,
    { ...post, body: 'x' },
  ],
  [
    'content of unknown length without a digest',
    { ...post, headers: { 'transfer-encoding': 'chunked' } },
    {},
    /announce a body/,
    { ...post, body: { kind: 'unavailable' } },
  ],
  [
    'a digest by an unknown algorithm',
    { ...post, headers: { 'content-digest': 'md5=:AAAAAAAAAAAAAAAAAAAAAA==:' } },
    {},
    /a sha-256 or sha-512 digest/,
    { ...post, body: 'x', headers: { 'content-digest': 'md5=:AAAAAAAAAAAAAAAAAAAAAA==:' } },
  ],
  [
    'a digest that is too short',
    { ...post, headers: { 'content-digest': 'sha-512=:AA==:' } },
    {},
    /a sha-256 or sha-512 digest/,
    { ...post, body: 'x', headers: { 'content-digest': 'sha-512=:AA==:' } },
  ],
  [
    'a digest twice',
    { ...post, headers: { 'content-digest': `${digest}, ${digest}` } },
    {},
    /each at most once/,
    { ...post, body: 'x', headers: { 'content-digest': `${digest}, ${digest}` } },
  ],
  [
    'a nonce that is too short',
    {},
    { nonce: () => 'short' },
    /`nonce` must return/,
    withParameters(`created=${CREATED};keyid="key-1";nonce="short"`),
  ],
  [
    'a nonce that is too long',
    {},
    { nonce: () => 'n'.repeat(129) },
    /`nonce` must return/,
    withParameters(`created=${CREATED};keyid="key-1";nonce="${'n'.repeat(129)}"`),
  ],
  [
    'a nonce with a space',
    {},
    { nonce: () => 'nonce of 16 char' },
    /`nonce` must return/,
    withParameters(`created=${CREATED};keyid="key-1";nonce="nonce of 16 char"`),
  ],
  [
    'a time before 1970',
    {},
    { now: () => -1 },
    /`now` must return milliseconds/,
    withParameters(`created=-1;keyid="key-1";nonce="${NONCE}"`),
  ],
  [
    'a time that is none',
    {},
    { now: () => Number.NaN },
    /`now` must return milliseconds/,
    withParameters(`created=NaN;keyid="key-1";nonce="${NONCE}"`),
  ],
  [
    'a time after 9999',
    {},
    { now: () => 253_402_300_800_000 },
    /`now` must return milliseconds/,
    withParameters(`created=253402300800;keyid="key-1";nonce="${NONCE}"`),
  ],
  [
    'an end after 9999',
    {},
    { now: () => 253_402_300_799_000, expiresIn: 1 },
    /`now` must return milliseconds/,
    withParameters(`created=${CREATED};expires=253402300800;keyid="key-1";nonce="${NONCE}"`),
  ],
  [
    'an end before the beginning',
    {},
    { expiresIn: -1 },
    /`signRequest\.expiresIn` must be/,
    withParameters(`created=${CREATED};expires=${CREATED - 1};keyid="key-1";nonce="${NONCE}"`),
  ],
  [
    'an id that no key can have',
    {},
    { keyId: 'key 1' },
    /`signRequest\.keyId` must be/,
    withParameters(`created=${CREATED};keyid="key 1";nonce="${NONCE}"`),
  ],
  [
    'a label that is no key of a dictionary',
    {},
    { label: 'Sig1' },
    /`signRequest\.label` must be/,
    { label: 'Sig1' },
  ],
  [
    'a signature over itself',
    { headers: { signature: 'a' } },
    { covered: ['Signature'] },
    /`signRequest\.covered` must be/,
    { components: ['signature'] },
  ],
  [
    'an unknown derived component',
    {},
    { covered: ['@status'] },
    /`signRequest\.covered` must be/,
    { components: ['@status'] },
  ],
]

describe('requests that the verifier refuses whoever signed them', () => {
  it('are not refused because of the way in which these tests sign', () => {
    expect(verdict({ headers: { 'x-a': 'b' } })).toMatchObject({ ok: true })
  })

  it.each(ROWS)('are refused by the signer too: %s', async (_what, request, options, says, forged) => {
    expect(verdict(forged)).toMatchObject({ ok: false })
    const given = {
      keyId: 'key-1',
      secret: SECRET,
      now: () => NOW,
      nonce: () => NONCE,
      ...options,
    } as SigningOptions
    const signing = (async () => {
      checkSigningOptions('signRequest', given)
      return createSigner(given)({ method: 'GET', url: 'https://example.com/a?b', ...request })
    })()
    await expect(signing).rejects.toThrow(says)
    const error: unknown = await signing.catch((caught: unknown) => caught)
    expect(error instanceof TypeError || error instanceof ConfigError).toBe(true)
  })

  const just = [
    ['32 components', many(28, (at) => `x-${at}`)],
    ['nearly 16384 characters', many(27, (at) => `x-${at}-${'a'.repeat(578)}`)],
  ] as const
  it.each(just)('are accepted by both up to the limit: %s', async (_what, headers) => {
    const options = { keyId: 'key-1', secret: SECRET, now: () => NOW, covered: Object.keys(headers) }
    const signed = await createSigner(options)({ method: 'GET', url: 'https://example.com/a?b', headers })
    const message = messageOf({ method: 'GET', authority: 'example.com', target: '/a?b', headers: signed })
    expect(verifyMessage(message, KEYS, RULES, NOW)).toMatchObject({ ok: true })
  })
})

describe('requests that cannot be sent as described', () => {
  const sign = createSigner({ keyId: 'key-1', secret: SECRET })
  const rows: readonly (readonly [what: string, request: object, says: RegExp])[] = [
    ['a wrong length', { headers: { 'content-length': '2' }, body: 'x' }, /not the length of the body/],
    ['a length and no body', { headers: { 'content-length': '2' }, body: '' }, /announce a body/],
    ['an answer’s header', { headers: { 'set-cookie': 'a=b' } }, /`set-cookie` is a header of responses/],
    ['a TRACE', { method: 'TRACE' }, /TRACE request cannot be signed/],
    ['a header that is no text', { headers: { 'x-a': 1 } }, /header `x-a` must be a string/],
    ['a name that is none', { headers: { 'x a': 'b' } }, /name of a header/],
    [
      'a line break in a header',
      { headers: { 'x-a': 'a\r\nb: c' } },
      /^header `x-a` must be a string of Latin-1 without control characters$/,
    ],
  ]
  it.each(rows)('are not signed: %s', async (_what, request, says) => {
    const signing = sign({ method: 'POST', url: 'https://example.com/', ...request })
    await expect(signing).rejects.toThrow(says)
    await expect(signing).rejects.toBeInstanceOf(TypeError)
  })
})
