import { describe, expect, it } from '@jest/globals'
import { createIpSetBuilder, type IpSet, type IpSetBuilder } from '../../../src/match/ip-set.ts'
import { rangeText } from '../../../src/match/ip.ts'

/** Drives a builder to its end. */
function built(builder: IpSetBuilder): IpSet {
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

describe('a set of many IP ranges', () => {
  it.each([
    ['no range', 0, () => ''],
    ['ranges of IPv4', 6, (index: number) => rangeText([Math.imul(index, 0x9e3779b1) >>> 0], 32)],
    [
      'networks of IPv6',
      10,
      (index: number) =>
        rangeText([0x2a000000 + (index >>> 8), Math.imul(index, 0x9e3779b1) >>> 0, 0, 0], 64),
    ],
    ['networks within one /32', 6, (index: number) => rangeText([0x20010db8, index, 0, 0], 64)],
  ])('reports the bytes of %s: at most %d each', (_name, most, text) => {
    const count = most === 0 ? 0 : 300_000
    const builder = createIpSetBuilder()
    for (let index = 0; index < count; index += 1) builder.add(text(index))
    expect(built(builder).bytes).toBeLessThanOrEqual(most * count)
  })
})
