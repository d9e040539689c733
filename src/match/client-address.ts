import { didYouMean } from '../did-you-mean.ts'
import { ConfigError, wrongOption } from '../errors.ts'
import { checkOptions, listHint, required } from '../options.ts'
import { createIpSet, type IpSet } from './ip-set.ts'
import { parseIp, parseIpRange, type IpAddress, type IpRange } from './ip.ts'
import { isProblem, type Problem } from './problem.ts'

/** Headers to which every proxy appends the hop that it sees. Any other header is set once, by the outermost proxy. */
const LIST_HEADERS = ['x-forwarded-for', 'forwarded'] as const
type KnownHeader =
  | (typeof LIST_HEADERS)[number]
  | 'cf-connecting-ip'
  | 'fastly-client-ip'
  | 'fly-client-ip'
  | 'true-client-ip'
  | 'x-real-ip'

const LOOPBACK = ['127.0.0.0/8', '::1']
const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10']
/** RFC 1918 and RFC 4193. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7']

/** A token of RFC 9110 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

function isHeaderName(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 256 && HEADER_NAME.test(value)
}

/** Names for fixed ranges. The first three mean the same as in Express's `trust proxy`. */
const PRESETS: ReadonlyMap<string, readonly string[]> = new Map([
  ['loopback', LOOPBACK],
  ['linklocal', LINK_LOCAL],
  ['uniquelocal', PRIVATE],
  ['private', PRIVATE],
])

/** The entry of `trustedProxies` for a proxy on this machine that connects through a Unix socket, which has no address. */
export const UNIX_SOCKET = 'unix'

export interface ClientAddressOptions {
  /**
   * The trusted proxies: addresses, CIDR ranges, the names `loopback`, `linklocal`, `uniquelocal` and `private`, and `unix`
   * for every peer that connects through the Unix socket that the server listens on. The header is read only if the peer is
   * trusted.
   */
  readonly trustedProxies: readonly string[]
  /**
   * The header that the proxies set, in any case. `x-forwarded-for` and `forwarded` (RFC 7239) are lists: each proxy appends
   * a hop. Any other header, such as `fly-client-ip`, must be sent once and contain one address. An address may have a port;
   * an IPv6 address with a port is in brackets: `203.0.113.7:51820`, `[2001:db8::1]:443`.
   */
  readonly header: KnownHeader | (string & Record<never, never>)
}

/** The client's address and where it was found. */
export interface ClientAddress {
  readonly address: IpAddress
  /** `socket`, `req.ip`, or the name of the header that contained the address. */
  readonly source: string
  /** The number of hops that were read from the header. */
  readonly hops: number
}

/** The compiled option. */
export interface ClientAddressReader {
  /** In lower case. */
  readonly header: string
  /** Finds the client's address from the address of the peer (or `UNIX_SOCKET`) and all lines of the header, in order. */
  read(peer: string | undefined, headerLines: readonly string[]): ClientAddress | undefined
  /** Whether an address belongs to a trusted proxy. */
  trusts(address: IpAddress): boolean
  /** The hops in the lines, from the nearest to the farthest. A hop without an address is `undefined`. */
  hops(headerLines: readonly string[]): Iterable<string | undefined>
}

/**
 * Compiles the `clientAddress` option. The reader starts at the peer of the socket and walks the header from right to left
 * while the hops are trusted. The first hop that is not trusted is the client; if all are trusted, the farthest hop is the
 * client. A peer that is not trusted is itself the client, whatever headers it sends. The reader never guesses: it returns
 * `undefined` if a trusted hop has no address or an invalid one. The work is linear in the length of the header.
 *
 * @throws ConfigError with the name of the option below `name`.
 */
