import type { Expectation } from '../options.ts'

/** A day of the calendar; not the 30th of February. */
export const A_DAY: Expectation = {
  expected: 'a day like `2031-12-27`',
  accepts: (value) => typeof value === 'string' && endOf(value) !== undefined,
  hint: (value) => {
    const day = dayOf(value)
    return day === undefined || endOf(day) === undefined ? undefined : `; write \`${day}\``
  },
}

/** The day of a date, of an instant, or of a date as Germans and others write it. */
function dayOf(value: unknown): string | undefined {
  if (value instanceof Date)
    return Number.isNaN(value.getTime()) ? undefined : value.toISOString().slice(0, 10)
  if (typeof value !== 'string') return undefined
  const [, day, month, year] = /^([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})$/.exec(value) ?? []
  if (day !== undefined) return `${year}-${month?.padStart(2, '0')}-${day.padStart(2, '0')}`
  return /^[0-9]{4}-[0-9]{2}-[0-9]{2}T/.test(value) ? value.slice(0, 10) : undefined
}

/** The end of a day in UTC. */
export function endOf(day: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(day)) return undefined
  const start = Date.parse(`${day}T00:00:00Z`)
  if (Number.isNaN(start) || new Date(start).toISOString().slice(0, 10) !== day) return undefined
  return start + 24 * 60 * 60 * 1_000
}
