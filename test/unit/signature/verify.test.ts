import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { signRequest, type RequestToSign, type SigningOptions } from '../../../src/client/index.ts'
import { signatureBase, type SignatureParameters } from '../../../src/signature/base.ts'
import { parseAppKeys } from '../../../src/signature/keys.ts'
import { verifyMessage, type Rejected, type Verified } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, NOW, RULES, SECRET, type PlainMessage } from './message.ts'

const created = NOW / 1000
const nonce = 'nonce-of-16-char'

/** A message with a hand-made signature, which can have mistakes that the client refuses to make. */
function signed({
  components = ['@method', '@authority', '@path', '@query'],
  parameters = [
    ['created', created],
    ['keyid', 'key-1'],
    ['nonce', nonce],
  ],
  label = 'sig1',
  secret = SECRET,
  ...message
}: Partial<PlainMessage> & {
  components?: readonly string[]
  parameters?: SignatureParameters
  label?: string
  secret?: string
} = {}): PlainMessage {
  const plain: PlainMessage = {
    method: 'GET',
    authority: 'example.com',
    target: '/a?b=c',
    headers: {},
    ...message,
  }
  const base = signatureBase(messageOf(plain), components, parameters)
  if ('problem' in base) throw new Error(base.problem)
  const mac = createHmac('sha256', Buffer.from(secret, 'base64')).update(base.text).digest('base64')
  const headers = { 'signature-input': `${label}=${base.input}`, signature: `${label}=:${mac}:` }
  return { ...plain, headers: { ...headers, ...plain.headers } }
}

function withHeaders(message: PlainMessage, headers: PlainMessage['headers']): PlainMessage {
  return { ...message, headers: { ...message.headers, ...headers } }
}

function verify(message: PlainMessage, { rules = RULES, keys = KEYS, now = NOW } = {}): Verified | Rejected {
  return verifyMessage(messageOf(message), keys, rules, now)
}

async function signedByClient(
  request: RequestToSign,
  options: Partial<SigningOptions> = {},
): Promise<PlainMessage> {
  const headers = await signRequest(request, { keyId: 'key-1', secret: SECRET, now: () => NOW, ...options })
  const url = new URL(request.url)
  const body = request.body as PlainMessage['body']
  return { method: request.method, authority: url.host, target: url.pathname + url.search, headers, body }
}

function refused(code: Rejected['code'], detail: RegExp | string): object {
  return { ok: false, code, detail: typeof detail === 'string' ? detail : expect.stringMatching(detail) }
}

