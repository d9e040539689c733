import { createHmac, createSecretKey } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ALGORITHM_NAMES, ALGORITHMS } from '../../../src/signature/algorithms.ts'
import { fastHmac } from '../../../src/signature/fast-hmac.ts'
import { plainHmac } from '../../../src/signature/hmac.ts'
import { runs } from '../../support/runs.ts'

const codeOf = (secret: Uint8Array, text: string): string =>
  createHmac('sha256', secret).update(text, 'latin1').digest('base64')

describe('the fast path of HMAC', () => {
  const secrets = fc.uint8Array({ minLength: 1, maxLength: 200 })
  const texts = fc.oneof(
    fc.string({ maxLength: 300 }),
    // Lengths around and beyond the shared buffer.
    fc.integer({ min: 3_900, max: 4_200 }).map((length) => 'x'.repeat(length)),
    fc
      .array(fc.integer({ min: 0, max: 255 }), { maxLength: 100 })
      .map((codes) => String.fromCharCode(...codes)),
  )

  it('agrees with the plain path for every code', () => {
    const answers = new Set<boolean>()
    fc.assert(
      fc.property(
        secrets,
        texts,
        fc.oneof(
          fc.constant(undefined),
          fc.base64String(),
          fc.string({ maxLength: 50 }),
          fc.tuple(fc.nat({ max: 43 }), fc.constantFrom(...'Aa0+/=-_ \u00e9')),
        ),
        (secret, text, change) => {
          const right = codeOf(secret, text)
          const code =
            change === undefined
              ? right
              : typeof change === 'string'
                ? change
                : right.slice(0, change[0]) + change[1] + right.slice(change[0] + 1)
          const key = createSecretKey(secret)
          const fast = fastHmac(key).holds(text, code)
          expect(fast).toBe(plainHmac(key).holds(text, code))
          answers.add(fast)
        },
      ),
      { numRuns: runs(2_000) },
    )
    expect(answers.size).toBe(2)
  })

  it.each([4, 8, 16, 40, 44])(
    'refuses a code that ends %d characters early, also after the right one',
    (cut) => {
      const secret = new Uint8Array(32).fill(3)
      const mac = fastHmac(createSecretKey(secret))
      const right = codeOf(secret, 'text')
      expect(mac.holds('text', right)).toBe(true)
      expect(mac.holds('text', right.slice(0, -cut) + '='.repeat(cut))).toBe(false)
    },
  )

  it('distinguishes codes of different keys, whichever was checked before', () => {
    const [one, other] = [new Uint8Array(32).fill(1), new Uint8Array(100).fill(2)]
    const [first, second] = [fastHmac(createSecretKey(one)), fastHmac(createSecretKey(other))]
    for (const text of ['a', 'b'.repeat(70), '']) {
      expect(first.holds(text, codeOf(one, text))).toBe(true)
      expect(second.holds(text, codeOf(one, text))).toBe(false)
      expect(second.holds(text, codeOf(other, text))).toBe(true)
      expect(first.holds(text, codeOf(other, text))).toBe(false)
    }
  })

  it.each([
    ['shared memory', 100],
    ['memory of its own', 5_000],
  ])('leaves no pad of a key in %s', (_what, length) => {
    const secret = new Uint8Array(32).fill(0x5a)
    const mac = fastHmac(createSecretKey(secret))
    const text = 'x'.repeat(length)
    const seen: Uint8Array[] = []
    const fill = Buffer.prototype.fill
    // Records the memory that a check wipes, which contained the pads.
    Buffer.prototype.fill = function (this: Buffer, ...given: never[]) {
      seen.push(this)
      return fill.apply(this, given)
    } as typeof fill
    try {
      expect(mac.holds(text, codeOf(secret, text))).toBe(true)
    } finally {
      Buffer.prototype.fill = fill
    }
    expect(seen).toHaveLength(2)
    for (const pad of [0x36, 0x5c]) {
      const part = Buffer.alloc(16, 0x5a ^ pad)
      for (const memory of seen) expect(Buffer.from(memory).includes(part)).toBe(false)
    }
  })
})

describe('every algorithm', () => {
  it.each(ALGORITHM_NAMES)('%s has a decoy that is a key and accepts nothing', (name) => {
    const { decoy, readKey, checker, checkerOfText, signatureLength } = ALGORITHMS[name]
    const key = readKey(decoy)
    if (typeof key === 'string') throw new Error(key)
    const signature = Buffer.alloc(signatureLength, 7).toString('base64')
    expect(checker(key).holds('text', signature)).toBe(false)
    expect(checkerOfText(key).holds('text', signature)).toBe(false)
  })
})
