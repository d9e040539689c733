import ipaddr from 'ipaddr.js'
import type { Problem } from './problem.ts'

/** An address in its one canonical form. IPv4-mapped IPv6 addresses are IPv4 addresses (RFC 4291 2.5.5.2). */
export class IpAddress {
  readonly version: 4 | 6
  /** One word of 32 bits for IPv4, four for IPv6; the most significant first. */
  readonly words: readonly number[]

  constructor(words: readonly number[]) {
    this.words = words
    this.version = words.length === 1 ? 4 : 6
  }

  /** Dotted decimal, or the form of RFC 5952. */
  get text(): string {
    return this.version === 4 ? dotted(this.words[0] as number) : compressed(this.words)
  }
}

const DOT = 46
const COLON = 58
const ZERO = 48

/**
 * Reads the address of a request. IPv4: four decimal parts without leading zeros, nothing else. IPv6: any spelling of
 * RFC 4291. No zone, no brackets, no port, no space. `undefined`: not an address.
 */
export function parseIp(text: string): IpAddress | undefined {
  if (text.length > 45) return undefined
  if (!text.includes(':')) {
    const word = parseDotted(text, 0)
    return word === -1 ? undefined : new IpAddress([word])
  }
  const words = parseGroups(text)
  if (words === undefined) return undefined
  // ::ffff:0:0/96
  if (words[0] === 0 && words[1] === 0 && words[2] === 0xffff) return new IpAddress([words[3] as number])
  return new IpAddress(words)
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
      word = word * 256 + part
      dots += 1
      part = 0
      digits = 0
      continue
    }
    const digit = code - ZERO
    if (digit < 0 || digit > 9 || (digits > 0 && part === 0)) return -1
    part = part * 10 + digit
    digits += 1
    if (part > 255) return -1
  }
  return dots === 3 && digits > 0 ? word * 256 + part : -1
}

function parseGroups(text: string): number[] | undefined {
  const groups: number[] = []
  let gap = -1
  let index = 0
  if (text.startsWith('::')) {
    gap = 0
    index = 2
  }
  while (index < text.length) {
    if (groups.length === 8) return undefined
    let group = 0
    let digits = 0
    const start = index
    for (; index < text.length; index += 1) {
      const digit = hexDigit(text.charCodeAt(index))
      if (digit === -1) break
      group = group * 16 + digit
      digits += 1
    }
    if (text.charCodeAt(index) === DOT) {
      const word = parseDotted(text, start)
      if (word === -1 || groups.length > 6) return undefined
      groups.push(Math.floor(word / 65_536), word % 65_536)
      index = text.length
      break
    }
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
  if (gap === -1 ? groups.length !== 8 : groups.length > 7) return undefined
  if (gap !== -1) groups.splice(gap, 0, ...Array<number>(8 - groups.length).fill(0))
  const words: number[] = []
  for (let word = 0; word < 4; word += 1) {
    words.push((groups[2 * word] as number) * 65_536 + (groups[2 * word + 1] as number))
  }
  return words
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= 57) return code - ZERO
  if (code >= 97 && code <= 102) return code - 87
  if (code >= 65 && code <= 70) return code - 55
  return -1
}

function dotted(word: number): string {
  return [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255].join('.')
}

function compressed(words: readonly number[]): string {
  const bytes = words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255])
  return ipaddr.fromByteArray(bytes).toString()
}

/** A range of addresses of one version. */
export interface IpRange {
  readonly version: 4 | 6
  /** First and last address, in words as in `IpAddress`. */
  readonly first: readonly number[]
  readonly last: readonly number[]
  /** The canonical text: `192.0.2.1`, `192.0.2.0/24`. */
  readonly text: string
}

const PREFIX = /^(?:0|[1-9][0-9]{0,2})$/

/**
 * Reads an entry of a policy: an address, or a range in CIDR notation. Host bits, mapped addresses and other spellings
 * than the canonical one are refused with the corrected form.
 */
export function parseIpRange(text: string): IpRange | Problem {
  const slash = text.indexOf('/')
  const host = slash === -1 ? text : text.slice(0, slash)
  const address = parseIp(host)
  if (address === undefined) return { problem: `is not an IP address or CIDR range` }
  // The parser of record has the last word on what we take.
  if (
    !ipaddr.isValid(host) ||
    (address.version === 4 && !host.includes(':') && !ipaddr.IPv4.isValidFourPartDecimal(host))
  ) {
    return { problem: 'is not an IP address or CIDR range' }
  }
  const mapped = address.version === 4 && host.includes(':')
  const bits = address.version === 4 ? 32 : 128
  const prefixText = slash === -1 ? String(mapped ? 128 : bits) : text.slice(slash + 1)
  if (!PREFIX.test(prefixText)) return { problem: 'has a prefix length that is not a plain number' }
  const prefix = Number(prefixText) - (mapped ? 96 : 0)
  if (prefix > bits) return { problem: `has a prefix length over ${bits}` }
  if (prefix < 0) return { problem: 'is a mapped range wider than IPv4: write the IPv4 range' }
  const first = address.words.map((word, index) => (word & mask(prefix - 32 * index)) >>> 0)
  const last = address.words.map((word, index) => (word | ~mask(prefix - 32 * index)) >>> 0)
  const canonical = new IpAddress(first).text + (prefix === bits ? '' : `/${prefix}`)
  const range: IpRange = { version: address.version, first, last, text: canonical }
  const written = slash !== -1 && prefix === bits && !mapped ? host : text
  if (written === canonical) return range
  const hostBits = first.some((word, index) => word !== address.words[index])
  return { problem: hostBits ? 'host bits are set' : 'is not in canonical spelling', corrected: canonical }
}

/** A word whose highest bits are set, as many as `prefix` says: none below 0, all above 31. */
function mask(prefix: number): number {
  if (prefix <= 0) return 0
  return prefix >= 32 ? 0xffffffff : (0xffffffff << (32 - prefix)) >>> 0
}
