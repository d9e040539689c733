import { describe, expect, it } from '@jest/globals'
import { randomId } from '../../src/random-id.ts'

describe('randomId', () => {
  const ids = Array.from({ length: 10_000 }, () => randomId())

  it('is a version 4 UUID', () => {
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  it('differs each time, although the bytes come from one pool', () => {
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('has every digit about equally often in every random position', () => {
    for (let place = 0; place < 36; place += 1) {
      if ([8, 13, 14, 18, 19, 23].includes(place)) continue
      const counts = new Map<string, number>()
      for (const id of ids) counts.set(id.charAt(place), (counts.get(id.charAt(place)) ?? 0) + 1)
      expect(counts.size).toBe(16)
      // 625 of each are expected. The limit is ten standard deviations.
      for (const count of counts.values()) expect(Math.abs(count - 625)).toBeLessThan(250)
    }
  })
})
