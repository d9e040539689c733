import { createSecretKey } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { bytesOf, decrypt, encrypt } from '../../../src/vault/gcm.ts'

const LONG =
  'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39'
const LONG_SEALED =
  '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662'
const KEY = 'feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308'
const ZERO_KEY = '00'.repeat(32)

/**
 * Test cases 13 to 16 of McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", on which NIST SP 800-38D is
 * based: the cases of AES-256 with a nonce of 96 bits.
 */
const vectors = [
  [13, ZERO_KEY, '00'.repeat(12), '', '', '', '530f8afbc74536b9a963b4f1c4cb738b'],
  [
    14,
    ZERO_KEY,
    '00'.repeat(12),
    '',
    '00'.repeat(16),
    'cea7403d4d606b6e074ec5d3baf39d18',
    'd0d1c8a799996bf0265b98b5d48ab919',
  ],
  [
    15,
    KEY,
    'cafebabefacedbaddecaf888',
    '',
    `${LONG}1aafd255`,
    `${LONG_SEALED}898015ad`,
    'b094dac5d93471bdec1a502270e3cc6c',
  ],
  [
    16,
    KEY,
    'cafebabefacedbaddecaf888',
    'feedfacedeadbeeffeedfacedeadbeefabaddad2',
    LONG,
    LONG_SEALED,
    '76fc6ece0f4e1768cddf8853bb2d551b',
  ],
] as const

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

describe('AES-256-GCM', () => {
  it.each(vectors)(
    'seals and opens test case %i of McGrew and Viega',
    (_, key, nonce, aad, plain, sealed, tag) => {
      const secret = createSecretKey(hex(key))
      const expected = nonce + sealed + tag
      expect(encrypt(secret, hex(aad), hex(plain), hex(nonce)).toString('hex')).toBe(expected)
      expect(decrypt(secret, hex(aad), hex(expected)).toString('hex')).toBe(plain)
      for (let bit = 0; bit < expected.length * 4; bit += 7) {
        const changed = hex(expected)
        changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        expect(() => decrypt(secret, hex(aad), changed)).toThrow(
          expect.objectContaining({ reason: 'SEALED_CHANGED' }),
        )
      }
    },
  )

  it('takes another nonce for each call', () => {
    const secret = createSecretKey(hex(KEY))
    const nonces = Array.from({ length: 100 }, () => encrypt(secret, hex(''), hex('')).subarray(0, 12))
    expect(new Set(nonces.map((nonce) => nonce.toString('hex'))).size).toBe(100)
  })

  it('opens nothing that is truncated, at any length', () => {
    const secret = createSecretKey(hex(KEY))
    const sealed = encrypt(secret, hex(''), hex(LONG))
    for (let length = 0; length < sealed.length; length += 1)
      expect(() => decrypt(secret, hex(''), sealed.subarray(0, length))).toThrow(
        expect.objectContaining({ reason: length < 28 ? 'SEALED_DAMAGED' : 'SEALED_CHANGED' }),
      )
  })

  it('accepts base64url in only one spelling', () => {
    expect(bytesOf('AAA')).toEqual(Buffer.of(0, 0))
    for (const text of ['AAB', 'AA=', 'AA+', 'A A', 'AA\n', 'A'])
      expect(() => bytesOf(text)).toThrow(expect.objectContaining({ reason: 'SEALED_DAMAGED' }))
  })
})
