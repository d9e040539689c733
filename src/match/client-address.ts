import { ConfigError } from '../errors.ts'
import { checkOptions, required } from '../options.ts'
import { createIpSet, type IpSet } from './ip-set.ts'
import { parseIp, parseIpRange, type IpAddress, type IpRange } from './ip.ts'

/** Who calls, and how we know. */
export interface ClientAddress {
  readonly address: IpAddress
  /** `socket`, `req.ip`, or the header that named the address. */
  readonly source: string
  /** How many proxies were walked over. */
  readonly hops: number
}

const LIST_HEADERS = ['x-forwarded-for', 'forwarded'] as const
const SINGLE_HEADERS = ['cf-connecting-ip', 'x-real-ip', 'true-client-ip'] as const
const HEADERS: readonly string[] = [...LIST_HEADERS, ...SINGLE_HEADERS]

export interface ClientAddressOptions {
  /** The proxies in front, as addresses and CIDR ranges. Only what they say is believed. */
  readonly trustedProxies: readonly string[]
  /** The one header that they write. */
  readonly header: (typeof LIST_HEADERS)[number] | (typeof SINGLE_HEADERS)[number]
}

/** Finds the client from the peer of the socket and the lines of the chosen header. */
export type FindClientAddress = (
  peer: string | undefined,
  headerLines: readonly string[],
) => ClientAddress | undefined

/**
 * Makes the function that says who calls. It walks from the socket outwards, right to left through the header, for as long
 * as the hop is trusted; the first that is not is the client. Nothing is guessed: a trusted hop that names nobody, or
 * something that is no address, gives `undefined`.
 *
 * @throws ConfigError naming the option below `name`.
 */
export function compileClientAddress(option: unknown, name: string): FindClientAddress {
  checkOptions(name, option, {
    trustedProxies: required({ expected: 'an array of addresses and CIDR ranges', accepts: Array.isArray }),
    header: required({
      expected: `one of ${HEADERS.join(', ')}`,
      accepts: (value) => typeof value === 'string' && HEADERS.includes(value),
    }),
  })
  const { trustedProxies, header } = option as ClientAddressOptions
  const trusted = createIpSet(
    trustedProxies.map((text, index) => parseProxy(text, `${name}.trustedProxies[${index}]`)),
  )
  const single = !(LIST_HEADERS as readonly string[]).includes(header)
  return (peer, headerLines) => {
    const address = peer === undefined ? undefined : parseIp(peer)
    if (address === undefined) return undefined
    if (!trusted.contains(address)) return { address, source: 'socket', hops: 0 }
    if (single) return readSingle(headerLines, header)
    return walk(
      header === 'forwarded' ? forwardedHops(headerLines) : listedHops(headerLines),
      trusted,
      header,
    )
  }
}

function parseProxy(text: unknown, name: string): IpRange {
  const range = typeof text === 'string' ? parseIpRange(text) : { problem: 'is not a text' }
  if (!('problem' in range)) return range
  const form = range.corrected === undefined ? '' : ` (write \`${range.corrected}\`)`
  throw new ConfigError(name, `an address or a CIDR range in canonical spelling${form}`, text)
}

function readSingle(lines: readonly string[], header: string): ClientAddress | undefined {
  const address = lines.length === 1 ? parseIp((lines[0] as string).trim()) : undefined
  return address && { address, source: header, hops: 1 }
}

/** The hops are given from the nearest to the farthest; `undefined` is one that names no address. */
function walk(hops: Iterable<string | undefined>, trusted: IpSet, header: string): ClientAddress | undefined {
  let client: ClientAddress | undefined
  let count = 0
  for (const hop of hops) {
    const address = hop === undefined ? undefined : parseIp(hop)
    if (address === undefined) return undefined
    count += 1
    client = { address, source: header, hops: count }
    if (!trusted.contains(address)) return client
  }
  return client
}

function* listedHops(lines: readonly string[]): Generator<string> {
  for (const hop of lines.join(',').split(',').reverse()) yield hop.trim()
}

/** The `for` of each element of RFC 7239, without quotation marks, brackets and port. */
function* forwardedHops(lines: readonly string[]): Generator<string | undefined> {
  const elements = splitOutsideQuotes(lines.join(','), ',')
  if (elements === undefined) {
    yield undefined
    return
  }
  for (const element of elements.reverse()) {
    const pairs = splitOutsideQuotes(element, ';') ?? []
    const nodes = pairs
      .map((pair) => /^\s*for=(.*?)\s*$/i.exec(pair)?.[1])
      .filter((node) => node !== undefined)
    yield nodes.length === 1 ? nodeAddress(nodes[0] as string) : undefined
  }
}

function splitOutsideQuotes(text: string, separator: string): string[] | undefined {
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
  if (quoted) return undefined
  parts.push(text.slice(start))
  return parts
}

const PORT = ':(?:[0-9]{1,5}|_[A-Za-z0-9._-]+)'
const NODE = new RegExp(`^(?:"\\[([0-9A-Fa-f:.]+)\\](?:${PORT})?"|"([0-9.]+)(?:${PORT})?"|([0-9.]+))$`)

function nodeAddress(node: string): string | undefined {
  const found = NODE.exec(node)
  if (found === null) return undefined
  // Brackets hold IPv6 only.
  if (found[1] !== undefined) return found[1].includes(':') ? found[1] : undefined
  return found[2] ?? found[3]
}