describe('a signed request', () => {
  it('passes, with the nonce to remember and its expiry', async () => {
    const message = await signedByClient(
      { method: 'GET', url: 'https://example.com/a?b=c' },
      { nonce: () => nonce },
    )
    expect(verify(message)).toEqual({
      ok: true,
      keyId: 'key-1',
      nonce,
      created,
      label: 'sig1',
      usableUntil: NOW + 300_000,
    })
  })

  it('passes with content, X-Origin and further headers covered', async () => {
    const message = await signedByClient(
      {
        method: 'POST',
        url: 'https://example.com/',
        headers: { 'X-Origin': 'https://a.example', 'X-B': 'c' },
        body: '{}',
      },
      { covered: ['x-b'], expiresIn: 10, label: 'mine' },
    )
    expect(verify(message)).toMatchObject({
      ok: true,
      label: 'mine',
      expires: created + 10,
      usableUntil: NOW + 10_000,
    })
  })

  it('passes with Ed25519', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const secret = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64')
    const keys = parseAppKeys([{ id: 'key-1', algorithm: 'ed25519', secret }])
    const plain = signed()
    const input = String(plain.headers['signature-input']).slice('sig1='.length)
    const text = `"@method": GET\n"@authority": example.com\n"@path": /a\n"@query": ?b=c\n"@signature-params": ${input}`
    const signature = signBytes(null, Buffer.from(text), privateKey).toString('base64')
    expect(verify(withHeaders(plain, { signature: `sig1=:${signature}:` }), { keys })).toMatchObject({
      ok: true,
    })
    const other = signBytes(null, Buffer.from(`${text} `), privateKey).toString('base64')
    expect(verify(withHeaders(plain, { signature: `sig1=:${other}:` }), { keys })).toMatchObject({
      ok: false,
    })
    // A MAC with the public key as its secret: the message must not choose the algorithm.
    const mac = createHmac('sha256', Buffer.from(secret, 'base64')).update(text).digest('base64')
    expect(verify(withHeaders(plain, { signature: `sig1=:${mac}:` }), { keys })).toMatchObject({ ok: false })
  })

  it('passes if the inner list has more white space, as RFC 9651 allows', () => {
    const message = signed()
    const spaced = String(message.headers['signature-input'])
      .replace('(', '(  ')
      .replace(')', ' )')
      .replace(/;/g, '; ')
    expect(verify(withHeaders(message, { 'signature-input': spaced }))).toMatchObject({ ok: true })
  })

  it('passes next to a signature of somebody else, in any order and lines', () => {
    const message = signed()
    const { 'signature-input': input, signature } = message.headers as Record<string, string>
    const others = {
      'signature-input': ['cdn=("@status";req "x";sf);created=1;keyid="cdn";odd', input ?? ''],
      signature: [signature ?? '', 'cdn=:AAAA:'],
    }
    expect(verify(withHeaders(message, others))).toMatchObject({ ok: true, label: 'sig1' })
  })

  it('is accepted with a key that overlaps with another', () => {
    const keys = parseAppKeys([
      { id: 'key-1', algorithm: 'hmac-sha256', secret: SECRET, notAfter: new Date(NOW + 1).toISOString() },
      { id: 'key-2', algorithm: 'hmac-sha256', secret: SECRET, notBefore: new Date(NOW).toISOString() },
    ])
    const second = signed({
      parameters: [
        ['keyid', 'key-2'],
        ['nonce', nonce],
        ['created', created],
      ],
    })
    expect(verify(signed(), { keys })).toMatchObject({ ok: true, keyId: 'key-1' })
    expect(verify(second, { keys })).toMatchObject({ ok: true, keyId: 'key-2' })
    expect(verify(signed(), { keys, now: NOW + 1 })).toEqual(
      refused('SIGNATURE_INVALID', 'key `key-1` is no longer valid'),
    )
    expect(verify(second, { keys, now: NOW - 1 })).toEqual(
      refused('SIGNATURE_INVALID', 'key `key-2` is not valid yet'),
    )
  })
})

describe('the time window', () => {
  const late = (parameters: SignatureParameters): PlainMessage =>
    signed({ parameters: [...parameters, ['keyid', 'key-1'], ['nonce', nonce]] })
  const cases: readonly (readonly [created: number, expires: number | undefined, outcome: string])[] = [
    [-300, undefined, 'ok'],
    [-300.001, undefined, 'created 300 s ago, more than the allowed 300 s'],
    [300, undefined, 'ok'],
    [301, undefined, 'created 301 s in the future, more than the allowed 300 s'],
    [0, 0, 'ok'],
    [-10, -1, 'expired 1 s ago'],
    [-400, 10, 'created 400 s ago, more than the allowed 300 s'],
    [0, 9_000, 'ok'],
  ]
  it.each(cases)('created %s s from now, expires %s: %s', (seconds, expires, outcome) => {
    // Moves the clock instead of the message, which has only whole seconds.
    const now = NOW + 1_000_000 - seconds * 1000
    const at = created + 1000
    const message = late([
      ['created', at],
      ...(expires === undefined ? [] : [['expires', at - seconds + expires] as const]),
    ])
    const result = verify(message, { now })
    if (outcome === 'ok') expect(result).toMatchObject({ ok: true })
    else expect(result).toEqual(refused('SIGNATURE_EXPIRED', outcome))
  })

  it('refuses each message after the expiry of its nonce', () => {
    for (const expires of [[], [['expires', created + 7]] as const]) {
      const message = late([['created', created], ...expires])
      const result = verify(message)
      if (!result.ok) throw new Error(result.detail)
      expect(verify(message, { now: result.usableUntil })).toMatchObject({ ok: true })
      expect(verify(message, { now: result.usableUntil + 1 })).toMatchObject({ code: 'SIGNATURE_EXPIRED' })
    }
  })

  it('reveals a wrong time only to the holder of the key', () => {
    const forged = signed({ secret: Buffer.alloc(32).toString('base64') })
    expect(verify(forged, { now: NOW + 1e9 })).toMatchObject({ code: 'SIGNATURE_INVALID' })
  })
})

