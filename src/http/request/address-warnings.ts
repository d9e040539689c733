import {
  isLocal,
  isLoopback,
  type ClientAddress,
  type ClientAddressReader,
} from '../../match/client-address.ts'
import { parseIp, type IpAddress } from '../../match/ip.ts'
import { emitWarning } from '../../setup-warning.ts'
import type { GuardRequest } from '../handler.ts'
import type { HeaderLines } from './headers.ts'
import type { AddressLook } from './usual-address.ts'

const WARNINGS = {
  PORTCULLIS_TRUST_PROXY_OFF: [
    'There seems to be an undeclared proxy: a peer with a private address sent a forwarded header, but ' +
      '`trust proxy` is off and there is no `clientAddress` option. All callers behind it appear to have its address.',
    'Set `trust proxy` to the subnets of your proxies, or name them in the `clientAddress` option.',
  ],
  PORTCULLIS_TRUST_PROXY_ALL: [
    '`trust proxy` is `true`: the client address is the leftmost address in X-Forwarded-For, which any caller can write.',
    'Set `trust proxy` to the subnets of your proxies, or name them in the `clientAddress` option.',
  ],
  PORTCULLIS_TRUST_PROXY_TOO_MANY: [
    'Too many proxies are trusted: the client address was taken from a part of the forwarded header that the ' +
      'caller may have written.',
    'Trust only the subnets of your proxies, not those of callers. A number of hops must be that of the shortest route.',
  ],
  PORTCULLIS_TRUST_PROXY_TOO_FEW: [
    'There seems to be an untrusted proxy: the client address is private, but the forwarded header ' +
      'names a public caller. All callers behind the proxy appear to have its address.',
    'Trust the subnets of all your proxies.',
  ],
} as const

const IN_OPTION = 'Add the subnets of all your proxies to `clientAddress.trustedProxies`.'
const IN_EXPRESS = 'Set `trust proxy` to the subnets of all your proxies.'

/** Shared by both builds of the package, so each warning appears once per process. */
interface Watch {
  /** How many more requests with a forwarded header are checked. They show how the server is set up; later ones cost nothing. */
  looks: number
  readonly told: Set<keyof typeof WARNINGS>
}

const watch: Watch = ((globalThis as { [key: symbol]: unknown })[Symbol.for('portcullis.addressWarnings')] ??=
  {
    looks: 1000,
    told: new Set(),
  } satisfies Watch) as Watch

/** What a request shows about its route. */
interface Picture {
  readonly client: IpAddress
  /** The addresses in the header, from the nearest hop to the farthest. */
  readonly hops: readonly (string | undefined)[]
  /** Which of them is taken as the client, counted from 1; 0 is the peer of the socket. */
  readonly taken: number
  /** Whether the `clientAddress` option says which proxies are trusted, and not Express. */
  readonly byOption: boolean
  /** Whether the client would be trusted as a proxy. */
  readonly trusted: boolean
}

/**
 * Warns, once per process for each code, if the trusted proxies do not match the route of a request. Decides nothing. No warning
 * contains anything sent by a caller.
 */
export function checkClientAddress(
  client: ClientAddress,
  reader: ClientAddressReader,
  lines: readonly string[],
): void {
  if (watch.looks <= 0 || lines.length === 0) return
  judge({
    client: client.address,
    hops: [...reader.hops(lines)],
    byOption: true,
    taken: client.hops,
    trusted: reader.trusts(client.address),
  })
}

interface ExpressRequest {
  /** The client, followed by the trusted hops. */
  readonly ips?: readonly string[]
}

/** Like {@link checkClientAddress}, if no option says how to find the client. */
export function checkUsualAddress(
  req: GuardRequest,
  { settings, hasIp }: AddressLook,
  { address: client }: ClientAddress,
  lines: HeaderLines,
): void {
  if (watch.looks <= 0) return
  // How another framework determines `req.ip` is unknown.
  if (settings === undefined && hasIp) return
  const trustProxy = settings?.['trust proxy']
  if (trustProxy === true) return warn('PORTCULLIS_TRUST_PROXY_ALL')
  // Requests without these headers are checked for as long as the server runs, because they use up no look.
  if (!lines.hasOneOf(FORWARDED)) return
  if (!trustProxy) {
    watch.looks -= 1
    if (isLocal(client)) warn('PORTCULLIS_TRUST_PROXY_OFF')
    return
  }
  const header = req.headers['x-forwarded-for']
  // Express computes `ips` at each access.
  const taken = (req as ExpressRequest).ips?.length ?? 0
  if (typeof header !== 'string') return
  judge({
    client,
    hops: header
      .split(',')
      .toReversed()
      .map((hop) => hop.trim())
      .filter((hop) => hop !== ''),
    byOption: false,
    taken,
    // A function of the application is not called more often than Express calls it.
    trusted: typeof trustProxy !== 'function' && settings?.['trust proxy fn']?.(client.text, taken) === true,
  })
}

const FORWARDED = [
  'x-forwarded-for',
  'forwarded',
  'x-real-ip',
  'cf-connecting-ip',
  'true-client-ip',
  'fly-client-ip',
] as const

function judge({ client, hops, taken, byOption, trusted }: Picture): void {
  watch.looks -= 1
  const local = isLocal(client)
  // A trusted caller can write another address to the left of its own. This machine can do that anyway.
  const believed = taken > 0 && trusted && !isLoopback(client)
  // A private address cannot reach a public proxy.
  const invented = local && hops.slice(0, taken).some(isPublic)
  if (believed || invented) warn('PORTCULLIS_TRUST_PROXY_TOO_MANY')
  else if (local && hops.some(isPublic))
    warn('PORTCULLIS_TRUST_PROXY_TOO_FEW', byOption ? IN_OPTION : IN_EXPRESS)
}

function isPublic(hop: string | undefined): boolean {
  const address = hop === undefined ? undefined : parseIp(hop)
  return address !== undefined && !isLocal(address)
}

function warn(code: keyof typeof WARNINGS, advice: string = WARNINGS[code][1]): void {
  if (watch.told.has(code)) return
  watch.told.add(code)
  emitWarning(code, [WARNINGS[code][0], advice])
}
