import ipaddr from 'ipaddr.js'
import { suggestion, takenText } from './guess.ts'
import { guessIpRange } from './ip-guess.ts'
import { mask, scanIp, scanned } from './ip-text.ts'
import { isProblem, type Problem } from './problem.ts'

/** An address in canonical form. IPv4-mapped IPv6 addresses are IPv4 addresses (RFC 4291 2.5.5.2). */
export interface IpAddress {
  readonly version: 4 | 6
  /** One word of 32 bits for IPv4, four for IPv6, the most significant first. */
  readonly words: readonly number[]
  /** The same words as signed integers, which V8 stores without a box. For IPv4, the last three are zero. For look-ups. */
  readonly word0: number
  readonly word1: number
  readonly word2: number
  readonly word3: number
  /** Dotted decimal, or the form of RFC 5952. */
  readonly text: string
}

/** Judging most requests needs only four integers, so everything else is computed on first use. */
class Address implements IpAddress {
  readonly version: 4 | 6
  readonly word0: number
  readonly word1: number
  readonly word2: number
  readonly word3: number
  #text: string | undefined

  constructor(version: 4 | 6, word0: number, word1: number, word2: number, word3: number) {
    this.version = version
    this.word0 = word0
    this.word1 = word1
    this.word2 = word2
    this.word3 = word3
  }

  get words(): readonly number[] {
    if (this.version === 4) return [this.word0 >>> 0]
    return [this.word0 >>> 0, this.word1 >>> 0, this.word2 >>> 0, this.word3 >>> 0]
  }

  get text(): string {
    return (this.#text ??= this.version === 4 ? spell4(this.word0) : spell(this.words))
  }
}

/**
 * Reads the address of a request. IPv4: four decimal parts without leading zeros. IPv6: any spelling of RFC 4291. Of the IPv6
 * addresses that embed IPv4, only the mapped ones become IPv4, because in all others the sender chooses the embedded part.
 * Zones, brackets, ports and spaces are refused. Returns `undefined` if the text is not an address.
 */
export function parseIp(text: string): IpAddress | undefined {
  const version = scanIp(text)
  if (version === 0) return undefined
  const words = scanned.words as unknown as readonly [number, number, number, number]
  if (version === 4) return new Address(4, words[0] | 0, 0, 0, 0)
  return new Address(6, words[0] | 0, words[1] | 0, words[2] | 0, words[3] | 0)
}

function spell(words: readonly number[]): string {
  return words.length === 1 ? spell4(words[0] as number) : ipaddr.fromByteArray(bytesOf(words)).toString()
}

function spell4(word: number): string {
  return `${word >>> 24}.${(word >>> 16) & 255}.${(word >>> 8) & 255}.${word & 255}`
}

function bytesOf(words: readonly number[]): number[] {
  return words.flatMap((word) => [word >>> 24, (word >>> 16) & 255, (word >>> 8) & 255, word & 255])
}

/** All addresses of one version that share their first `prefix` bits. */
export interface IpRange {
  readonly version: 4 | 6
  /** First and last address, as words like those of `IpAddress`. */
  readonly first: readonly number[]
  readonly last: readonly number[]
  /** From 0 (the whole family) to 32 or 128 (one address). */
  readonly prefix: number
  /** The canonical text: `192.0.2.1`, `192.0.2.0/24`. Equal ranges have equal texts. */
  readonly text: string
}

const PREFIX = /^(?:0|[1-9][0-9]{0,2})$/

/**
 * Reads an entry of a policy or a list: an address, or a range in CIDR notation. IPv6 may be in any spelling of RFC 4291: in
 * upper or lower case, with leading zeros, or with an IPv4 address at the end. `text` of the result is the canonical form
 * (RFC 5952, section 4). Host bits, IPv4-mapped addresses and prefix lengths that are not plain numbers are refused, with the
 * corrected form if there is one. Any other text is refused too, such as `10.0.*`; if it means a few ranges, the reason names
 * them.
 */
export function parseIpRange(text: string): IpRange | Problem {
  const read = readIpRange(text)
  if (!isProblem(read) || !UNREAD.has(read.problem)) return read
  const guess = guessIpRange(text)
  return guess === undefined ? read : suggestion(guess, (meant) => takenText(readIpRange(meant)))
}

const NO_RANGE = 'is not an IP address or CIDR range'
const NO_NUMBER = 'has a prefix length that is not a plain number'
const WIDE = 'is a mapped range wider than IPv4: write the IPv4 range'
/** For these reasons, `guessIpRange` looks for what was meant. */
const UNREAD: ReadonlySet<string> = new Set([NO_RANGE, NO_NUMBER])

function readIpRange(text: string): IpRange | Problem {
  const slash = text.indexOf('/')
  const host = slash === -1 ? text : text.slice(0, slash)
  const address = parseIp(host)
  if (address === undefined) return { problem: NO_RANGE }
  const { version, words } = address
  const mapped = version === 4 && host.includes(':')
  const bits = 32 * words.length
  let prefix = bits
  if (slash !== -1) {
    const digits = text.slice(slash + 1)
    if (!PREFIX.test(digits)) return { problem: NO_NUMBER }
    prefix = Number(digits) - (mapped ? 96 : 0)
    if (prefix > bits) return { problem: `has a prefix length over ${mapped ? 128 : bits}` }
    if (prefix < 0) return { problem: WIDE }
  }
  const first = networkOf(words, prefix)
  const canonical = rangeText(words, prefix)
  if (first.some((word, index) => word !== words[index])) {
    return { problem: 'host bits are set', corrected: canonical }
  }
  if (mapped) return { problem: 'is IPv4 written as IPv6', corrected: canonical }
  const range: IpRange = { version, first, last: lastOf(first, prefix), prefix, text: canonical }
  // Programs read some spellings differently: `::192.0.2.1` is IPv4-mapped to some of them. All read the canonical one alike.
  if (canonical === text) return range
  const recorded = ipaddr.isValid(host) ? ipaddr.parse(host).toByteArray() : []
  if (bytesOf(words).some((byte, index) => byte !== recorded[index])) {
    return { problem: 'is parsed differently by different programs', corrected: canonical }
  }
  return range
}

/** The canonical text of the range with this prefix length that contains an address. */
export function rangeText(words: readonly number[], prefix: number): string {
  const network = spell(networkOf(words, prefix))
  return prefix === 32 * words.length ? network : `${network}/${prefix}`
}

/** Like `rangeText`, for a parsed address. */
export function rangeTextOf(address: IpAddress, prefix: number): string {
  if (address.version === 6) return rangeText(address.words, prefix)
  return prefix === 32 ? address.text : `${spell4(address.word0 & mask(prefix))}/${prefix}`
}

function networkOf(words: readonly number[], prefix: number): number[] {
  return words.map((word, index) => (word & mask(prefix - 32 * index)) >>> 0)
}

function lastOf(first: readonly number[], prefix: number): number[] {
  return first.map((word, index) => (word | ~mask(prefix - 32 * index)) >>> 0)
}
