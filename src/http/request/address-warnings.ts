import {
  isLocal,
  isLoopback,
  type ClientAddress,
  type ClientAddressReader,
} from '../../match/client-address.ts'
import { parseIp, type IpAddress } from '../../match/ip.ts'
import { emitWarning } from '../../setup-warning.ts'
import type { GuardRequest } from '../handler.ts'

const WARNINGS = {
  PORTCULLIS_TRUST_PROXY_OFF: [
    'There seems to be a proxy that nobody has declared: a peer with a private address sent a forwarded header, but ' +
      '`trust proxy` is off and there is no `clientAddress` option. All its callers have the address of the peer.',
    'Set `trust proxy` to the subnets of your proxies, or name them in the `clientAddress` option.',
  ],
  PORTCULLIS_TRUST_PROXY_ALL: [
    '`trust proxy` is `true`: the client address is the leftmost of X-Forwarded-For, which any caller can write.',
    'Set `trust proxy` to the subnets of your proxies, or name them in the `clientAddress` option.',
  ],
  PORTCULLIS_TRUST_PROXY_TOO_MANY: [
    'More is trusted than the proxies in front: the client address was taken from a part of the forwarded header that the ' +
      'caller may have written.',
    'Trust the subnets of the proxies themselves, and no callers; a number of hops must be that of the shortest way in.',
  ],
  PORTCULLIS_TRUST_PROXY_TOO_FEW: [
    'There seems to be a proxy that is not trusted: the client address is a private one, for which the forwarded header ' +
      'names a public caller. All its callers have the address of the proxy.',
    'Trust the subnets of all your proxies, in `trust proxy` or in the `clientAddress` option.',
  ],
} as const

/** One for both builds of the package, so that a process is told once. */
interface Watch {
  /** How many more requests with a forwarded header are looked at. They show how a server is set up; later ones cost nothing. */
  looks: number
  readonly told: Set<keyof typeof WARNINGS>
}

const watch: Watch = ((globalThis as { [key: symbol]: unknown })[Symbol.for('portcullis.addressWarnings')] ??=
  {
    looks: 1000,
    told: new Set(),
  } satisfies Watch) as Watch

/** What a request shows of the way that it came. */
interface Picture {
  readonly client: IpAddress
  /** What the header names, from the nearest hop to the farthest. */
  readonly hops: readonly (string | undefined)[]
  /** Which of them was taken for the client, from 1; 0 is the peer of the socket. */
  readonly taken: number
  /** Whether the client would be believed as a proxy. */
  readonly trusted: boolean
}

/**
 * Warns, once per process for each code, when what is trusted does not fit the way that a request came. Decides nothing, and
 * no warning holds anything that a caller has sent.
 */
export function checkClientAddress(
  req: GuardRequest,
  headers: GuardRequest['headers'],
  client: ClientAddress,
  reader: ClientAddressReader | undefined,
  lines: readonly string[],
): void {
  if (watch.looks <= 0) return
  if (reader === undefined) {
    checkExpress(req, headers, client)
  } else if (lines.length > 0) {
    judge({
      client: client.address,
      hops: [...reader.hops(lines)],
      taken: client.hops,
      trusted: reader.trusts(client.address),
    })
  }
}

interface ExpressRequest {
  readonly app?: {
    readonly settings?: {
      readonly 'trust proxy'?: unknown
      readonly 'trust proxy fn'?: (address: string, index: number) => boolean
    }
  }
  /** The hops walked over and the client, the client first. */
  readonly ips?: readonly string[]
}

function checkExpress(
  req: GuardRequest,
  headers: GuardRequest['headers'],
  { address: client }: ClientAddress,
): void {
  const { app } = req as ExpressRequest
  // Another framework that sets `req.ip` finds it in a way that we do not know.
  if (app?.settings === undefined && 'ip' in req) return
  const trustProxy = app?.settings?.['trust proxy']
  if (trustProxy === true) return warn('PORTCULLIS_TRUST_PROXY_ALL')
  if (!isForwarded(headers)) return
  if (!trustProxy) {
    watch.looks -= 1
    if (isLocal(client)) warn('PORTCULLIS_TRUST_PROXY_OFF')
    return
  }
  const header = headers['x-forwarded-for']
  // Express finds it out at each look.
  const taken = (req as ExpressRequest).ips?.length ?? 0
  if (typeof header !== 'string') return
  judge({
    client,
    hops: header
      .split(',')
      .toReversed()
      .map((hop) => hop.trim())
      .filter((hop) => hop !== ''),
    taken,
    // A function of the application is not asked more than Express asks it.
    trusted:
      typeof trustProxy !== 'function' && app?.settings?.['trust proxy fn']?.(client.text, taken) === true,
  })
}

/** Written out, because requests without these headers are asked as long as the server runs. */
function isForwarded(headers: GuardRequest['headers']): boolean {
  return (
    headers['x-forwarded-for'] !== undefined ||
    headers.forwarded !== undefined ||
    headers['x-real-ip'] !== undefined ||
    headers['cf-connecting-ip'] !== undefined ||
    headers['true-client-ip'] !== undefined ||
    headers['fly-client-ip'] !== undefined
  )
}

function judge({ client, hops, taken, trusted }: Picture): void {
  watch.looks -= 1
  const local = isLocal(client)
  // A caller that is trusted can name another address to the left of its own. This machine can do that anyway.
  const believed = taken > 0 && trusted && !isLoopback(client)
  // Nobody reaches a public proxy from a private address.
  const invented = local && hops.slice(0, taken).some(isPublic)
  if (believed || invented) warn('PORTCULLIS_TRUST_PROXY_TOO_MANY')
  else if (local && hops.some(isPublic)) warn('PORTCULLIS_TRUST_PROXY_TOO_FEW')
}

function isPublic(hop: string | undefined): boolean {
  const address = hop === undefined ? undefined : parseIp(hop)
  return address !== undefined && !isLocal(address)
}

function warn(code: keyof typeof WARNINGS): void {
  if (watch.told.has(code)) return
  watch.told.add(code)
  emitWarning(code, WARNINGS[code])
}
