import ipaddr from 'ipaddr.js'
import type { Problem } from './problem.ts'

/** An address in its one canonical form. IPv4-mapped IPv6 addresses are IPv4 addresses (RFC 4291 2.5.5.2). */
export interface IpAddress {
  readonly version: 4 | 6
  /** One word of 32 bits for IPv4, four for IPv6; the most significant first. */
  readonly words: readonly number[]
  /** Dotted decimal, or the form of RFC 5952. */
  readonly text: string
}

/** Most requests are judged by the words alone, so the text is made when it is asked for. */
class Address implements IpAddress {
  readonly version: 4 | 6
  readonly words: readonly number[]

  constructor(words: readonly number[]) {
    this.words = words
    this.version = words.length === 1 ? 4 : 6
  }

  get text(): string {
    return spell(this.words)
  }
}

/** The longest spelling of an address: six full groups and a full dotted tail. */
const LONGEST = 45
const DOT = 46
const COLON = 58
const ZERO = 48

/**
 * Reads the address of a request. IPv4: four decimal parts without leading zeros, nothing else. IPv6: any spelling of
 * RFC 4291; of the addresses that embed IPv4 only the mapped ones become IPv4, because in all others the sender chooses
 * the embedded part. No zone, no brackets, no port, no space. `undefined`: not an address.
 */
export function parseIp(text: string): IpAddress | undefined {
  if (text.length > LONGEST) return undefined
  if (!text.includes(':')) {
    const word = parseDotted(text, 0)
    return word === -1 ? undefined : new Address([word])
  }
  const words = parseGroups(text)
  if (words === undefined) return undefined
  const mapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff
  return new Address(mapped ? [words[3] as number] : words)
}

/** The four decimal parts from `start` to the end of the text, as a word; -1 when they are not that. */
function parseDotted(text: string, start: number): number {
  let word = 0
  let part = 0
  let digits = 0
  let dots = 0
  for (let index = start; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code === DOT) {
      if (digits === 0 || dots === 3) return -1
      // Not shifted: `<<` would make addresses from 128.0.0.0 on negative.
      word = word * 256 + part
      dots += 1
      part = 0
      digits = 0
      continue
    }
    const digit = code - ZERO
    const leadingZero = digits > 0 && part === 0
    if (digit < 0 || digit > 9 || leadingZero) return -1
    part = part * 10 + digit
    digits += 1
    if (part > 255) return -1
  }
  return dots === 3 && digits > 0 ? word * 256 + part : -1
}

/** The four words of an IPv6 address: groups of hexadecimal digits, one `::` at most, a dotted tail at most. */
function parseGroups(text: string): number[] | undefined {
  const groups: number[] = []
  let gap = text.startsWith('::') ? 0 : -1
  let index = gap === 0 ? 2 : 0
  while (index < text.length) {
    const start = index
    let group = 0
    for (; index < text.length; index += 1) {
      const digit = hexDigit(text.charCodeAt(index))
      if (digit === -1) break
      group = group * 16 + digit
    }
    if (text.charCodeAt(index) === DOT) {
      const tail = parseDotted(text, start)
      if (tail === -1) return undefined
      groups.push(Math.floor(tail / 65_536), tail % 65_536)
      break
    }
    const digits = index - start
    if (digits === 0 || digits > 4) return undefined
    groups.push(group)
    if (index === text.length) break
    if (text.charCodeAt(index) !== COLON) return undefined
    index += 1
    if (text.charCodeAt(index) === COLON) {
      if (gap !== -1) return undefined
      gap = groups.length
      index += 1
    } else if (index === text.length) return undefined
  }
  // `::` stands for at least one group.
  if (gap === -1 ? groups.length !== 8 : groups.length > 7) return undefined
  const words = [0, 0, 0, 0]
  for (const [position, group] of groups.entries()) {
    const place = gap === -1 || position < gap ? position : position + 8 - groups.length
    const word = place >>> 1
    words[word] = (words[word] as number) + (place % 2 === 0 ? group * 65_536 : group)
  }
  return words
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= 57) return code - ZERO
  if (code >= 97 && code <= 102) return code - 87
  if (code >= 65 && code <= 70) return code - 55
  return -1
}

