import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { createPseudonyms } from '../../../src/audit/event.ts'
import { ConfigError } from '../../../src/errors.ts'

describe('createPseudonyms', () => {
  const key = Buffer.alloc(32, 1)
  const pseudonymise = createPseudonyms(key)

  it('gives the same value the same pseudonym, from bytes and from a KeyObject, at any time', () => {
    expect(createPseudonyms(createSecretKey(key))('person', '7')).toBe(pseudonymise('person', '7'))
    expect(createPseudonyms(new Uint8Array(key))('person', '7')).toBe(pseudonymise('person', '7'))
  })

  it('gives 128 bits as base64url', () => {
    expect(pseudonymise('address', '203.0.113.7')).toMatch(/^[\w-]{22}$/)
  })

  it('differs by kind, by value and by key', () => {
    const other = createPseudonyms(Buffer.alloc(32, 2))
    const all = [
      pseudonymise('person', '7'),
      pseudonymise('address', '7'),
      pseudonymise('actor', '7'),
      pseudonymise('person', '8'),
      pseudonymise('person', ''),
      other('person', '7'),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  it('does not change when the bytes of the key are changed later', () => {
    const bytes = Buffer.from(key)
    const early = createPseudonyms(bytes)
    bytes.fill(0)
    expect(early('person', '7')).toBe(pseudonymise('person', '7'))
  })

  it('does not show its key when printed', () => {
    const text = randomBytes(16).toString('hex')
    const shown = inspect(createPseudonyms(Buffer.from(text)), { showHidden: true, depth: 9 })
    expect(shown).not.toContain(text)
  })

  const wrong: [string, unknown][] = [
    ['31 bytes', Buffer.alloc(31, 7)],
    ['a short KeyObject', createSecretKey(Buffer.alloc(16, 7))],
    ['a public key', generateKeyPairSync('ed25519').publicKey],
    ['a text', 'x'.repeat(64)],
    ['nothing', undefined],
  ]
  for (const [what, given] of wrong) {
    it(`refuses ${what} as a key, and does not show it`, () => {
      const attempt = () => createPseudonyms(given as Uint8Array)
      expect(attempt).toThrow(ConfigError)
      expect(attempt).toThrow('not shown')
    })
  }
})
