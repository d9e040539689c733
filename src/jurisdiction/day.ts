import type { Expectation } from '../options.ts'

/** A calendar day that exists. */
export const A_DAY: Expectation = {
  expected: 'a day like `2031-12-27`',
  accepts: (value) => typeof value === 'string' && endOf(value) !== undefined,
}

/** The end of a day in UTC, in milliseconds since the epoch. `undefined` if the text is not a day. */
export function endOf(day: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) return undefined
  const start = Date.parse(`${day}T00:00:00Z`)
  if (Number.isNaN(start) || new Date(start).toISOString().slice(0, 10) !== day) return undefined
  return start + 24 * 60 * 60 * 1_000
}