function spell(words: readonly number[]): string {
  const [word, ...others] = words as [number, ...number[]]
  if (others.length > 0) return ipaddr.fromByteArray(bytesOf(words)).toString()
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
}

function bytesOf(words: readonly number[]): number[] {
  return words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255])
}

/** All addresses of one version that share their first `prefix` bits. */
export interface IpRange {
  readonly version: 4 | 6
  /** First and last address, in words as in `IpAddress`. */
  readonly first: readonly number[]
  readonly last: readonly number[]
  /** From 0, the whole family, to 32 or 128, one address. */
  readonly prefix: number
  /** The canonical text: `192.0.2.1`, `192.0.2.0/24`. Ranges of one meaning have one text. */
  readonly text: string
}

const PREFIX = /^(?:0|[1-9][0-9]{0,2})$/

/**
 * Reads an entry of a policy: an address, or a range in CIDR notation; `'problem' in result` tells a refusal. Host bits,
 * mapped addresses and other spellings than the canonical one are refused with the corrected form. Only a single address
 * may be written in two ways, `192.0.2.1` and `192.0.2.1/32`.
 */
export function parseIpRange(text: string): IpRange | Problem {
  const slash = text.indexOf('/')
  const host = slash === -1 ? text : text.slice(0, slash)
  const address = parseIp(host)
  if (address === undefined) return { problem: 'is not an IP address or CIDR range' }
  const { version, words } = address
  const mapped = version === 4 && host.includes(':')
  const bits = 32 * words.length
  let prefix = bits
  if (slash !== -1) {
    const digits = text.slice(slash + 1)
    if (!PREFIX.test(digits)) return { problem: 'has a prefix length that is not a plain number' }
    prefix = Number(digits) - (mapped ? 96 : 0)
    if (prefix > bits) return { problem: `has a prefix length over ${mapped ? 128 : bits}` }
    if (prefix < 0) return { problem: 'is a mapped range wider than IPv4: write the IPv4 range' }
  }
  const first = networkOf(words, prefix)
  const canonical = rangeText(words, prefix)
  if (first.some((word, index) => word !== words[index])) {
    return { problem: 'host bits are set', corrected: canonical }
  }
  if (mapped) return { problem: 'is IPv4 written as IPv6', corrected: canonical }
  if (host !== address.text) return { problem: 'is not in canonical spelling', corrected: canonical }
  // The parser of record has the last word: what it reads otherwise than we do is no entry.
  if (!ipaddr.isValid(host)) return { problem: 'is not an IP address or CIDR range' }
  const recorded = ipaddr.parse(host).toByteArray()
  if (bytesOf(words).some((byte, index) => byte !== recorded[index])) {
    return { problem: 'is not an IP address or CIDR range' }
  }
  return { version, first, last: lastOf(first, prefix), prefix, text: canonical }
}

/** The canonical text of the range of this prefix length in which an address lies. */
export function rangeText(words: readonly number[], prefix: number): string {
  const network = spell(networkOf(words, prefix))
  return prefix === 32 * words.length ? network : `${network}/${prefix}`
}

function networkOf(words: readonly number[], prefix: number): number[] {
  return words.map((word, index) => (word & mask(prefix - 32 * index)) >>> 0)
}

function lastOf(first: readonly number[], prefix: number): number[] {
  return first.map((word, index) => (word | ~mask(prefix - 32 * index)) >>> 0)
}

/** A word whose highest bits are set, as many as `bits` says: none below 1, all above 31. */
function mask(bits: number): number {
  // `<<` takes its count modulo 32, so a shift by 32 would change nothing.
  if (bits <= 0) return 0
  return bits >= 32 ? 0xffffffff : 0xffffffff << (32 - bits)
}
