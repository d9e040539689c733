import { ConfigError } from '../errors.ts'
import { scanned, scanRange } from '../match/ip-text.ts'
import { rangeText } from '../match/ip.ts'
import { intersection, sizeOf } from './blocks.ts'
import { callersOf, WIDEST } from './addresses.ts'
import { finding, type PolicyFinding } from './finding.ts'
import { entryOf, specialPurpose } from './special-purpose.ts'
import { isIterable, parseListEntry, type ListEntry } from '../list/entry.ts'

type Version = 4 | 6
type Code = PolicyFinding['code']

/** How many findings of one kind are reported. */
const TOLD = 20
/** A list that contains this percentage of the internet protects nothing. */
const NEARLY_ALL = 50

/**
 * Returns what the owner of a named list may not have intended: ranges that, alone or together, contain half of the internet;
 * ranges that are too wide for one owner; ranges from which no caller comes; ranges inside other ranges; and entries that
 * have expired at `now` (milliseconds since the epoch; default: no expiry check). Paths are indexes in the list: `[17]`. At
 * most twenty findings of each kind are returned; the last one says how many more there are. Pure. The work is O(n log n):
 * about two seconds for a million entries, in one go.
 *
 * @throws PolicyError with the index of the first invalid entry.
 * @throws ConfigError if `entries` is not iterable. A string must be parsed first.
 */
export function lintList(entries: Iterable<ListEntry>, now?: number): readonly PolicyFinding[] {
  if (!isIterable(entries))
    throw new ConfigError('entries', 'an iterable of entries, as parseList() returns', entries)
  const notes = new Notes()
  const tables = { 4: new Table(1), 6: new Table(4) }
  let index = 0
  for (const given of entries) {
    const { range, expires } = parseListEntry(given, index)
    const version = scanRange(range) as Version
    const { words, prefix } = scanned
    const isOdd = mayBeOdd(version, words, prefix)
    tables[version].push(words, prefix, index)
    if (isOdd && noteOdd(notes, version, range, index)) tables[version].markSpecial()
    if (now !== undefined && expires !== undefined && Date.parse(expires) <= now)
      notes.add('entry-expired', index, `has no effect: it expired at ${expires}`)
    index += 1
  }
  if (index === 0) return [finding('empty-list', '', 'matches no address: the list is empty')]
  const whole = ([4, 6] as const).flatMap((version) => {
    const percent = sweep(tables[version], version, notes)
    return percent < NEARLY_ALL ? [] : [finding('admits-everybody', '', everybody(percent, version))]
  })
  if (tables[6].length === 0)
    whole.push(
      finding('ipv6-missing', '', 'has IPv4 addresses only: callers that connect over IPv6 match no entry'),
    )
  if (tables[4].length === 0)
    whole.push(
      finding('ipv4-missing', '', 'has IPv6 addresses only: callers that connect over IPv4 match no entry'),
    )
  return [...whole, ...notes.findings()]
}

function everybody(percent: number, version: Version): string {
  return `contains ${percent} % of the IPv${version} addresses of the internet: in \`lists\` it protects nothing, and in \`denyLists\` it refuses almost everybody`
}

/** Findings about entries: the first ones of each kind, and a count of the rest. */
class Notes {
  readonly #kinds = new Map<Code, { count: number; readonly told: { index: number; message: string }[] }>()

  add(code: Code, index: number, message: string): void {
    let kind = this.#kinds.get(code)
    if (kind === undefined) this.#kinds.set(code, (kind = { count: 0, told: [] }))
    kind.count += 1
    if (kind.told.length < TOLD) kind.told.push({ index, message })
  }

  findings(): PolicyFinding[] {
    return [...this.#kinds].flatMap(([code, { count, told }]) =>
      told
        .toSorted((a, b) => a.index - b.index)
        .map(({ index, message }, place) => {
          const more = place === TOLD - 1 && count > TOLD ? `; the same applies to ${count - TOLD} more` : ''
          return finding(code, `[${index}]`, message + more)
        }),
    )
  }
}

/** Whether a range may be too wide or have a special purpose. A quick check that rules out almost all ranges. */
function mayBeOdd(version: Version, words: ArrayLike<number>, prefix: number): boolean {
  const word = words[0] as number
  if (prefix < WIDEST[version]) return true
  if (version === 4) return SPECIAL_OCTETS.has(word >>> 24)
  return word >>> 29 !== 1 || SPECIAL_GROUPS.has(word >>> 16)
}

/** The first octet of every special IPv4 block, and the first group of every special IPv6 block in 2000::/3. */
const SPECIAL_OCTETS: ReadonlySet<number> = new Set(
  [0, 10, 100, 127, 169, 172, 192, 198, 203].concat(Array.from({ length: 32 }, (_, index) => 224 + index)),
)
const SPECIAL_GROUPS: ReadonlySet<number> = new Set([0x2001, 0x2002, 0x3fff])

