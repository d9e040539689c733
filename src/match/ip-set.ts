import type { IpAddress, IpRange } from './ip.ts'

/** Any number of address ranges of both versions. */
export interface IpSet {
  /** How many ranges were given. */
  readonly size: number
  contains(address: IpAddress): boolean
  /** The canonical text of a range that contains the address: the narrowest of them. */
  find(address: IpAddress): string | undefined
}

/** Makes a set. A look-up is one binary search per prefix length in use, however many ranges there are. */
export function createIpSet(ranges: readonly IpRange[]): IpSet {
  const sets = {
    4: familySet(ranges.filter(({ version }) => version === 4)),
    6: familySet(ranges.filter(({ version }) => version === 6)),
  }
  return {
    size: ranges.length,
    contains: (address) => sets[address.version](address) !== undefined,
    find: (address) => sets[address.version](address),
  }
}

/**
 * CIDR ranges nest or are disjoint, so sorted by their first address a range lies behind all those that contain it. Each
 * knows the range around it; the look-up finds the last range that begins at or before the address and walks outwards.
 */
function familySet(given: readonly IpRange[]): (address: IpAddress) => string | undefined {
  const ranges = [...given].sort((a, b) => compare(a.first, b.first) || compare(b.last, a.last))
  const around: number[] = []
  const open: number[] = []
  for (const [index, range] of ranges.entries()) {
    while (open.length > 0 && compare((ranges[open.at(-1) as number] as IpRange).last, range.first) < 0)
      open.pop()
    around.push(open.at(-1) ?? -1)
    open.push(index)
  }
  return ({ words }) => {
    let low = 0
    let high = ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compare((ranges[middle] as IpRange).first, words) <= 0) low = middle + 1
      else high = middle
    }
    for (let index = low - 1; index !== -1; index = around[index] as number) {
      const range = ranges[index] as IpRange
      if (compare(range.last, words) >= 0) return range.text
    }
    return undefined
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index += 1) {
    const difference = (a[index] as number) - (b[index] as number)
    if (difference !== 0) return difference
  }
  return 0
}
