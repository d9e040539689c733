import * as z from 'zod/mini'
import { lintAddresses } from '../../lint/addresses.ts'
import type { PolicyFinding } from '../../lint/finding.ts'
import { createIpSet, type IpSet } from '../../match/ip-set.ts'
import { parseIpRange, type IpRange } from '../../match/ip.ts'
import { byText, listNames, mode, readBy } from '../members.ts'
import { missingList, type NamedSet } from '../named-lists.ts'
import { reused } from '../reused.ts'
import type { ListsOf, Protection, Section } from '../section.ts'

export interface IpWhitelistProtection extends Protection {
  /** Addresses and CIDR ranges that are admitted. An empty list admits none. */
  readonly ranges: readonly string[]
  /** Addresses and CIDR ranges that are refused, even if `ranges` or `lists` admits them. */
  readonly deny: readonly string[]
  /** Names of lists in the store whose ranges are admitted too. A list that is not in the store admits no address. */
  readonly lists: readonly string[]
  /**
   * Names of lists in the store whose ranges are refused, even if they are admitted elsewhere. While such a list is not in
   * the store, every address is refused. Left out: no such lists.
   */
  readonly denyLists?: readonly string[] | undefined
}

export interface CompiledIpWhitelist extends Protection {
  readonly ranges: IpSet
  readonly deny: IpSet
  readonly lists: readonly NamedSet[]
  readonly denyLists: readonly NamedSet[]
}

type Lists = ListsOf<'ranges' | 'deny', IpRange>

const ranges = () => z.pipe(z.array(z.string()), z.transform(readBy(byText(parseIpRange))))

export const IP_WHITELIST: Section<IpWhitelistProtection, CompiledIpWhitelist, Lists> = {
  schema: () =>
    z.strictObject({
      mode: mode(),
      ranges: z.prefault(ranges(), []),
      deny: z.prefault(ranges(), []),
      lists: z.prefault(listNames(), []),
      denyLists: z.optional(listNames()),
    }),
  compile: (section, { lists: read, named, before }) => {
    const list = (name: string): NamedSet => named.get(name) ?? missingList(name)
    return {
      mode: section.mode,
      ranges: reused(before?.ranges, section.ranges, () => createIpSet(read.ranges.entries)),
      deny: reused(before?.deny, section.deny, () => createIpSet(read.deny.entries)),
      lists: section.lists.map(list),
      denyLists: (section.denyLists ?? []).map(list),
    }
  },
  weigh: (_section, compiled) => 1_024 + compiled.ranges.bytes + compiled.deny.bytes,
}

export function lintIpWhitelist(section: IpWhitelistProtection, read: Lists): PolicyFinding[] {
  return lintAddresses(section, read.ranges.placed, read.deny.placed)
}
