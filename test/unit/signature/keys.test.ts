import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { PolicyError } from '../../../src/errors.ts'
import { decoysFor, parseAppKeys } from '../../../src/signature/keys.ts'

const secret = randomBytes(32).toString('base64')
const good = { id: 'a', algorithm: 'hmac-sha256', secret }
const publicKey = Buffer.from(
  generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x ?? '',
  'base64url',
).toString('base64')

/** Zero bytes, in base64. */
const zeros = (length: number): string => Buffer.alloc(length).toString('base64')

function issuesOf(keys: unknown): readonly string[] {
  try {
    parseAppKeys(keys)
    return []
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    expect(error.message).not.toContain(secret)
    return error.issues.map(({ path, message }) => `${path}: ${message}`)
  }
}

describe('parseAppKeys', () => {
  it('reads both algorithms and the times in milliseconds', () => {
    const [mac, signature] = parseAppKeys([
      { ...good, notBefore: '2030-01-01T00:00:00Z', notAfter: '2030-01-01T01:00:00.5+01:00' },
      { id: 'b', algorithm: 'ed25519', secret: publicKey },
    ])
    expect(mac).toMatchObject({
      id: 'a',
      algorithm: 'hmac-sha256',
      notBefore: 1893456000000,
      notAfter: 1893456000500,
    })
    expect(signature).toMatchObject({
      id: 'b',
      algorithm: 'ed25519',
      notBefore: undefined,
      notAfter: undefined,
    })
  })

  it('accepts base64 that contains only letters, or only digits, of hexadecimal', () => {
    for (const text of ['A'.repeat(64), '0'.repeat(64), 'aA0'.repeat(20)])
      expect(issuesOf([{ ...good, secret: text }])).toEqual([])
  })

  it('accepts an empty list', () => {
    expect(parseAppKeys([])).toEqual([])
  })

  const { id: _id, ...withoutId } = good
  const refused: readonly (readonly [why: string, keys: unknown, issues: RegExp])[] = [
    ['not an array', { 0: good }, /^keys: must be an array$/],
    ['not an object', [good, secret], /^keys\[1\]: must be an object$/],
    ['no id', [withoutId], /^keys\[0\]\.id: must be 1 to 128/],
    ['an id with a space', [{ ...good, id: 'a b' }], /^keys\[0\]\.id: /],
    ['an id that is too long', [{ ...good, id: 'a'.repeat(129) }], /^keys\[0\]\.id: /],
    ['an id twice', [good, good], /^keys\[1\]\.id: is also the id of an earlier key$/],
    ['another algorithm', [{ ...good, algorithm: 'none' }], /^keys\[0\]\.algorithm: must be/],
    [
      'an inherited algorithm',
      [Object.assign(Object.create(good), { id: 'a', secret })],
      /^keys\[0\]\.algorithm: /,
    ],
    ['a secret that is not a text', [{ ...good, secret: 7 }], /^keys\[0\]\.secret: must be base64/],
    ['an empty secret', [{ ...good, secret: '' }], /^keys\[0\]\.secret: must be base64/],
    [
      'a secret without its padding',
      [{ ...good, secret: secret.slice(0, -1) }],
      /^keys\[0\]\.secret: must be base64/,
    ],
    ['a secret with a line end', [{ ...good, secret: `${secret}\n` }], /^keys\[0\]\.secret: must be base64/],
    ['base64url', [{ ...good, secret: '_-_-'.repeat(11) }], /^keys\[0\]\.secret: must be base64/],
    [
      'hexadecimal',
      [{ ...good, secret: randomBytes(32).toString('hex') }],
      /^keys\[0\]\.secret: must be base64, got hexadecimal; encode the bytes that it stands for in base64$/,
    ],
    [
      'hexadecimal in capitals',
      [{ ...good, algorithm: 'ed25519', secret: randomBytes(32).toString('hex').toUpperCase() }],
      /got hexadecimal/,
    ],
    [
      'a secret of 31 bytes',
      [{ ...good, secret: randomBytes(31).toString('base64') }],
      /^keys\[0\]\.secret: must be at least 32 bytes long$/,
    ],
    [
      'an Ed25519 key of 33 bytes',
      [{ ...good, algorithm: 'ed25519', secret: randomBytes(33).toString('base64') }],
      /32 raw bytes/,
    ],
    [
      'an Ed25519 key in SPKI',
      [{ ...good, algorithm: 'ed25519', secret: `MCowBQYDK2VwAyEA${publicKey}` }],
      /32 raw bytes/,
    ],
    [
      'an Ed25519 key of zeros',
      [{ ...good, algorithm: 'ed25519', secret: Buffer.alloc(32).toString('base64') }],
      /small order/,
    ],
    [
      'a day without a time',
      [{ ...good, notBefore: '2030-01-01' }],
      /^keys\[0\]\.notBefore: must be an ISO 8601 instant/,
    ],
    [
      'a time without an offset',
      [{ ...good, notAfter: '2030-01-01T00:00:00' }],
      /^keys\[0\]\.notAfter: must be/,
    ],
    [
      'a day that does not exist',
      [{ ...good, notAfter: '2030-02-30T00:00:00Z' }],
      /^keys\[0\]\.notAfter: must be/,
    ],
    ['a number for a time', [{ ...good, notBefore: 1 }], /^keys\[0\]\.notBefore: must be/],
    ['null for a time', [{ ...good, notBefore: null }], /^keys\[0\]\.notBefore: must be/],
    [
      'times in the wrong order',
      [{ ...good, notBefore: '2030-01-01T00:00:00Z', notAfter: '2030-01-01T00:00:00Z' }],
      /^keys\[0\]\.notAfter: must be after `notBefore`$/,
    ],
    ['a time that is an object', [{ ...good, notAfter: { valueOf: () => 0 } }], /^keys\[0\]\.notAfter: /],
    [
      'a year that a Date cannot hold',
      [{ ...good, notAfter: '999999-01-01T00:00:00Z' }],
      /notAfter: must be/,
    ],
    ['a list in a list', [[good]], /^keys\[0\]: must be an object$/],
    ['a hole in the list', Object.assign([], { 1: good }), /^keys\[0\]: must be an object$/],
    ['null for a key', [null], /^keys\[0\]: must be an object$/],
    ['an id with a line end', [{ ...good, id: 'a\n' }], /^keys\[0\]\.id: /],
    ['an id that is a list', [{ ...good, id: ['a'] }], /^keys\[0\]\.id: /],
    ['an algorithm in upper case', [{ ...good, algorithm: 'HMAC-SHA256' }], /^keys\[0\]\.algorithm: /],
    ['an algorithm that is a list', [{ ...good, algorithm: ['ed25519'] }], /^keys\[0\]\.algorithm: /],
    [
      'an own __proto__',
      [JSON.parse(`{ "__proto__": {}, "id": "a", "algorithm": "hmac-sha256", "secret": "${secret}" }`)],
      /^keys\[0\]: has a member other than id/,
    ],
    [
      'more keys than any app needs',
      Array.from({ length: 101 }, (_, index) => ({ ...good, id: `key-${index}` })),
      /^keys: must have at most 100 keys$/,
    ],
    ['a short name', [{ ...good, keyId: 'a' }], /^keys\[0\]: has a member other than id, .+ \(`keyId`\)$/],
    ['an unknown member', [{ ...good, [secret]: 1 }], /^keys\[0\]: has a member other than id, [a-zA-Z, ]+$/],
  ]
  it.each(refused)('refuses %s', (_why, keys, issue) => {
    expect(issuesOf(keys)).toEqual([expect.stringMatching(issue)])
  })

  it('refuses every point of small order, however it is written', () => {
    // All eight points and their non-reduced encodings, which are public (RFC 7748 and libsodium).
    const points = [
      '0000000000000000000000000000000000000000000000000000000000000000',
      '0100000000000000000000000000000000000000000000000000000000000000',
      '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ]
    for (const point of points) {
      for (const sign of [0x00, 0x80]) {
        const bytes = Buffer.from(point, 'hex')
        bytes[31] = (bytes[31] ?? 0) | sign
        const key = { id: 'a', algorithm: 'ed25519', secret: bytes.toString('base64') }
        expect(issuesOf([key])).toEqual([expect.stringContaining('small order')])
      }
    }
  })

  it('names every reason at once', () => {
    expect(
      issuesOf([
        { ...good, id: '' },
        { ...good, secret: 'x' },
      ]),
    ).toHaveLength(2)
  })
})

describe('a verifier key', () => {
  it('cannot be made to show its secret', () => {
    const keys = parseAppKeys([good])
    const shown = [
      inspect(keys, { showHidden: true, depth: 9 }),
      JSON.stringify(keys),
      JSON.stringify({ ...keys[0] }),
      String(keys[0]),
      inspect(structuredClone({ ...keys[0] })),
    ].join()
    expect(shown).toContain('hmac-sha256')
    expect(shown).not.toContain(secret)
    expect(shown).not.toContain(Buffer.from(secret, 'base64').toString('hex').slice(0, 16))
    expect(shown).not.toMatch(/KeyObject/)
  })

  it('rejects a signature of another length', () => {
    const [key] = parseAppKeys([good])
    for (const length of [0, 31, 33, 64]) expect(key?.holds('text', zeros(length))).toBe(false)
  })

  it('rejects the right signature with additional bytes or invalid base64', () => {
    const [key] = parseAppKeys([good])
    const code = createHmac('sha256', Buffer.from(good.secret, 'base64')).update('text').digest()
    const text = code.toString('base64')
    expect(key?.holds('text', text)).toBe(true)
    const longer = Buffer.concat([code, Buffer.alloc(1)]).toString('base64')
    const broken = [longer, `${text}=`, `${text}AAAA`, text.slice(0, -1), `!${text.slice(1)}`, ` ${text}`]
    for (const one of broken) expect(key?.holds('text', one)).toBe(false)
  })

  it('has a decoy for each length of signature', () => {
    expect(decoysFor(32).map(({ algorithm }) => algorithm)).toEqual(['hmac-sha256'])
    expect(decoysFor(64).map(({ algorithm }) => algorithm)).toEqual(['ed25519'])
    expect(decoysFor(33)).toEqual([])
    expect(decoysFor(64)[0]?.holds('text', zeros(64))).toBe(false)
  })
})
