/** The message for a text that is not an instant. */
export const INSTANT_RULE = 'must be an ISO 8601 instant with its offset, like 2030-01-31T12:00:00Z'

const INSTANT =
  /^(\d{4})-(0[1-9]|1[0-2])-(\d{2})T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** Converts an ISO 8601 instant with an offset to milliseconds since the epoch; `undefined` if the text is not one. */
export function parseInstant(given: unknown): number | undefined {
  const parts = typeof given === 'string' ? INSTANT.exec(given) : null
  // `Date` would read 30 February as 1 March.
  if (parts === null || !isDay(Number(parts[1]), Number(parts[2]), Number(parts[3]))) return undefined
  return Date.parse(given as string)
}

const LONGEST_MONTHS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

function isDay(year: number, month: number, day: number): boolean {
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return day >= 1 && day <= (LONGEST_MONTHS[month - 1] ?? 0) && (leap || month !== 2 || day < 29)
}
