import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ConfigError, UnavailableError } from '../../../src/errors.ts'
import { memoryNonces } from '../../../src/signature/nonces.ts'
import { nonceStoreContract } from '../../../src/testing/index.ts'
import { runs } from '../../support/runs.ts'

nonceStoreContract('memory', { describe, it }, async () => ({
  nonces: memoryNonces({ max: 600, maxPerApp: 300 }),
  maxPerApp: 300,
  dispose() {},
}))

describe('memoryNonces', () => {
  it('claims a nonce once until it expires', () => {
    let now = 1_000
    const nonces = memoryNonces({ now: () => now })
    expect(nonces.claim('a', 'n', 9_000)).toBe(true)
    expect(nonces.claim('a', 'n', 9_000)).toBe(false)
    expect(nonces.claim('a', 'n', 99_000)).toBe(false)
    now = 9_000
    expect(nonces.claim('a', 'n', 9_500)).toBe(false)
    now = 9_001
    expect(nonces.claim('a', 'n', 20_000)).toBe(true)
    now = 19_000
    expect(nonces.claim('a', 'n', 20_000)).toBe(false)
  })

  it('separates the nonces of apps, whatever their names', () => {
    const nonces = memoryNonces({ now: () => 0 })
    expect(nonces.claim('a', 'bc', 10)).toBe(true)
    expect(nonces.claim('ab', 'c', 10)).toBe(true)
    expect(nonces.claim('__proto__', 'c', 10)).toBe(true)
    expect(nonces.claim('__proto__', 'c', 10)).toBe(false)
  })

  it('fails closed when it is full, and has space again when nonces have expired', () => {
    let now = 0
    const nonces = memoryNonces({ max: 3, maxPerApp: 3, now: () => now })
    for (const nonce of ['1', '2', '3']) expect(nonces.claim('a', nonce, 1_000)).toBe(true)
    expect(() => nonces.claim('b', '4', 1_000)).toThrow(UnavailableError)
    expect(nonces.claim('a', '1', 1_000)).toBe(false)
    now = 60_000
    expect(nonces.claim('b', '4', 61_000)).toBe(true)
  })

  it('has space for an app as soon as its nonces have expired, however many of others have expired too', () => {
    let now = 0
    const nonces = memoryNonces({ max: 1_000, maxPerApp: 3, now: () => now })
    for (const nonce of ['1', '2', '3']) expect(nonces.claim('a', nonce, 1_000)).toBe(true)
    for (let app = 0; app < 100; app++) expect(nonces.claim(`b${app}`, '1', 1_000)).toBe(true)
    now = 60_000
    expect(nonces.claim('a', '4', 61_000)).toBe(true)
  })

  it('counts a nonce once if it is claimed again after it expired', () => {
    let now = 0
    const nonces = memoryNonces({ max: 2, maxPerApp: 2, now: () => now })
    for (; now < 8; now += 2) expect(nonces.claim('a', '1', now + 1)).toBe(true)
    expect(nonces.claim('a', '2', now)).toBe(true)
    expect(() => nonces.claim('a', '3', now)).toThrow(UnavailableError)
  })

  it('lets an app exhaust only its own space', () => {
    const nonces = memoryNonces({ max: 4, now: () => 0 })
    expect(nonces.claim('a', '1', 1)).toBe(true)
    expect(nonces.claim('a', '2', 1)).toBe(true)
    expect(() => nonces.claim('a', '3', 1)).toThrow(/app `a`/)
    expect(nonces.claim('b', '1', 1)).toBe(true)
  })

  it.each([-1, Number.NaN, Infinity])('refuses to remember a nonce until %s', (until) => {
    expect(() => memoryNonces({ now: () => 0 }).claim('a', 'n', until)).toThrow(UnavailableError)
  })

  it('never forgets an unexpired nonce or exceeds its limit, in any sequence of claims', () => {
    const step = fc.record({
      wait: fc.nat({ max: 9_000 }),
      nonce: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      app: fc.constantFrom('x', 'y'),
      life: fc.nat({ max: 30_000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let now = 0
        const nonces = memoryNonces({ max: 100, now: () => now })
        const model = new Map<string, number>()
        for (const { wait, nonce, app, life } of steps) {
          now += wait
          const known = model.get(app + nonce)
          const isFree = known === undefined || known < now
          expect(nonces.claim(app, nonce, now + life)).toBe(isFree)
          if (isFree) model.set(app + nonce, now + life)
        }
      }),
      { numRuns: runs(500) },
    )
  })

  it('removes expired nonces during claims', () => {
    let now = 0
    const nonces = memoryNonces({ max: 200, maxPerApp: 200, now: () => now })
    // At any time, 100 are unexpired, and about 50 more wait for the end of their span.
    for (let index = 0; index < 5_000; index++) {
      now += 100
      expect(nonces.claim('a', String(index), now + 10_000)).toBe(true)
    }
  })

  const wrong: readonly object[] = [{ max: 0 }, { max: 1.5 }, { maxPerApp: '1' }, { now: 1 }, { ttl: 1 }]
  it.each(wrong)('refuses the options %j', (options) => {
    expect(() => memoryNonces(options)).toThrow(ConfigError)
  })
})
