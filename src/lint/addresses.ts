import { rangeText } from '../match/ip.ts'
import { byFirst, holds, intersection, meets, sizeOf, unionOf, without, type Union } from './blocks.ts'
import { findingsAt, type Note, type PolicyFinding } from './finding.ts'
import { addressEntry, specialBlocks, specialPurpose, wholeOf, type AddressEntry } from './special-purpose.ts'
import type { PlacedEntry } from '../match/entries.ts'
import type { IpRange } from '../match/ip.ts'

type Version = 4 | 6

/**
 * Ranges with a shorter prefix are too wide for one owner. IANA allocated at most a /8 to one organisation; the largest
 * providers have about a /19 (2003::/19, 2a01:c000::/19).
 */
export const WIDEST: Readonly<Record<Version, number>> = { 4: 8, 6: 19 }

/** A list that admits this percentage of the internet protects nothing, because anyone can rent a machine inside it. */
const NEARLY_ALL = 50n

/** Computed on first use, to keep it out of the start-up time. */
let callers: Readonly<Record<Version, Union>> | undefined

/** All addresses that a caller may have. */
export function callersOf(version: Version): Union {
  const of = (which: Version): Union => without([wholeOf(which)], unionOf(specialBlocks(which)))
  callers ??= { 4: of(4), 6: of(6) }
  return callers[version]
}

/** The other members of a section with an allow list. */
interface AllowList {
  readonly mode: string
  /** The names of lists in the store that admit addresses too. */
  readonly lists: readonly string[]
}

/** The findings about an allow list. Sorts and sweeps in O(n log n), regardless of how the ranges overlap. */
export function lintAddresses(
  { mode, lists }: AllowList,
  ranges: readonly PlacedEntry<IpRange>[],
  deny: readonly PlacedEntry<IpRange>[],
): PolicyFinding[] {
  // Sorted once, because each of the following sorts is fast on sorted ranges.
  const [admitted, denied] = [addressesOf(ranges).toSorted(byPlace), addressesOf(deny).toSorted(byPlace)]
  // The contents of named lists are not known here.
  const complete = lists.length === 0
  const aboutRanges: Note[][] = complete ? [familyNotes(admitted)] : []
  const aboutDeny: Note[][] = []
  if (complete && admitted.length === 0 && mode !== 'off') {
    aboutRanges.push([{ code: 'empty-list', message: 'admits nobody: the list is empty' }])
  }
  for (const version of [4, 6] as const) {
    const [allows, denies] = [admitted, denied].map((list) =>
      list.filter((one) => one.version === version),
    ) as [AddressEntry[], AddressEntry[]]
    const [allowed, refused] = [unionOf(allows), unionOf(denies)]
    aboutRanges.push(
      coverageNotes(allows, without(allowed, refused), version),
      allows.flatMap(placeNotes),
      allows.filter((entry) => holds(refused, entry)).map(deniedNote),
      overlapNotes(allows, 'ranges'),
    )
    aboutDeny.push(overlapNotes(denies, 'deny'))
    if (complete) aboutDeny.push(denies.filter((entry) => !meets(allowed, entry)).map(idleNote))
  }
  return [
    ...findingsAt('ipWhitelist.ranges', aboutRanges.flat()),
    ...findingsAt('ipWhitelist.deny', aboutDeny.flat()),
  ]
}

/** Outer ranges come before inner ones. */
const byPlace = (a: AddressEntry, b: AddressEntry): number => byFirst(a, b) || a.prefix - b.prefix

function addressesOf(placed: readonly PlacedEntry<IpRange>[]): AddressEntry[] {
  return placed.map(({ entry, index }) => addressEntry(entry, index))
}

function familyNotes(entries: readonly AddressEntry[]): Note[] {
  const has = (version: Version): boolean => entries.some((entry) => entry.version === version)
  if (has(4) === has(6)) return []
  return has(4)
    ? [
        {
          code: 'ipv6-missing',
          message: 'has IPv4 addresses only: callers that connect over IPv6 are refused',
        },
      ]
    : [
        {
          code: 'ipv4-missing',
          message: 'has IPv6 addresses only: callers that connect over IPv4 are refused',
        },
      ]
}

