import { describe, expect, it } from '@jest/globals'
import { isoTime } from '../../../src/audit/iso-time.ts'

describe('isoTime', () => {
  it('writes the same as `Date`, also for consecutive times', () => {
    const start = Date.UTC(2026, 10, 29, 23, 59, 58, 990)
    const times = [0, 0, 1, 9, 10, 11, 1_009, 1_010, 1_010, 2_500, 86_400_000, 1, 0].map(
      (step) => start + step,
    )
    expect(times.map(isoTime)).toEqual(times.map((time) => new Date(time).toISOString()))
  })
})
