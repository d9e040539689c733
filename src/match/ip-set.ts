import { NetworkFilter } from './ip-filter.ts'
import { Rows } from './ip-rows.ts'
import { buildTable, type IpTable } from './ip-table.ts'
import { mask, scanned, scanRange } from './ip-text.ts'
import { NONE } from './ip-window.ts'
import { parseIpRange, rangeTextOf, type IpAddress, type IpRange } from './ip.ts'
import { isProblem, type Problem } from './problem.ts'

/** Any number of address ranges of both versions. The versions are separate: `::/0` holds no IPv4 address. */
export interface IpSet {
  /** How many ranges were given. */
  readonly size: number
  /** How many bytes of memory the ranges take. */
  readonly bytes: number
  contains(address: IpAddress): boolean
  /** The canonical text of a range that contains the address: the narrowest of them. */
  find(address: IpAddress): string | undefined
}

/** Makes a set out of more ranges than one turn of the event loop has time for. */
export interface IpSetBuilder {
  /** How many ranges were added since the last set was made. */
  readonly size: number
  /** Adds an entry of a list; answers why it is none, as `parseIpRange` does, and then has added nothing. */
  add(entry: string | IpRange): Problem | undefined
  /**
   * Makes the set of what was added, and leaves the builder empty. Each `next()` does a part of the work that does not grow
   * with the list: a fraction of a millisecond, some milliseconds as long as nothing is compiled. The last one returns the
   * set. A million ranges take about six thousand of them, so do several before you yield.
   */
  finish(): Generator<void, IpSet>
}

/** Makes a set. A look-up is one short binary search, however many ranges there are and however they overlap. */
export function createIpSet(ranges: readonly IpRange[]): IpSet {
  const builder = createIpSetBuilder()
  for (const range of ranges) builder.add(range)
  const steps = builder.finish()
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}

/** Half of an IPv6 address is its network. Ranges of hosts are kept apart, so that the others need no second half. */
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
  /** The texts of ranges of IPv4 that were asked for lately, by their prefix and network: callers come from few. */
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
