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

  it('prints five texts of a kind per minute, and creates no more then, or after fifty', () => {
    let now = 0
    let asked = 0
    const limit = new KindLimit(() => now)
    const admit = (text: string) =>
      limit.admit('a', () => {
        asked += 1
        return text
      })
    const told = [...'abacdefg'].map((text) => admit(text)?.isLast)
    expect(told).toEqual([false, false, undefined, false, false, true, undefined, undefined])
    expect(asked).toBe(6)
    now = MINUTE
    expect(admit('a')).toEqual({ ofKind: 2, ofOthers: 0, isLast: false })
    for (let count = 0; count < 100; count += 1) expect(admit('a')).toBeUndefined()
    expect(asked).toBe(56)
    expect(admit('b')).toBeUndefined()
  })

  it('treats texts that differ only in numbers as one kind', () => {
    const limit = new KindLimit(() => 0)
    expect(limit.admit('created 301 s ago')).toBeDefined()
    expect(limit.admit('created 1302 s ago')).toBeUndefined()
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
