import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { KindLimit } from '../../../src/http/kind-limit.ts'

const MINUTE = 60_000

describe('the limit of one line per kind and minute', () => {
  it('prints the first, counts the others, and prints the count with the next', () => {
    let now = 0
    const limit = new KindLimit(() => now)
    expect(limit.admit('a')).toEqual({ ofKind: 0, ofOthers: 0, isLast: false })
    for (let count = 0; count < 7; count += 1) expect(limit.admit('a')).toBeUndefined()
    expect(limit.admit('b')).toEqual({ ofKind: 0, ofOthers: 0, isLast: false })
    now = MINUTE - 1
    expect(limit.admit('a')).toBeUndefined()
    now = MINUTE
    expect(limit.admit('a')).toEqual({ ofKind: 8, ofOthers: 0, isLast: false })
    expect(limit.admit('a')).toBeUndefined()
  })

  it('prints twenty texts of a kind per minute, and creates no more then, or after fifty', () => {
    let now = 0
    let asked = 0
    const limit = new KindLimit(() => now)
    const admit = (text: string) =>
      limit.admit('a', () => {
        asked += 1
        return text
      })
    const told = [...'abacdefghijklmnopqrstuv'].map((text) => admit(text)?.isLast)
    const others = Array.from({ length: 17 }, () => false)
    expect(told).toEqual([false, false, undefined, ...others, true, undefined, undefined])
    expect(asked).toBe(21)
    now = MINUTE
    expect(admit('a')).toEqual({ ofKind: 2, ofOthers: 0, isLast: false })
    for (let count = 0; count < 100; count += 1) expect(admit('a')).toBeUndefined()
    expect(asked).toBe(71)
    expect(admit('b')).toBeUndefined()
  })

  it('compares kinds exactly: app ids often differ only in digits', () => {
    const limit = new KindLimit(() => 0)
    const kinds = [
      'tenant-1 domainProtect',
      'tenant-2 domainProtect',
      `${'a'.repeat(2_000)}1`,
      `${'a'.repeat(2_000)}2`,
    ]
    for (const kind of kinds) expect([kind, limit.admit(kind) !== undefined]).toEqual([kind, true])
  })

  it.each([
    ['a port', '`Origin` is `http://localhost:3000`', '`Origin` is `http://localhost:8080`'],
    ['a host', '`Origin` is `https://shop-1.example`', '`Origin` is `https://shop-2.example`'],
    [
      'a host with a random name',
      '`Origin` is `https://b0f1c5e6f2e4b3a9.example`',
      '`Origin` is `https://b0f1c5e6f2e4b3a8.example`',
    ],
    ['an address', 'connect ECONNREFUSED 127.0.0.1:6379', 'connect ECONNREFUSED 127.0.0.1:6380'],
    ['the version of an address', 'belongs to the internet (IPv4)', 'belongs to the internet (IPv6)'],
    ['a limit', 'more than the allowed 300 s', 'more than the allowed 60 s'],
    ['the end of a long text', `${'a '.repeat(2_000)}b`, `${'a '.repeat(2_000)}c`],
  ])('prints both texts if they differ in %s', (_what, one, other) => {
    const limit = new KindLimit(() => 0)
    expect(limit.admit('kind', () => one)).toBeDefined()
    expect(limit.admit('kind', () => other)).toBeDefined()
  })

  it.each([
    ['the age of a signature', 'created 301 s ago', 'created 1302 s ago'],
    ['a clock that is ahead', 'created 301 s in the future, for `a`', 'created 302 s in the future, for `a`'],
    ['a duration', 'no answer after 1003.5 ms', 'no answer after 1004 ms'],
    ['a date', 'failed at 2026-11-30T22:59:31.123Z', 'failed at 2026-11-30T22:59:32.456Z'],
    ['a time in digits', 'failed at 1796079571', 'failed at 1796079572'],
    ['a request id', 'for 0b0f1c5e-6f2e-4b3a-9a53-0d5f7c1a2b3c', 'for 1c0f1c5e-6f2e-4b3a-9a53-0d5f7c1a2b3d'],
    [
      'a nonce',
      'claiming key-1/Zm9vYmFyMTIzNDU2Nzg5MA failed',
      'claiming key-1/b0Rz_YmFyMTIzNDU2Nz-5MA failed',
    ],
  ])('prints one of two texts that differ only in %s', (_what, one, other) => {
    const limit = new KindLimit(() => 0)
    expect(limit.admit('kind', () => one)).toBeDefined()
    expect(limit.admit('kind', () => other)).toBeUndefined()
  })

  it('prints 100 kinds per minute, stores no more, and counts the rest', () => {
    let now = 0
    const limit = new KindLimit(() => now)
    const letters = (index: number): string => String.fromCodePoint(0x4e00 + index)
    let told = 0
    for (let index = 0; index < 5_000; index += 1) if (limit.admit(letters(index))) told += 1
    expect([told, limit.size]).toEqual([100, 100])
    now = MINUTE
    expect(limit.admit('later')).toEqual({ ofKind: 0, ofOthers: 4_900, isLast: false })
    expect(limit.size).toBe(1)
  })

  it('neither loses nor invents lines, in any sequence', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(150), fc.nat(20_000))), (steps) => {
        let now = 0
        const limit = new KindLimit(() => now)
        let [told, counted] = [0, 0]
        const note = (admitted: ReturnType<KindLimit['admit']>): void => {
          if (admitted === undefined) return
          told += 1
          counted += admitted.ofKind + admitted.ofOthers
        }
        for (const [kind, pause] of steps) {
          now += pause
          note(limit.admit(String.fromCodePoint(0x4e00 + kind)))
          if (limit.size > 100) throw new Error('it remembers too many')
        }
        const given = steps.length
        if (told + counted > given) throw new Error('it has invented some')
        // Repeating each kind after its minute prints all remaining lines.
        for (let kind = 0; kind <= 150; kind += 1) {
          now += MINUTE
          note(limit.admit(String.fromCodePoint(0x4e00 + kind)))
        }
        expect(told + counted).toBe(given + 151)
      }),
    )
  })
})
