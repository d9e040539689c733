import { parsePeer, type ClientAddress } from '../../match/client-address.ts'
import { parseIp } from '../../match/ip.ts'
import type { GuardRequest } from '../handler.ts'

/** What of an Express application says how `req.ip` is found. */
export interface AddressSettings {
  readonly 'trust proxy'?: unknown
  readonly 'trust proxy fn'?: (address: string, index: number) => boolean
}

/** What the requests of an Express application inherit from. */
interface RequestPrototype {
  readonly app?: { readonly settings?: AddressSettings; readonly request?: object }
}

/** What is read of a request to find the usual address, at one look: looking at a request of Express is dear. */
export interface AddressLook {
  /** `undefined` where no Express application handles the request. */
  readonly settings: AddressSettings | undefined
  /** Whether something says what `req.ip` is. */
  readonly hasIp: boolean
  /**
   * Whether `req.ip` is the peer: this is a request of Express as it comes, with `trust proxy` off. Where a program has replaced
   * what `req.ip` asks, or `req.ip` itself, the guard takes what handlers see.
   */
  readonly isPeer: boolean
}

export function lookForAddress(req: GuardRequest): AddressLook {
  const prototype = (Object.getPrototypeOf(req) ?? {}) as RequestPrototype
  const { app } = prototype
  const own = Object.hasOwn(req, 'ip')
  const isPeer =
    !own &&
    app?.settings?.['trust proxy'] === false &&
    app.request === prototype &&
    isTrustNone(app.settings['trust proxy fn']) &&
    hasOwnGetter(prototype)
  return { settings: app?.settings, hasIp: own || 'ip' in prototype, isPeer }
}

/**
 * The client address where no option says how to find it: what Express finds by its setting `trust proxy`, and without
 * Express the peer. Where `trust proxy` is off Express would find the peer too, and is not asked.
 */
export function usualAddress(
  req: GuardRequest,
  { peer, headersComplete }: { readonly peer: string | undefined; readonly headersComplete: boolean },
  { hasIp, isPeer }: AddressLook,
): ClientAddress | undefined {
  const text: unknown = hasIp && !(headersComplete && isPeer) ? req.ip : peer
  if (typeof text !== 'string' || (hasIp && !headersComplete)) return undefined
  const address = text === peer ? parsePeer(text) : parseIp(text)
  return address && { address, source: hasIp ? 'req.ip' : 'socket', hops: 0 }
}

/**
 * Whether this is what Express compiles of `trust proxy: false`: a function of the package proxy-addr. Where a bundler has
 * renamed it, `req.ip` is asked, which costs more and says the same.
 */
function isTrustNone(compiled: unknown): boolean {
  return typeof compiled === 'function' && compiled.name === 'trustNone'
}

/** The prototypes of requests whose `ip` is the getter of Express. Asked once for each, for that is slow. */
const withGetter = new WeakMap<object, boolean>()

function hasOwnGetter(prototype: object): boolean {
  const known = withGetter.get(prototype)
  if (known !== undefined) return known
  let owner: object | null = prototype
  while (owner !== null && !Object.hasOwn(owner, 'ip')) owner = Object.getPrototypeOf(owner) as object | null
  const getter = owner === null ? undefined : Object.getOwnPropertyDescriptor(owner, 'ip')?.get
  const isExpress = getter !== undefined && String(getter).includes('trust proxy fn')
  withGetter.set(prototype, isExpress)
  return isExpress
}
