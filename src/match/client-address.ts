import { didYouMean } from '../did-you-mean.ts'
import { ConfigError, wrongOption } from '../errors.ts'
import { checkOptions, listHint, required } from '../options.ts'
import { createIpSet, type IpSet } from './ip-set.ts'
import { parseIp, parseIpRange, type IpAddress, type IpRange } from './ip.ts'
import { isProblem, type Problem } from './problem.ts'

/** Headers to which every proxy adds the hop that it sees. Any other is written once, by the proxy in front. */
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

/** Names for ranges that do not change. The first three mean what they mean in `trust proxy` of Express. */
const PRESETS: ReadonlyMap<string, readonly string[]> = new Map([
  ['loopback', LOOPBACK],
  ['linklocal', LINK_LOCAL],
  ['uniquelocal', PRIVATE],
  ['private', PRIVATE],
])

/** What `trustedProxies` calls a proxy on this machine that connects by a Unix socket, which has no address. */
export const UNIX_SOCKET = 'unix'

export interface ClientAddressOptions {
  /**
   * The proxies in front, as addresses, CIDR ranges, the names `loopback`, `linklocal`, `uniquelocal` and `private`, and
   * `unix` for whoever connects by the Unix socket that the server listens on. Only what they say is believed.
   */
  readonly trustedProxies: readonly string[]
  /**
   * The one header that they write, in any case. `x-forwarded-for` and `forwarded` (RFC 7239) are lists, to which each
   * proxy adds a hop. Any other header, such as `fly-client-ip`, must stand once and hold one address. An address may be
   * followed by a port, an IPv6 address then stands in brackets: `203.0.113.7:51820`, `[2001:db8::1]:443`.
   */
  readonly header: KnownHeader | (string & Record<never, never>)
}

/** Who calls, and how we know. */
export interface ClientAddress {
  readonly address: IpAddress
  /** `socket`, `req.ip`, or the header that named the address. */
  readonly source: string
  /** How many proxies were walked over. */
  readonly hops: number
}

/** The compiled option. */
export interface ClientAddressReader {
  /** In lower case. */
  readonly header: string
  /** Finds the client from the peer of the socket, or `UNIX_SOCKET`, and all lines of the header, in order. */
  read(peer: string | undefined, headerLines: readonly string[]): ClientAddress | undefined
  /** Whether an address is believed to be a proxy. */
  trusts(address: IpAddress): boolean
  /** What the lines name, from the nearest hop to the farthest; `undefined` is a hop without an address. */
  hops(headerLines: readonly string[]): Iterable<string | undefined>
}

/**
 * Makes the reader that says who calls. It walks from the socket outwards, right to left through the header, for as long
 * as the hop is trusted; the first that is not is the client, and if all are trusted the farthest. A peer that is not
 * trusted is the client itself, whatever headers it sends. Nothing is guessed: a trusted hop that names nobody, or
 * something that is no address, gives `undefined`. The work grows with the length of the header, not faster.
 *
 * @throws ConfigError naming the option below `name`.
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
 * The address at the other end of a socket. Node adds the zone to a link-local one; it names an interface of this machine
 * and is no part of what the caller says.
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

/** Connections stay open and callers come again, so most peers were read before. */
const peers = new Map<string, IpAddress>()
const MOST_PEERS = 1_000

// Made when first asked: every start would wait for them.
let loopback: IpSet | undefined
let local: IpSet | undefined

export function isLoopback(address: IpAddress): boolean {
  loopback ??= createIpSet(parsed(LOOPBACK))
  return loopback.contains(address)
}

/** Whether no caller on the public internet can have the address. */
export function isLocal(address: IpAddress): boolean {
  // With the addresses that providers share out behind their own translation (RFC 6598).
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
  // With everybody trusted, the leftmost value would count, which the caller has written.
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

/** The hops that a header names, from the nearest to the farthest; `undefined` is one that names no address. */
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

/** Of two lines the proxy wrote only one, and nobody can say which. A list is not an address. */
function singleHop(lines: readonly string[]): [string | undefined] {
  return [lines.length === 1 ? withoutPort(withoutBlanks(lines[0] as string)) : undefined]
}

function* listedHops(lines: readonly string[]): Generator<string> {
  for (const hop of lines.join(',').split(',').toReversed()) yield withoutPort(withoutBlanks(hop))
}

const WITH_PORT = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/

/** Some proxies write the port of the client too, such as those of Azure. What is not written so is left as it is. */
function withoutPort(hop: string): string {
  const [, bracketed, bare, port] = WITH_PORT.exec(hop) ?? []
  if (port === undefined || Number(port) > 65_535) return hop
  if (bracketed === undefined) return bare as string
  return bracketed.includes(':') ? bracketed : hop
}

/** The `for` of each element of RFC 7239, without quotation marks, brackets and port. */
function* forwardedHops(lines: readonly string[]): Generator<string | undefined> {
  const elements = splitOutsideQuotes(lines.join(','), ',')
  for (const element of elements.toReversed()) yield forwardedFor(element)
}

/** RFC 9110 5.6.2. */
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const PAIR = new RegExp(`^(${TOKEN})=(${TOKEN}|"(?:[^"\\\\]|\\\\.)*")$`)

/** The node that an element names once; `undefined` when it is not of the form of RFC 7239, 4. */
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

/** RFC 7239, 6. `unknown` and obfuscated identifiers name no address. */
function nodeAddress(node: string): string | undefined {
  const [, bracketed, quoted, bare] = NODE.exec(node) ?? []
  if (bracketed !== undefined) return bracketed.includes(':') ? bracketed : undefined
  return quoted ?? bare
}

/** A quotation that does not end makes the rest of the text, and so the nearest hop, one unreadable part. */
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

/** Spaces and tabs may stand around an element (RFC 9110 5.6.3). `trim` would take off a no-break space or a BOM too. */
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