describe('what must be covered', () => {
  const digest = { 'content-digest': `sha-256=:${'A'.repeat(43)}=:` }
  const all = ['@method', '@authority', '@path', '@query']
  it.each(all)('%s', (name) => {
    const message = signed({ components: all.filter((other) => other !== name) })
    expect(verify(message)).toEqual(refused('SIGNATURE_INVALID', `not covered: ${name}`))
  })

  it('no coverage is refused', () => {
    expect(verify(signed({ components: [] }))).toEqual(
      refused('SIGNATURE_INVALID', 'not covered: @method, @authority, @path, @query'),
    )
  })

  it('a body without a digest, unless the policy says otherwise', () => {
    const message = signed({ method: 'POST', body: 'x' })
    expect(verify(message)).toEqual(refused('SIGNATURE_INVALID', 'not covered: content-digest'))
    expect(verify(message, { rules: { ...RULES, requireDigest: false } })).toMatchObject({ ok: true })
  })

  it('a digest that was sent, even if the policy does not require one', () => {
    const message = signed({ method: 'POST', body: 'x', headers: digest })
    expect(verify(message, { rules: { ...RULES, requireDigest: false } })).toEqual(
      refused('SIGNATURE_INVALID', 'not covered: content-digest'),
    )
  })

  it('an empty body needs no digest', () => {
    expect(verify(signed({ method: 'POST', body: '' }))).toMatchObject({ ok: true })
  })

  it('X-Origin if it was sent, and only once', () => {
    expect(verify(signed({ headers: { 'x-origin': 'https://a.example' } }))).toEqual(
      refused('SIGNATURE_INVALID', 'not covered: x-origin'),
    )
    const twice = signed({
      headers: { 'x-origin': 'https://a.example' },
      components: ['@method', '@authority', '@path', '@query', 'x-origin'],
    })
    expect(verify(twice)).toMatchObject({ ok: true })
    expect(verify(withHeaders(twice, { 'x-origin': ['https://a.example', 'https://a.example'] }))).toEqual(
      refused('SIGNATURE_INVALID', 'header `x-origin` was sent more than once'),
    )
  })
})

describe('the content', () => {
  it('that was exchanged does not match, and exchanging its digest invalidates the signature', async () => {
    const message = await signedByClient({ method: 'POST', url: 'https://example.com/', body: 'one' })
    const other = await signedByClient({ method: 'POST', url: 'https://example.com/', body: 'two' })
    expect(verify({ ...message, body: 'two' })).toEqual(
      refused('DIGEST_MISMATCH', 'the sha-256 digest does not match the content'),
    )
    const swapped = withHeaders(message, { 'content-digest': other.headers['content-digest'] ?? '' })
    expect(verify({ ...swapped, body: 'two' })).toMatchObject({ code: 'SIGNATURE_INVALID' })
  })

  it('that was dropped, added or not kept is refused', async () => {
    const post = await signedByClient({ method: 'POST', url: 'https://example.com/', body: 'one' })
    expect(verify({ ...post, body: undefined })).toMatchObject({ code: 'DIGEST_MISMATCH' })
    expect(verify({ ...post, body: { kind: 'unavailable' } })).toEqual(
      refused(
        'DIGEST_MISMATCH',
        'this server has not kept the bytes of the body: mount bodyParsers() before serverOnly, with `keep` for types other than JSON and forms',
      ),
    )
    const get = await signedByClient({ method: 'GET', url: 'https://example.com/' })
    expect(verify({ ...get, body: 'one' })).toMatchObject({ code: 'SIGNATURE_INVALID' })
  })
})

