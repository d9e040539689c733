import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { KindLimit } from '../../../src/http/kind-limit.ts'

const MINUTE = 60_000

describe('the limit of one line for each kind and minute', () => {
  it('tells the first, counts the others, and tells the count with the next', () => {
    let now = 0
    const limit = new KindLimit(() => now)
    expect(limit.admit('a')).toEqual({ ofKind: 0, ofOthers: 0 })
    for (let count = 0; count < 7; count += 1) expect(limit.admit('a')).toBeUndefined()
    expect(limit.admit('b')).toEqual({ ofKind: 0, ofOthers: 0 })
    now = MINUTE - 1
    expect(limit.admit('a')).toBeUndefined()
    now = MINUTE
    expect(limit.admit('a')).toEqual({ ofKind: 8, ofOthers: 0 })
    expect(limit.admit('a')).toBeUndefined()
  })

  it('takes texts that differ in numbers alone for one kind', () => {
    const limit = new KindLimit(() => 0)
    expect(limit.admit('created 301 s ago')).toBeDefined()
    expect(limit.admit('created 1302 s ago')).toBeUndefined()
  })

  it('tells 100 kinds a minute, remembers no more, and counts the rest', () => {
    let now = 0
    const limit = new KindLimit(() => now)
    const letters = (index: number): string => String.fromCodePoint(0x4e00 + index)
    let told = 0
    for (let index = 0; index < 5_000; index += 1) if (limit.admit(letters(index))) told += 1
    expect([told, limit.size]).toEqual([100, 100])
    now = MINUTE
    expect(limit.admit('later')).toEqual({ ofKind: 0, ofOthers: 4_900 })
    expect(limit.size).toBe(1)
  })

  it('neither loses nor invents any, whatever comes when', () => {
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
        // Each kind once more, when its minute has passed, tells all that is left.
        for (let kind = 0; kind <= 150; kind += 1) {
          now += MINUTE
          note(limit.admit(String.fromCodePoint(0x4e00 + kind)))
        }
        expect(told + counted).toBe(given + 151)
      }),
    )
  })
})