export function compileClientAddress(option: unknown, name: string): ClientAddressReader {
  const { trustedProxies, header: written } = checkOptions<ClientAddressOptions>(name, option, {
    trustedProxies: required({
      expected: 'an array of addresses, CIDR ranges and names of ranges',
      accepts: Array.isArray,
      hint: (value) =>
        typeof value === 'string'
          ? listHint(value)
          : value === undefined
            ? undefined
            : '; name the proxies: with every caller trusted, callers could choose their address',
    }),
    header: required({
      expected: 'the name of the header that the proxies write, such as x-forwarded-for',
      accepts: isHeaderName,
    }),
  })
  const header = written.toLowerCase()
  const trusted = createIpSet(
    // `Array.from` visits holes too, which `flatMap` would leave unchecked.
    Array.from(trustedProxies, (text, index) => parseProxy(text, `${name}.trustedProxies[${index}]`)).flat(),
  )
  const trustsUnixSocket = trustedProxies.includes(UNIX_SOCKET)
  const hops = LIST_READERS.get(header) ?? singleHop
  return {
    header,
    read: (peer, headerLines) => {
      if (peer === UNIX_SOCKET) return trustsUnixSocket ? walk(hops(headerLines), trusted, header) : undefined
      const address = peer === undefined ? undefined : parsePeer(peer)
      if (address === undefined) return undefined
      if (!trusted.contains(address)) return { address, source: 'socket', hops: 0 }
      return walk(hops(headerLines), trusted, header)
    },
    trusts: (address) => trusted.contains(address),
    hops,
  }
}

/**
 * The address at the other end of a socket. Node appends a zone to a link-local address. The zone is removed, because it
 * names an interface of this machine.
 */
export function parsePeer(text: string): IpAddress | undefined {
  const known = peers.get(text)
  if (known !== undefined) return known
  const zone = text.indexOf('%')
  const address = parseIp(zone === -1 ? text : text.slice(0, zone))
  if (address === undefined) return undefined
  if (peers.size >= MOST_PEERS) peers.clear()
  peers.set(text, address)
  return address
}

/** Connections are reused and callers return, so most peers have been parsed before. */
const peers = new Map<string, IpAddress>()
const MOST_PEERS = 1_000

// Created on first use, to keep them out of the start-up time.
let loopback: IpSet | undefined
let local: IpSet | undefined

export function isLoopback(address: IpAddress): boolean {
  loopback ??= createIpSet(parsed(LOOPBACK))
  return loopback.contains(address)
}

/** Whether the address is outside the public internet. */
export function isLocal(address: IpAddress): boolean {
  // Includes the addresses that providers share behind carrier-grade NAT (RFC 6598).
  local ??= createIpSet(parsed([...LOOPBACK, ...LINK_LOCAL, ...PRIVATE, '100.64.0.0/10']))
  return local.contains(address)
}

function parsed(ranges: readonly string[]): IpRange[] {
  return ranges.map((text) => parseIpRange(text) as IpRange)
}

function parseProxy(text: unknown, name: string): readonly IpRange[] {
  const names = [...PRESETS.keys(), UNIX_SOCKET].join(', ')
  const expected = `an address, a CIDR range in canonical spelling, or one of ${names}`
  if (text === UNIX_SOCKET) return []
  if (typeof text !== 'string') throw new ConfigError(name, expected, text)
  const preset = PRESETS.get(text)
  if (preset !== undefined) return parsed(preset)
  const range = parseIpRange(text)
  // If every address were trusted, the leftmost hop would be the client, and the caller writes that hop.
  const isEverybody = isProblem(range)
    ? /\/0(?![0-9])/.test(`${range.problem} ${range.corrected}`)
    : range.prefix === 0
  if (isEverybody) throw new ConfigError(name, 'the proxies in front, not every address', text)
  if (isProblem(range)) throw new ConfigError([wrongOption(name, expected, text, adviceOn(text, range))])
  return [range]
}

function adviceOn(text: string, { problem, corrected }: Problem): string {
  const name = text === 'localhost' ? 'loopback' : didYouMean(text, [...PRESETS.keys(), UNIX_SOCKET])
  if (name !== undefined) return `; did you mean \`${name}\`?`
  return corrected === undefined ? `, which ${problem}` : `, which ${problem}; write \`${corrected}\``
}

