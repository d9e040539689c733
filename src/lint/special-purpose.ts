import { parseIpRange, type IpRange } from '../match/ip.ts'
import type { Block } from './blocks.ts'

/** An address range of a policy. */
export interface AddressEntry extends Block {
  /** Its index in the list. */
  readonly index: number
  readonly version: 4 | 6
  readonly words: readonly number[]
  readonly prefix: number
}

/** A range, with its first and last address as numbers. */
export function addressEntry({ version, first: words, prefix }: IpRange, index: number): AddressEntry {
  const first = words.reduce((value, word) => (value << 32n) | BigInt(word), 0n)
  const last = first + (1n << BigInt(32 * words.length - prefix)) - 1n
  return { index, version, words, prefix, first, last }
}

/** Like {@link addressEntry}, for the canonical text of a range. */
export function entryOf(text: string, index = 0): AddressEntry {
  return addressEntry(parseIpRange(text) as IpRange, index)
}

interface SpecialBlock extends AddressEntry {
  readonly what: string
}

/**
 * Blocks from which no caller on the internet comes: those of IANA's special-purpose registries (RFC 6890) that are not
 * globally reachable, and multicast. Inner blocks come before outer ones.
 */
const SPECIAL_BLOCKS = [
  ['0.0.0.0/8', '"this network"'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'shared by the customers of a provider'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved for protocols'],
  ['192.0.2.0/24', 'for documentation'],
  ['192.88.99.0/24', 'reserved for 6to4 relays'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'for benchmarking'],
  ['198.51.100.0/24', 'for documentation'],
  ['203.0.113.0/24', 'for documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['255.255.255.255', 'broadcast'],
  ['240.0.0.0/4', 'reserved'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['64:ff9b::/96', 'a translation of all IPv4 addresses (NAT64)'],
  ['64:ff9b:1::/48', 'a translation of IPv4 addresses (NAT64)'],
  ['100::/64', 'for packets that are discarded'],
  ['100:0:0:1::/64', 'a dummy prefix'],
  ['2001::/32', 'a tunnel from all IPv4 addresses (Teredo)'],
  ['2001:2::/48', 'for benchmarking'],
  ['2001::/23', 'reserved for protocols'],
  ['2001:db8::/32', 'for documentation'],
  ['2002::/16', 'a tunnel from all IPv4 addresses (6to4)'],
  ['3fff::/20', 'for documentation'],
  ['5f00::/16', 'for segment routing'],
  ['fc00::/7', 'private'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'site-local'],
  ['ff00::/8', 'multicast'],
] as const

interface Blocks {
  readonly special: readonly SpecialBlock[]
  readonly whole: Readonly<Record<4 | 6, Block>>
}

let read: Blocks | undefined

/** The parsed blocks. Computed on first use, to keep them out of the start-up time. */
function blocks(): Blocks {
  read ??= {
    special: SPECIAL_BLOCKS.map(([text, what], index) => ({ ...entryOf(text, index), what })),
    // For IPv6, only global unicast is allocated.
    whole: { 4: entryOf('0.0.0.0/0'), 6: entryOf('2000::/3') },
  }
  return read
}

/** Why no caller on the internet has an address of a range. `undefined` if one may. */
export function specialPurpose({ version, first, last }: AddressEntry): string | undefined {
  const { special, whole } = blocks()
  const block = special.find((one) => one.version === version && one.first <= first && last <= one.last)
  if (block !== undefined) return block.what
  const reserved = version === 6 && (last < whole[6].first || whole[6].last < first)
  return reserved ? 'reserved, outside of 2000::/3' : undefined
}

/** The blocks of one version without callers. */
export function specialBlocks(version: 4 | 6): readonly Block[] {
  return blocks().special.filter((block) => block.version === version)
}

/** All addresses that a caller may have, before the special blocks are removed. */
export function wholeOf(version: 4 | 6): Block {
  return blocks().whole[version]
}
