import { NetworkFilter } from './ip-filter.ts'
import { Rows } from './ip-rows.ts'
import { buildTable, type IpTable } from './ip-table.ts'
import { mask, scanned, scanRange } from './ip-text.ts'
import { NONE } from './ip-window.ts'
import { parseIpRange, rangeTextOf, type IpAddress, type IpRange } from './ip.ts'
import { isProblem, type Problem } from './problem.ts'

/** A set of address ranges of both versions. The versions are separate: `::/0` does not contain IPv4 addresses. */
export interface IpSet {
  /** The number of ranges that were added. */
  readonly size: number
  /** The memory that the ranges take, in bytes. */
  readonly bytes: number
  contains(address: IpAddress): boolean
  /** Returns the canonical text of the narrowest range that contains the address. */
  find(address: IpAddress): string | undefined
}

/** Creates a set in steps, for lists that would block the event loop for too long. */
export interface IpSetBuilder {
  /** The number of ranges added since the last set was created. */
  readonly size: number
  /**
   * Adds an entry of a list. Returns why an invalid entry is refused, as `parseIpRange` does; a refused entry is not added.
   */
  add(entry: string | IpRange): Problem | undefined
  /**
   * Creates the set of the added ranges and empties the builder. The time of each `next()` does not depend on the size of the
   * list: a fraction of a millisecond, or a few milliseconds until the code is compiled. The last call returns the set. A
   * million ranges take about six thousand calls, so make several before you yield to the event loop.
   */
  finish(): Generator<void, IpSet>
}

/** Creates a set. A look-up is one short binary search, regardless of how many ranges there are and how they overlap. */
export function createIpSet(ranges: readonly IpRange[]): IpSet {
  const builder = createIpSetBuilder()
  for (const range of ranges) builder.add(range)
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/**
 * The first half of an IPv6 address is its network. Ranges of hosts have their own table, so the others need only that half.
 */
const NETWORK_BITS = 64

export function createIpSetBuilder(): IpSetBuilder {
  let rows = emptyRows()

  function push(version: 4 | 6, words: ArrayLike<number>, prefix: number): void {
    const table = version === 4 ? rows.four : prefix <= NETWORK_BITS ? rows.networks : rows.hosts
    table.push(words, 0, prefix)
  }

  return {
    get size() {
      return sizeOf(rows)
    },
    add: (entry) => {
      if (typeof entry === 'string') {
        const version = scanRange(entry)
        if (version !== 0) {
          push(version, scanned.words, scanned.prefix)
          return undefined
        }
      }
      const range = typeof entry === 'string' ? parseIpRange(entry) : entry
      if (isProblem(range)) return range
      push(range.version, range.first, range.prefix)
      return undefined
    },
    finish: () => {
      const added = rows
      rows = emptyRows()
      return build(added)
    },
  }
}

interface RowsByKind {
  readonly four: Rows
  readonly networks: Rows
  readonly hosts: Rows
}

function emptyRows(): RowsByKind {
  return { four: new Rows(1), networks: new Rows(2), hosts: new Rows(4) }
}

function sizeOf({ four, networks, hosts }: RowsByKind): number {
  return four.length + networks.length + hosts.length
}

function* build(rows: RowsByKind): Generator<void, IpSet> {
  const size = sizeOf(rows)
  const { four, networks, hosts } = rows
  return new TableSet(
    size,
    four.length === 0 ? undefined : yield* buildTable(four),
    networks.length === 0 ? undefined : yield* buildTable(networks),
    hosts.length === 0 ? undefined : yield* NetworkFilter.of(hosts),
    hosts.length === 0 ? undefined : yield* buildTable(hosts),
  )
}

const MOST_TEXTS = 256

class TableSet implements IpSet {
  readonly size: number
  readonly bytes: number
  readonly #four: IpTable | undefined
  readonly #networks: IpTable | undefined
  readonly #filter: NetworkFilter | undefined
  readonly #hosts: IpTable | undefined
  /** The texts of IPv4 ranges that were found recently, by prefix length and network: most callers are in a few ranges. */
  readonly #texts: Map<number, string>[] = []

  constructor(
    size: number,
    four: IpTable | undefined,
    networks: IpTable | undefined,
    filter: NetworkFilter | undefined,
    hosts: IpTable | undefined,
  ) {
    this.size = size
    this.#four = four
    this.#networks = networks
    this.#filter = filter
    this.#hosts = hosts
    this.bytes = [four, networks, filter, hosts].reduce((sum, part) => sum + (part?.bytes ?? 0), 0)
  }

  contains(address: IpAddress): boolean {
    return this.#prefixAt(address) !== NONE
  }

  find(address: IpAddress): string | undefined {
    const prefix = this.#prefixAt(address)
    if (prefix === NONE) return undefined
    if (address.version === 6) return rangeTextOf(address, prefix)
    const network = address.word0 & mask(prefix)
    const texts = (this.#texts[prefix] ??= new Map())
    const known = texts.get(network)
    if (known !== undefined) return known
    const text = rangeTextOf(address, prefix)
    if (texts.size >= MOST_TEXTS) texts.clear()
    texts.set(network, text)
    return text
  }

  #prefixAt(address: IpAddress): number {
    if (address.version === 4) return this.#four === undefined ? NONE : this.#four.find(address)
    if (this.#filter !== undefined && this.#hosts !== undefined && this.#filter.mayHold(address)) {
      const prefix = this.#hosts.find(address)
      if (prefix !== NONE) return prefix
    }
    return this.#networks === undefined ? NONE : this.#networks.find(address)
  }
}