/** Finds single ranges that admit most of the internet, and ranges that do so together, minus the denied addresses. */
function coverageNotes(entries: readonly AddressEntry[], admitted: Union, version: Version): Note[] {
  const note = (size: bigint): Note => ({
    code: 'admits-everybody',
    message: `admits ${percentOf(size, version)} % of the IPv${version} addresses of the internet, so it protects nothing`,
  })
  const singly = entries
    .filter(({ prefix }) => prefix < WIDEST[version])
    .map((entry) => ({ index: entry.index, size: callersIn([entry], version) }))
    .filter(({ size }) => percentOf(size, version) >= NEARLY_ALL)
  const together = callersIn(admitted, version)
  const more = percentOf(together, version) >= NEARLY_ALL && singly.every(({ size }) => size < together)
  return [...(more ? [note(together)] : []), ...singly.map(({ index, size }) => ({ ...note(size), index }))]
}

function callersIn(union: Union, version: Version): bigint {
  return sizeOf(intersection(union, callersOf(version)))
}

function percentOf(size: bigint, version: Version): bigint {
  return (size * 100n) / sizeOf(callersOf(version))
}

/** Findings about the purpose and the width of a range. */
function placeNotes(entry: AddressEntry): Note[] {
  const { index, version, prefix } = entry
  const special = specialPurpose(entry)
  if (special !== undefined) {
    const message = `is ${special}: no caller on the internet has such an address, but a proxy that hides its callers may have one`
    return [{ code: 'special-purpose', index, message }]
  }
  if (prefix >= WIDEST[version] || percentOf(callersIn([entry], version), version) >= NEARLY_ALL) return []
  const message = `is wider than /${WIDEST[version]}: no single owner has so many addresses, so strangers are admitted`
  return [{ code: 'wide-range', index, message }]
}

function deniedNote({ index }: AddressEntry): Note {
  return {
    code: 'range-denied',
    index,
    message: 'admits nobody: the whole range is also in `deny`, which takes precedence',
  }
}

function idleNote({ index }: AddressEntry): Note {
  return {
    code: 'deny-without-effect',
    index,
    message: 'changes nothing: none of its addresses is admitted by `ranges`',
  }
}

/** Ranges inside other ranges, and adjacent ranges that could be one. */
function overlapNotes(entries: readonly AddressEntry[], list: string): Note[] {
  const notes: Note[] = []
  const outermost: AddressEntry[] = []
  // CIDR ranges are nested or disjoint, and `parsePolicy` keeps only one of equal ranges.
  for (const entry of entries.toSorted(byPlace)) {
    const outer = outermost.at(-1)
    if (outer === undefined || outer.last < entry.first) outermost.push(entry)
    else {
      const message = `changes nothing: \`${list}[${outer.index}]\` contains the whole range`
      notes.push({ code: 'entry-swallowed', index: entry.index, message })
    }
  }
  return [...notes, ...mergeNotes(outermost, list)]
}

/** Adjacent ranges that together are one range. */
interface Merged {
  readonly prefix: number
  readonly members: readonly AddressEntry[]
}

function mergeNotes(sorted: readonly AddressEntry[], list: string): Note[] {
  return merge(sorted).flatMap(({ prefix, members }) => {
    const [first, ...others] = members.toSorted((a, b) => a.index - b.index) as [
      AddressEntry,
      ...AddressEntry[],
    ]
    if (others.length === 0) return []
    const named = others.slice(0, 3).map(({ index }) => `\`${list}[${index}]\``)
    const more = others.length > named.length ? ` and ${others.length - named.length} more` : ''
    const corrected = rangeText((members[0] as AddressEntry).words, prefix)
    const message = `is one range together with ${named.join(', ')}${more}: \`${corrected}\` is equivalent`
    return [{ code: 'mergeable-ranges', index: first.index, message, corrected }]
  })
}

/** Joins halves until none are left, but never to a range that is too wide. */
function merge(sorted: readonly AddressEntry[]): Merged[] {
  const merged: Merged[] = []
  for (const entry of sorted) {
    let last: Merged = { prefix: entry.prefix, members: [entry] }
    for (
      let before = merged.at(-1);
      before !== undefined && areHalves(before, last);
      before = merged.at(-1)
    ) {
      merged.pop()
      last = { prefix: last.prefix - 1, members: [...before.members, ...last.members] }
    }
    merged.push(last)
  }
  return merged
}

function areHalves(lower: Merged, upper: Merged): boolean {
  const [low, high] = [lower.members[0], upper.members[0]] as [AddressEntry, AddressEntry]
  const { prefix } = upper
  if (lower.prefix !== prefix || prefix <= WIDEST[low.version]) return false
  const size = 1n << BigInt(32 * low.words.length - prefix)
  return low.first + size === high.first && low.first % (2n * size) === 0n
}