/** Reports a range that is too wide or has a special purpose. Returns whether no caller comes from it. */
function noteOdd(notes: Notes, version: Version, range: string, index: number): boolean {
  const entry = entryOf(range, index)
  const special = specialPurpose(entry)
  if (special !== undefined) {
    notes.add('special-purpose', index, `is ${special}: no caller on the internet has such an address`)
    return true
  }
  if (entry.prefix >= WIDEST[version]) return false
  const percent = percentOf(callersIn(range), version)
  if (percent >= NEARLY_ALL) notes.add('admits-everybody', index, everybody(percent, version))
  else
    notes.add('wide-range', index, `is wider than /${WIDEST[version]}: no single owner has so many addresses`)
  return false
}

function callersIn(range: string): number {
  const entry = entryOf(range)
  return Number(sizeOf(intersection([entry], callersOf(entry.version))))
}

function percentOf(size: number, version: Version): number {
  return Math.min(100, Math.floor((size / Number(sizeOf(callersOf(version)))) * 100))
}

/** Reports ranges inside other ranges. Returns what percentage of the internet the list contains. */
function sweep(table: Table, version: Version, notes: Notes): number {
  let held = 0
  let outer: number | undefined
  for (const row of table.sorted()) {
    if (outer !== undefined && table.holds(outer, row)) {
      const message = `changes nothing: \`[${table.indexOf(outer)}]\` contains the whole range`
      notes.add('entry-swallowed', table.indexOf(row), message)
      continue
    }
    outer = row
    const prefix = table.prefixOf(row)
    // The special blocks inside a narrower range are too small to matter, so they are not subtracted.
    if (prefix < WIDEST[version]) held += callersIn(table.textOf(row))
    else if (!table.isSpecial(row)) held += 2 ** (32 * table.width - prefix)
  }
  return percentOf(held, version)
}

const SPECIAL = 256

/** Ranges of one version, in a few bytes each. */
class Table {
  readonly width: 1 | 4
  #length = 0
  #words = new Uint32Array(64)
  #prefixes = new Uint16Array(16)
  #indexes = new Uint32Array(16)

  constructor(width: 1 | 4) {
    this.width = width
  }

  get length(): number {
    return this.#length
  }

  push(words: ArrayLike<number>, prefix: number, index: number): void {
    const row = this.#length
    if (row === this.#prefixes.length) this.#grow()
    for (let word = 0; word < this.width; word += 1)
      this.#words[row * this.width + word] = words[word] as number
    this.#prefixes[row] = prefix
    this.#indexes[row] = index
    this.#length += 1
  }

  /** Marks the last range: no caller comes from it. */
  markSpecial(): void {
    this.#prefixes[this.#length - 1] = (this.#prefixes[this.#length - 1] as number) + SPECIAL
  }

  indexOf(row: number): number {
    return this.#indexes[row] as number
  }

  prefixOf(row: number): number {
    return (this.#prefixes[row] as number) % SPECIAL
  }

  isSpecial(row: number): boolean {
    return (this.#prefixes[row] as number) >= SPECIAL
  }

  textOf(row: number): string {
    const words = this.#words.slice(row * this.width, (row + 1) * this.width)
    return rangeText([...words], this.prefixOf(row))
  }

  /** The rows by first address, then the widest first, then in the order of the list. */
  sorted(): Uint32Array {
    const rows = Uint32Array.from({ length: this.#length }, (_, row) => row)
    return rows.sort((a, b) => this.#order(a, b) || this.prefixOf(a) - this.prefixOf(b) || a - b)
  }

  /** Whether the range of `outer` contains that of `row`, which must not come before it. */
  holds(outer: number, row: number): boolean {
    let left = this.prefixOf(outer)
    for (let word = 0; left > 0; word += 1, left -= 32) {
      const difference = this.#wordAt(outer, word) ^ this.#wordAt(row, word)
      if ((left >= 32 ? difference : difference >>> (32 - left)) !== 0) return false
    }
    return true
  }

  #order(a: number, b: number): number {
    for (let word = 0; word < this.width; word += 1) {
      const difference = this.#wordAt(a, word) - this.#wordAt(b, word)
      if (difference !== 0) return difference
    }
    return 0
  }

  #wordAt(row: number, word: number): number {
    return this.#words[row * this.width + word] as number
  }

  #grow(): void {
    const [words, prefixes, indexes] = [this.#words, this.#prefixes, this.#indexes]
    this.#words = new Uint32Array(2 * prefixes.length * this.width)
    this.#prefixes = new Uint16Array(2 * prefixes.length)
    this.#indexes = new Uint32Array(2 * indexes.length)
    this.#words.set(words.subarray(0, prefixes.length * this.width))
    this.#prefixes.set(prefixes)
    this.#indexes.set(indexes)
  }
}
