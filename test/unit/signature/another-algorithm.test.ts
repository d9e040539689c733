import { createPublicKey, generateKeyPairSync, randomUUID, sign, verify, type KeyObject } from 'node:crypto'
import { beforeAll, describe, expect, it } from '@jest/globals'
import type { AppKey } from 'portcullis'
import {
  ALGORITHM_NAMES,
  ALGORITHMS,
  type Algorithm,
  type Checker,
} from '../../../src/signature/algorithms.ts'

/** RFC 9421 3.3.4: the signature is r and s, 32 bytes each, and not DER. */
const FORM = { dsaEncoding: 'ieee-p1363' } as const

function readPoint(bytes: Buffer): KeyObject | string {
  if (bytes.length !== 64) return 'must be the 64 raw bytes of a P-256 public key'
  const x = bytes.subarray(0, 32).toString('base64url')
  const y = bytes.subarray(32).toString('base64url')
  try {
    return createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
  } catch {
    return 'is not a point of P-256'
  }
}

function checker(key: KeyObject): Checker {
  return {
    holds: (text, signature) =>
      verify('sha256', Buffer.from(text, 'latin1'), { key, ...FORM }, Buffer.from(signature, 'base64')),
  }
}

function pointOf(key: KeyObject): Buffer {
  const { x = '', y = '' } = key.export({ format: 'jwk' }) as { x?: string; y?: string }
  return Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')])
}

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** The row of an algorithm that the package does not have. */
const NAME = 'ecdsa-p256-sha256'
const ROW: Algorithm = {
  signatureLength: 64,
  isSlow: true,
  readKey: readPoint,
  checker,
  checkerOfText: checker,
  decoy: pointOf(stranger.publicKey),
}

const KEY = { id: 'p256', algorithm: NAME, secret: pointOf(pair.publicKey).toString('base64') }
const NOW = 1_750_000_000_000

function signed(privateKey: KeyObject, keyId = 'p256') {
  const input = `("@method" "@authority" "@path" "@query");created=${NOW / 1000};keyid="${keyId}";nonce="${randomUUID()}"`
  const base = `"@method": GET\n"@authority": example.com\n"@path": /a\n"@query": ?\n"@signature-params": ${input}`
  const signature = sign('sha256', Buffer.from(base), { key: privateKey, ...FORM }).toString('base64')
  const headers = new Map([
    ['signature-input', `s=${input}`],
    ['signature', `s=:${signature}:`],
  ])
  return {
    method: 'GET',
    authority: 'example.com',
    target: '/a',
    header: (name: string) => [headers.get(name) ?? []].flat(),
    body: { kind: 'none' } as const,
  }
}

describe('a further algorithm', () => {
  beforeAll(() => {
    // Added before any module has read the table.
    Object.assign(ALGORITHMS, { [NAME]: ROW })
    ;(ALGORITHM_NAMES as string[]).push(NAME)
  })

  it('needs one row of the table: keys are read, signatures verify, and unknown callers meet a decoy', async () => {
    const { decoysFor, parseAppKeys } = await import('../../../src/signature/keys.ts')
    const { verifyMessage } = await import('../../../src/signature/verify.ts')
    const rules = { maxAge: 300, requireDigest: true, requireContentType: true }
    const keys = parseAppKeys([KEY])
    expect(verifyMessage(signed(pair.privateKey), keys, rules, NOW)).toMatchObject({
      ok: true,
      keyId: 'p256',
    })
    const refused = { ok: false, code: 'SIGNATURE_INVALID' }
    expect(verifyMessage(signed(stranger.privateKey), keys, rules, NOW)).toMatchObject(refused)
    // A signature with the decoy's key is not accepted.
    expect(verifyMessage(signed(stranger.privateKey, 'x'), keys, rules, NOW)).toMatchObject(refused)
    expect(decoysFor(64).map(({ algorithm }) => algorithm)).toEqual(['ed25519', NAME])
  })

  it('needs no other list: stores accept its keys, and refuse what its row refuses', async () => {
    const { memoryStore, PolicyError } = await import('portcullis')
    const app = (secret: string) => ({
      policy: { appId: 'a' },
      keys: [{ ...KEY, secret } as unknown as AppKey],
    })
    const store = memoryStore([app(KEY.secret)])
    expect(await store.keys('a')).toEqual([{ id: 'p256', algorithm: NAME }])
    const off = Buffer.alloc(64, 1).toString('base64')
    const error = (await store.write(app(off), 1).catch((caught: unknown) => caught)) as InstanceType<
      typeof PolicyError
    >
    expect(error).toBeInstanceOf(PolicyError)
    expect(error.message).toContain('is not a point of P-256')
  })
})

describe('the table of algorithms', () => {
  const rows = () => Object.entries(ALGORITHMS) as [string, Algorithm][]

  it('has a decoy in each row, which is a key and does not verify a signature of zeros', () => {
    for (const [name, { decoy, readKey, checker: checkerOf, signatureLength }] of rows()) {
      const key = readKey(decoy)
      expect([name, typeof key]).toEqual([name, 'object'])
      const zeros = Buffer.alloc(signatureLength).toString('base64')
      expect([name, checkerOf(key as KeyObject).holds('text', zeros)]).toEqual([name, false])
    }
  })

  it('refuses a key of another length in each row', () => {
    for (const [name, { readKey }] of rows())
      expect([name, typeof readKey(Buffer.alloc(7))]).toEqual([name, 'string'])
  })
})
