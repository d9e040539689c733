import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createExpiringIpSetBuilder, type ExpiringIpSet } from '../../../src/match/expiring-ip-set.ts'
import { parseIp, rangeText, type IpAddress } from '../../../src/match/ip.ts'
import { runs } from '../../support/runs.ts'

interface Entry {
  readonly words: readonly number[]
  readonly prefix: number
  readonly expires: number | undefined
}

const ENDS = [10, 20, 30, undefined]

// Few different bits, so that ranges are nested, repeated and contain the addresses.
const words = fc
  .tuple(
    fc.boolean(),
    fc.array(fc.constantFrom(0, 1, 0x80000000, 0xffffffff), { minLength: 4, maxLength: 4 }),
  )
  .map(([four, all]) => (four ? all.slice(0, 1) : [0x20010db8, ...all.slice(1)]))
const entry: fc.Arbitrary<Entry> = fc
  .tuple(words, fc.nat(128), fc.constantFrom(...ENDS))
  .map(([given, length, expires]) => ({ words: given, prefix: length % (32 * given.length + 1), expires }))

function build(entries: readonly Entry[]): ExpiringIpSet {
  const builder = createExpiringIpSetBuilder()
  for (const { words: given, prefix, expires } of entries) {
    expect(builder.add(rangeText(given, prefix), expires)).toBeUndefined()
  }
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

function holds({ words: given, prefix }: Entry, address: readonly number[]): boolean {
  return given.length === address.length && rangeText(given, prefix) === rangeText(address, prefix)
}

const addressOf = (given: readonly number[]): IpAddress =>
  parseIp(rangeText(given, 32 * given.length)) as IpAddress

describe('a set of ranges, some of which expire', () => {
  it('agrees with a naive search: a permanent range, or else the narrowest that has not expired', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 30 }), words, (entries, asked) => {
        const set = build(entries)
        expect(set.size).toBe(entries.length)
        for (const now of [9, 10, 20, 30]) {
          const holding = entries.filter((one) => holds(one, asked) && (one.expires ?? Infinity) > now)
          const lasting = holding.filter(({ expires }) => expires === undefined)
          const [narrowest] = (lasting.length > 0 ? lasting : holding).toSorted((a, b) => b.prefix - a.prefix)
          expect(set.find(addressOf(asked), now)).toBe(narrowest && rangeText(asked, narrowest.prefix))
        }
      }),
      { numRuns: runs(1_000) },
    )
  })

  it('of many thousands stores the expiry of each, with less memory than their texts, built in short steps', () => {
    const builder = createExpiringIpSetBuilder()
    const count = 50_000
    const text = (index: number): string =>
      index % 2 === 0 ? rangeText([index << 8], 24) : rangeText([0x20010db8, index, 0, 0], 64)
    for (let index = 0; index < count; index += 1)
      builder.add(text((index * 7_919) % count), (index * 7_919) % count)
    const steps = builder.finish()
    let taken = 1
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) taken += 1
    const set = step.value
    expect(taken).toBeGreaterThan(100)
    expect(set.bytes / count).toBeLessThan(40)
    for (let index = 0; index < count; index += 97) {
      const address = parseIp(text(index).split('/')[0] as string) as IpAddress
      expect(set.find(address, index - 1)).toBe(text(index))
      expect(set.find(address, index)).toBeUndefined()
    }
  })

  it('refuses an invalid range, and adds nothing then', () => {
    const builder = createExpiringIpSetBuilder()
    expect(builder.add('192.0.2.1/24', 5)).toMatchObject({ corrected: '192.0.2.0/24' })
    expect(builder.add('x', 5)).toBeDefined()
    const steps = builder.finish()
    let step = steps.next()
    while (step.done !== true) step = steps.next()
    expect(step.value).toMatchObject({ size: 0 })
  })
})
