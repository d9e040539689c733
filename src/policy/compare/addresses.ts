import { parseInstant } from '../../instant.ts'
import type { ListEntry } from '../../list/entry.ts'
import { lowestOutside, withoutAddresses } from '../../match/ip-difference.ts'
import {
  createIpIntervalsBuilder,
  EVERY_ADDRESS,
  NO_ADDRESS,
  type IpIntervals,
} from '../../match/ip-intervals.ts'
import type { IpRange } from '../../match/ip.ts'
import type { ListsOf } from '../section.ts'
import type { IpWhitelistProtection } from '../sections/ip-whitelist.ts'
import { SOME_URL } from '../written-request.ts'
import { letsAllPass, type Gain, type SectionComparison, type Side } from './side.ts'

type Lists = ListsOf<'ranges' | 'deny', IpRange>

/** Compares the sets of admitted addresses as intervals, and requests without a readable address. */
export const COMPARE_ADDRESSES: SectionComparison<IpWhitelistProtection, Lists> = {
  members: { mode: 'passes', ranges: 'passes', deny: 'passes', lists: 'passes', denyLists: 'passes' },
  *gains(from, to) {
    const address = yield* lowestOutside(admittedBy(to), admittedBy(from))
    const member = memberThatDiffers(from, to)
    if (address !== undefined) return { member, request: { url: SOME_URL, address }, subject: address }
    if (!admitsUnreadable(to) || admitsUnreadable(from)) return undefined
    return { member, request: { url: SOME_URL }, subject: 'a request without a readable address' }
  },
}

function admittedBy({ section, addresses }: Side<IpWhitelistProtection, Lists>): IpIntervals {
  if (section === undefined) return NO_ADDRESS
  return letsAllPass(section) ? EVERY_ADDRESS : addresses
}

function admitsUnreadable({ section }: Side<IpWhitelistProtection, Lists>): boolean {
  return section !== undefined && letsAllPass(section)
}

function memberThatDiffers(
  { section: from }: Side<IpWhitelistProtection, Lists>,
  { section: to }: Side<IpWhitelistProtection, Lists>,
): Gain['member'] {
  if (from === undefined || to === undefined) return ''
  if (from.mode !== to.mode) return 'mode'
  const named = (['ranges', 'deny', 'lists', 'denyLists'] as const).filter(
    (name) => JSON.stringify(from[name]) !== JSON.stringify(to[name]),
  )
  // If the policies do not differ, the contents of the lists do. If several members differ, any of them can be the reason.
  return named.length === 1 ? (named[0] as string) : named.length === 0 ? 'lists' : ''
}

/**
 * The addresses that a section in `enforce` admits, in steps. `listOf` returns a named list, or `undefined` if there is no
 * such list.
 */
export function* addressesOf(
  section: IpWhitelistProtection,
  { ranges, deny }: Lists,
  listOf: (name: string) => readonly ListEntry[] | undefined,
  now: number,
): Generator<void, IpIntervals> {
  const denyLists = (section.denyLists ?? []).map(listOf)
  // If a deny list is missing, any address could be on it.
  if (denyLists.includes(undefined)) return NO_ADDRESS
  const admitted = yield* intervalsOf(ranges.entries, section.lists.map(listOf), now)
  return yield* withoutAddresses(admitted, yield* intervalsOf(deny.entries, denyLists, now))
}

/** Adding this many entries takes a fraction of a millisecond. */
const PIECE = 512

function* intervalsOf(
  entries: readonly IpRange[],
  lists: readonly (readonly ListEntry[] | undefined)[],
  now: number,
): Generator<void, IpIntervals> {
  const builder = createIpIntervalsBuilder()
  for (const entry of entries) builder.add(entry)
  for (const list of lists) {
    let added = 0
    for (const { range, expires } of list ?? []) {
      if (expires === undefined || holds(expires, now)) builder.add(range)
      added += 1
      if (added % PIECE === 0) yield
    }
  }
  return yield* builder.finish()
}

/** An expiry that cannot be parsed counts as past. */
function holds(expires: string, now: number): boolean {
  return (parseInstant(expires) ?? Number.NEGATIVE_INFINITY) > now
}
