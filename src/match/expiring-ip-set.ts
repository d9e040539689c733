import { createIpSetBuilder, type IpSet } from './ip-set.ts'
import { parseIpRange, rangeText, type IpAddress } from './ip.ts'
import type { Problem } from './problem.ts'

/** A set of address ranges some of which hold only until a moment. */
export interface ExpiringIpSet {
  readonly size: number
  /** About how many bytes of memory it takes. */
  readonly bytes: number
  /** The canonical text of a range that contains the address and has not expired at `now`, milliseconds since the epoch. */
  find(address: IpAddress, now: number): string | undefined
}

export interface ExpiringIpSetBuilder {
  /** `expires`: milliseconds since the epoch; left out: never. Answers why the range is none, and then has added nothing. */
  add(range: string, expires?: number): Problem | undefined
  /** Makes the set in steps that take well below a millisecond each. */
  finish(): Generator<void, ExpiringIpSet>
}

/** What a range that expires takes besides its place in the set: its text and its moment in a map. */
const BYTES_OF_A_MOMENT = 120

export function createExpiringIpSetBuilder(): ExpiringIpSetBuilder {
  const lasting = createIpSetBuilder()
  const passing = createIpSetBuilder()
  const moments = new Map<string, number>()
  return {
    add(range, expires) {
      if (expires === undefined) return lasting.add(range)
      const parsed = parseIpRange(range)
      if ('problem' in parsed) return parsed
      passing.add(parsed)
      // An entry that is there twice holds until the later moment.
      moments.set(parsed.text, Math.max(expires, moments.get(parsed.text) ?? expires))
      return undefined
    },
    *finish() {
      const size = lasting.size + passing.size
      return createSet(size, yield* lasting.finish(), yield* passing.finish(), moments)
    },
  }
}

function createSet(
  size: number,
  lasting: IpSet,
  passing: IpSet,
  moments: ReadonlyMap<string, number>,
): ExpiringIpSet {
  function holds(range: string, now: number): boolean {
    return (moments.get(range) ?? Number.NEGATIVE_INFINITY) > now
  }

  /** The narrowest range may have expired while one around it has not. */
  function findPassing(address: IpAddress, now: number): string | undefined {
    const narrowest = passing.find(address)
    if (narrowest === undefined || holds(narrowest, now)) return narrowest
    for (let prefix = prefixOf(narrowest, address) - 1; prefix >= 0; prefix -= 1) {
      const range = rangeText(address.words, prefix)
      if (holds(range, now)) return range
    }
    return undefined
  }

  return {
    size,
    bytes: lasting.bytes + passing.bytes + moments.size * BYTES_OF_A_MOMENT,
    find: (address, now) => lasting.find(address) ?? findPassing(address, now),
  }
}

function prefixOf(range: string, { version }: IpAddress): number {
  const slash = range.indexOf('/')
  return slash === -1 ? (version === 4 ? 32 : 128) : Number(range.slice(slash + 1))
}
