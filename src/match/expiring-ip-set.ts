import { createIpSetBuilder, type IpSet } from './ip-set.ts'
import { scanned, scanRange } from './ip-text.ts'
import { parseIpRange, rangeText, type IpAddress } from './ip.ts'
import { MomentRows, type Moments } from './moments.ts'
import { isProblem, type Problem } from './problem.ts'

/** A set of address ranges, some of which expire. */
export interface ExpiringIpSet {
  readonly size: number
  /** About how many bytes of memory the set takes. */
  readonly bytes: number
  /**
   * Returns the canonical text of a range that contains the address and has not expired at `now` (milliseconds since the
   * epoch).
   */
  find(address: IpAddress, now: number): string | undefined
}

export interface ExpiringIpSetBuilder {
  /**
   * Adds a range that expires at `expires` (milliseconds since the epoch; default: never). Returns why an invalid range is
   * refused; a refused range is not added.
   */
  add(range: string, expires?: number): Problem | undefined
  /** Creates the set in steps of well below a millisecond each. */
  finish(): Generator<void, ExpiringIpSet>
}

export function createExpiringIpSetBuilder(): ExpiringIpSetBuilder {
  const lasting = createIpSetBuilder()
  const passing = createIpSetBuilder()
  const [four, six] = [new MomentRows(1), new MomentRows(4)]
  return {
    add(range, expires) {
      if (expires === undefined) return lasting.add(range)
      const problem = passing.add(range)
      if (problem !== undefined) return problem
      if (scanRange(range) !== 0) {
        const { words, prefix } = scanned
        ;(range.includes(':') ? six : four).push(words, prefix, expires)
        return undefined
      }
      const parsed = parseIpRange(range)
      if (isProblem(parsed)) return parsed
      ;(parsed.version === 4 ? four : six).push(parsed.first, parsed.prefix, expires)
      return undefined
    },
    *finish() {
      const size = lasting.size + passing.size
      const sets = [yield* lasting.finish(), yield* passing.finish()] as const
      return createSet(size, ...sets, { 4: yield* four.sorted(), 6: yield* six.sorted() })
    },
  }
}

function createSet(
  size: number,
  lasting: IpSet,
  passing: IpSet,
  moments: Readonly<Record<4 | 6, Moments>>,
): ExpiringIpSet {
  /** The narrowest range may have expired while a wider one has not, so all prefix lengths are tried. */
  function findPassing({ version, words }: IpAddress, narrowest: string, now: number): string | undefined {
    const first = [...words]
    for (let prefix = prefixOf(narrowest, version); prefix >= 0; prefix -= 1) {
      clearBehind(first, prefix)
      if (moments[version].of(first, prefix) > now) return rangeText(words, prefix)
    }
    return undefined
  }

  return {
    size,
    bytes: lasting.bytes + passing.bytes + moments[4].bytes + moments[6].bytes,
    find(address, now) {
      const range = lasting.find(address)
      if (range !== undefined) return range
      const narrowest = passing.find(address)
      return narrowest === undefined ? undefined : findPassing(address, narrowest, now)
    },
  }
}

/** Sets the bits after a prefix to zero. */
function clearBehind(words: number[], prefix: number): void {
  for (let word = words.length - 1; word >= 0 && 32 * (word + 1) > prefix; word -= 1) {
    const kept = Math.max(0, prefix - 32 * word)
    words[word] = kept === 0 ? 0 : ((words[word] as number) & (0xffffffff << (32 - kept))) >>> 0
  }
}

function prefixOf(range: string, version: 4 | 6): number {
  const slash = range.indexOf('/')
  return slash === -1 ? (version === 4 ? 32 : 128) : Number(range.slice(slash + 1))
}