describe('refused', () => {
  const message = signed()
  const { 'signature-input': input = '', signature = '' } = message.headers as Record<string, string>
  const change = (from: string | RegExp, to: string): PlainMessage =>
    withHeaders(message, { 'signature-input': input.replace(from, to) })
  const more = (text: string): PlainMessage => change(/$/, text)

  const cases: readonly (readonly [
    why: string,
    message: PlainMessage,
    code: Rejected['code'],
    detail: RegExp | string,
  ])[] = [
    ['no signature', { ...message, headers: {} }, 'SIGNATURE_REQUIRED', 'the request is not signed'],
    [
      'no Signature-Input',
      { ...message, headers: { signature } },
      'SIGNATURE_INVALID',
      'Signature-Input was not sent',
    ],
    [
      'no Signature',
      { ...message, headers: { 'signature-input': input } },
      'SIGNATURE_INVALID',
      'Signature was not sent',
    ],
    [
      'empty headers',
      withHeaders(message, { signature: '', 'signature-input': '' }),
      'SIGNATURE_INVALID',
      'Signature-Input is empty',
    ],
    [
      'other labels',
      withHeaders(message, { signature: signature.replace('sig1', 'sig2') }),
      'SIGNATURE_INVALID',
      /name different labels/,
    ],
    [
      'one label more',
      withHeaders(message, { signature: `${signature}, sig2=:AA==:` }),
      'SIGNATURE_INVALID',
      /name different labels/,
    ],
    [
      'a label twice',
      withHeaders(message, { 'signature-input': `${input}, ${input}` }),
      'SIGNATURE_INVALID',
      /repeats a key/,
    ],
    [
      'a label twice in two lines',
      withHeaders(message, { signature: [signature, signature] }),
      'SIGNATURE_INVALID',
      /repeats a key/,
    ],
    ['a parameter twice', more(`;created=${created}`), 'SIGNATURE_INVALID', /repeats a key/],
    [
      'a component parameter twice',
      change('"@path"', '"@path";req;req'),
      'SIGNATURE_INVALID',
      /repeats a key/,
    ],
    ['a component twice', signedTwice(), 'SIGNATURE_INVALID', 'component "@path" is repeated'],
    ['a trailing comma', more(','), 'SIGNATURE_INVALID', /^Signature-Input is not a dictionary/],
    [
      'not a list',
      withHeaders(message, { 'signature-input': 'sig1="@method"' }),
      'SIGNATURE_INVALID',
      /is not a list of components/,
    ],
    [
      'a signature that is a text',
      withHeaders(message, { signature: 'sig1="AA=="' }),
      'SIGNATURE_INVALID',
      /is not a byte sequence/,
    ],
    [
      'a signature that is a list',
      withHeaders(message, { signature: 'sig1=(:AA==:)' }),
      'SIGNATURE_INVALID',
      /is not a byte sequence/,
    ],
    [
      'a signature with a parameter',
      withHeaders(message, { signature: `${signature};a` }),
      'SIGNATURE_INVALID',
      /has parameters/,
    ],
    [
      'a signature of 31 bytes',
      withHeaders(message, { signature: `sig1=:${Buffer.alloc(31).toString('base64')}:` }),
      'SIGNATURE_INVALID',
      /has a length that no algorithm produces/,
    ],
    [
      'an empty signature',
      withHeaders(message, { signature: 'sig1=::' }),
      'SIGNATURE_INVALID',
      /has a length that no algorithm produces/,
    ],
    ['a component that is a token', change('"@path"', 'path'), 'SIGNATURE_INVALID', /is not a string/],
    ...(
      [
        ['"@path";sf', 'component parameter `;sf` is not supported'],
        ['"@path";bs', 'component parameter `;bs` is not supported'],
        ['"@path";key="a"', 'component parameter `;key` is not supported'],
        ['"@path";name="a"', 'component parameter `;name` is not supported'],
        ['"@path";req', 'component parameter `;req` belongs to responses'],
        ['"@path";tr', 'component parameter `;tr` is refused: trailers are not kept'],
        ['"@path" "@status"', 'component "@status" belongs to responses'],
        ['"@path" "@query-param"', 'component "@query-param" has no `;name`'],
        ['"@path" "@query-param";name', 'component parameter `;name` has an invalid value'],
        ['"@path" "x";sf=?0', 'component parameter `;sf` has an invalid value'],
        ['"@path" "x";sf=1', 'component parameter `;sf` has an invalid value'],
        ['"@path" "x";key', 'component parameter `;key` has an invalid value'],
        ['"@path" "x";key=a', 'component parameter `;key` has an invalid value'],
        ['"@path" "x";bs;sf', 'component parameter `;bs` cannot be combined with another'],
        ['"@path" "x";bs;key="a"', 'component parameter `;bs` cannot be combined with another'],
        ['"@path" "x";name="a"', 'component parameter `;name` is not supported'],
        ['"@path" "x";odd', 'component parameter `;odd` is not supported'],
        ['"@path" "x";sf', 'header `x` is covered but was not sent'],
      ] as const
    ).map(
      ([components, detail]) =>
        [components, change('"@path"', components), 'SIGNATURE_INVALID', detail] as const,
    ),
    [
      'an unknown parameter',
      more(';context="a"'),
      'SIGNATURE_INVALID',
      'parameter `context` is not supported',
    ],
    ['no created', change(/;created=\d+/, ''), 'SIGNATURE_INVALID', 'parameter `created` is missing'],
    [
      'created as a decimal',
      change(/(created=\d+)/, '$1.5'),
      'SIGNATURE_INVALID',
      /^parameter `created` must be whole seconds/,
    ],
    [
      'created as a text',
      change(/created=(\d+)/, 'created="$1"'),
      'SIGNATURE_INVALID',
      /^parameter `created` must be whole seconds/,
    ],
    [
      'created before the epoch',
      change(/created=/, 'created=-'),
      'SIGNATURE_INVALID',
      /^parameter `created` must be whole seconds/,
    ],
    [
      'created far ahead',
      change(/created=\d+/, 'created=999999999999999'),
      'SIGNATURE_INVALID',
      /^parameter `created` must be whole seconds/,
    ],
    ['expires before created', more(';expires=1'), 'SIGNATURE_INVALID', '`expires` is before `created`'],
    ['no keyid', change(/;keyid="key-1"/, ''), 'SIGNATURE_INVALID', /^parameter `keyid` is missing/],
    [
      'keyid as a token',
      change('"key-1"', 'key-1'),
      'SIGNATURE_INVALID',
      /^parameter `keyid` must be a string/,
    ],
    [
      'a keyid that no key can have',
      change('key-1', 'key 1'),
      'SIGNATURE_INVALID',
      /^parameter `keyid` is missing or cannot be/,
    ],
    ['no nonce', change(/;nonce="[^"]*"/, ''), 'SIGNATURE_INVALID', /^parameter `nonce` must be 16 to 128/],
    [
      'a short nonce',
      change(nonce, nonce.slice(1)),
      'SIGNATURE_INVALID',
      /^parameter `nonce` must be 16 to 128/,
    ],
    [
      'a long nonce',
      change(nonce, 'n'.repeat(129)),
      'SIGNATURE_INVALID',
      /^parameter `nonce` must be 16 to 128/,
    ],
    [
      'a nonce with a space',
      change(nonce, 'nonce of 16 char'),
      'SIGNATURE_INVALID',
      /^parameter `nonce` must be 16 to 128/,
    ],
    [
      'another algorithm',
      more(';alg="ed25519"'),
      'SIGNATURE_INVALID',
      '`alg` is not the algorithm of key `key-1`',
    ],
    [
      'an algorithm that is none',
      more(';alg="none"'),
      'SIGNATURE_INVALID',
      '`alg` is not the algorithm of key `key-1`',
    ],
    [
      'the signature of another algorithm',
      withHeaders(message, { signature: `sig1=:${Buffer.alloc(64).toString('base64')}:` }),
      'SIGNATURE_INVALID',
      'the signature is not a valid hmac-sha256 signature',
    ],
    [
      'an unknown key',
      change('key-1', 'key-2'),
      'SIGNATURE_INVALID',
      'no signature was made with a key of the app',
    ],
    [
      'another secret',
      signed({ secret: Buffer.alloc(32).toString('base64') }),
      'SIGNATURE_INVALID',
      'the signature by key `key-1` does not match the received request',
    ],
    [
      'the decoy\u2019s secret under an unknown key',
      signed({
        secret: Buffer.alloc(32).toString('base64'),
        parameters: [
          ['created', created],
          ['keyid', 'key-9'],
          ['nonce', nonce],
        ],
      }),
      'SIGNATURE_INVALID',
      'no signature was made with a key of the app',
    ],
    [
      'two signatures by keys of the app',
      withHeaders(message, {
        'signature-input': `${input}, ${input.replace('sig1', 'sig2')}`,
        signature: `${signature}, ${signature.replace('sig1', 'sig2')}`,
      }),
      'SIGNATURE_INVALID',
      'more than one signature was made with a key of the app: send only one',
    ],
    [
      'five signatures',
      withHeaders(message, { 'signature-input': five(input), signature: five(signature) }),
      'SIGNATURE_INVALID',
      'there are more than 4 signatures',
    ],
    [
      '33 components',
      change('"@path"', Array.from({ length: 30 }, (_, index) => `"x-${index}"`).join(' ')),
      'SIGNATURE_INVALID',
      /covers more than 32 components/,
    ],
    [
      'long headers',
      more(`;tag="${'t'.repeat(16_384)}"`),
      'SIGNATURE_INVALID',
      /are longer than 16384 characters in total/,
    ],
    [
      'a target with an authority',
      { ...message, target: 'http://example.com/a?b=c' },
      'SIGNATURE_INVALID',
      /^the request target is not a path/,
    ],
    [
      'no Host',
      { ...message, authority: undefined },
      'SIGNATURE_INVALID',
      'the request does not have exactly one readable Host header',
    ],
  ]
  it.each(cases)('%s', (_why, changed, code, detail) => {
    expect(verify(changed)).toEqual(refused(code, detail))
  })

  it('everything, if the app has no keys', () => {
    expect(verify(message, { keys: [] })).toEqual(
      refused('SIGNATURE_INVALID', 'no signature was made with a key of the app'),
    )
  })

  function five(header: string): string {
    return [1, 2, 3, 4, 5].map((index) => header.replace('sig1', `sig${index}`)).join(', ')
  }

  function signedTwice(): PlainMessage {
    const once = signed()
    const twice = String(once.headers['signature-input']).replace('"@path"', '"@path" "@path"')
    return withHeaders(once, { 'signature-input': twice })
  }
})

describe('optional parts', () => {
  it('`alg` may agree with the key, and a tag may be present', () => {
    const parameters: SignatureParameters = [
      ['created', created],
      ['keyid', 'key-1'],
      ['nonce', nonce],
      ['alg', 'hmac-sha256'],
      ['tag', 'my "app"'],
    ]
    expect(verify(signed({ parameters }))).toMatchObject({ ok: true })
  })

  it('@target-uri, @scheme and @request-target may be covered too', () => {
    const components = [
      '@method',
      '@authority',
      '@path',
      '@query',
      '@target-uri',
      '@scheme',
      '@request-target',
    ]
    expect(verify(signed({ components, scheme: 'https' }))).toMatchObject({ ok: true })
  })
})

describe('the tag', () => {
  const tagged = (label: string, tag: string | undefined, key = 'key-1'): PlainMessage =>
    signed({
      label,
      parameters: [
        ['created', created],
        ['keyid', key],
        ['nonce', `${nonce}-${label}`],
        ...(tag === undefined ? [] : [['tag', tag] as const]),
      ],
    })
  const together = (...messages: readonly PlainMessage[]): PlainMessage => {
    const all = (name: string): string[] => messages.map(({ headers }) => String(headers[name]))
    return withHeaders(signed(), { 'signature-input': all('signature-input'), signature: all('signature') })
  }
  const verifyTagged = (message: PlainMessage): Verified | Rejected =>
    verifyMessage(messageOf(message), KEYS, RULES, NOW, 'mine')

  it('selects among signatures with keys of the app, at any position', () => {
    const [mine, other, none] = [tagged('a', 'mine'), tagged('b', 'other'), tagged('c', undefined)]
    for (const message of [together(mine, other, none), together(none, other, mine), mine])
      expect(verifyTagged(message)).toMatchObject({ ok: true, label: 'a', nonce: `${nonce}-a` })
  })

  it('is required if it is configured, on only one signature', () => {
    const missing = refused(
      'SIGNATURE_INVALID',
      'no signature with the tag `mine` was made with a key of the app',
    )
    for (const message of [tagged('a', 'Mine'), tagged('a', undefined), tagged('a', 'mine', 'key-2')])
      expect(verifyTagged(message)).toEqual(missing)
    expect(verifyTagged(together(tagged('a', 'mine'), tagged('b', 'mine')))).toEqual(
      refused('SIGNATURE_INVALID', 'more than one signature was made with a key of the app: send only one'),
    )
  })

  it('does not make a wrong signature valid', () => {
    const message = tagged('a', 'other')
    const input = String(message.headers['signature-input']).replace('"other"', '"mine"')
    expect(verifyTagged(withHeaders(message, { 'signature-input': input }))).toMatchObject({ ok: false })
  })
})
