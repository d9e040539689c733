/** What a refusal says of a text that is no instant. */
export const INSTANT_RULE = 'must be an ISO 8601 instant with its offset, like 2030-01-31T12:00:00Z'

const INSTANT =
  /^(\d{4}-(?:0[1-9]|1[0-2])-\d{2})T(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** Reads an ISO 8601 instant with its offset, to milliseconds since the epoch; `undefined`: not one. */
export function parseInstant(given: unknown): number | undefined {
  const day = typeof given === 'string' ? INSTANT.exec(given)?.[1] : undefined
  // `Date` takes 30 February for 1 March; such a day does not come back as it went in.
  return day !== undefined && isDay(day) ? Date.parse(given as string) : undefined
}

function isDay(day: string): boolean {
  const instant = Date.parse(`${day}T00:00:00Z`)
  return !Number.isNaN(instant) && new Date(instant).toISOString().startsWith(day)
}