/** Reads the hops of a header, from the nearest to the farthest. A hop without an address is `undefined`. */
type HopReader = (lines: readonly string[]) => Iterable<string | undefined>

const LIST_READERS: ReadonlyMap<string, HopReader> = new Map<(typeof LIST_HEADERS)[number], HopReader>([
  ['x-forwarded-for', listedHops],
  ['forwarded', forwardedHops],
])

function walk(hops: Iterable<string | undefined>, trusted: IpSet, source: string): ClientAddress | undefined {
  let client: ClientAddress | undefined
  let count = 0
  for (const hop of hops) {
    const address = hop === undefined ? undefined : parseIp(hop)
    if (address === undefined) return undefined
    count += 1
    client = { address, source, hops: count }
    if (!trusted.contains(address)) return client
  }
  return client
}

/** If there are two lines, it is unknown which one the proxy set. A list is not an address. */
function singleHop(lines: readonly string[]): [string | undefined] {
  return [lines.length === 1 ? withoutPort(withoutBlanks(lines[0] as string)) : undefined]
}

function* listedHops(lines: readonly string[]): Generator<string> {
  for (const hop of lines.join(',').split(',').toReversed()) yield withoutPort(withoutBlanks(hop))
}

const WITH_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/

/** Some proxies, such as those of Azure, append the client's port. Text in any other form is returned unchanged. */
function withoutPort(hop: string): string {
  const [, bracketed, bare, port] = WITH_PORT.exec(hop) ?? []
  if (port === undefined || Number(port) > 65_535) return hop
  if (bracketed === undefined) return bare as string
  return bracketed.includes(':') ? bracketed : hop
}

/** The `for` parameter of each element (RFC 7239), without quotation marks, brackets and port. */
function* forwardedHops(lines: readonly string[]): Generator<string | undefined> {
  const elements = splitOutsideQuotes(lines.join(','), ',')
  for (const element of elements.toReversed()) yield forwardedFor(element)
}

/** RFC 9110 5.6.2. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const PAIR = new RegExp(`^(${TOKEN})=(${TOKEN}|"(?:[^"\\\\]|\\\\.)*")$`)

/**
 * The node of an element. `undefined` if `for` is missing or repeated, or the element does not follow RFC 7239, section 4.
 */
function forwardedFor(element: string): string | undefined {
  let node: string | undefined
  for (const text of splitOutsideQuotes(element, ';')) {
    const pair = PAIR.exec(withoutBlanks(text))
    if (pair === null) return undefined
    if ((pair[1] as string).toLowerCase() !== 'for') continue
    if (node !== undefined) return undefined
    node = pair[2]
  }
  return node === undefined ? undefined : nodeAddress(node)
}

const PORT = ':(?:[0-9]{1,5}|_[A-Za-z0-9._-]+)'
const NODE = new RegExp(`^(?:"\\[([0-9A-Fa-f:.]+)\\](?:${PORT})?"|"([0-9.]+)(?:${PORT})?"|([0-9.]+))$`)

/** RFC 7239, section 6. `unknown` and obfuscated identifiers are not addresses. */
function nodeAddress(node: string): string | undefined {
  const [, bracketed, quoted, bare] = NODE.exec(node) ?? []
  if (bracketed !== undefined) return bracketed.includes(':') ? bracketed : undefined
  return quoted ?? bare
}

/** An unterminated quotation makes the rest of the text one unreadable part. That part includes the nearest hop. */
function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = []
  let quoted = false
  let start = 0
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index]
    if (character === '\\' && quoted) index += 1
    else if (character === '"') quoted = !quoted
    else if (character === separator && !quoted) {
      parts.push(text.slice(start, index))
      start = index + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

/** Spaces and tabs are allowed around an element (RFC 9110 5.6.3). `trim` would also remove a no-break space or a BOM. */
function withoutBlanks(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isBlank(text.charCodeAt(start))) start += 1
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
