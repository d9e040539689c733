import { parsePeer, type ClientAddress } from '../../match/client-address.ts'
import { parseIp } from '../../match/ip.ts'
import type { GuardRequest } from '../handler.ts'

/** The settings of an Express application that determine `req.ip`. */
export interface AddressSettings {
  readonly 'trust proxy'?: unknown
  readonly 'trust proxy fn'?: (address: string, index: number) => boolean
}

/** The prototype of the requests of an Express application. */
interface RequestPrototype {
  readonly app?: { readonly settings?: AddressSettings; readonly request?: object }
}

/**
 * The properties of a request that determine its usual address. They are read together, because property access on a request of
 * Express is slow.
 */
export interface AddressLook {
  /** `undefined` if no Express application handles the request. */
  readonly settings: AddressSettings | undefined
  /** Whether the request has a property `ip`. */
  readonly hasIp: boolean
  /**
   * Whether `req.ip` is the peer: this is an unmodified request of Express, with `trust proxy` off. If a program has replaced
   * `req.ip`, or the functions that it calls, the guard takes the address that handlers see.
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
 * The client address if no option says how to find it: the address that Express finds by its setting `trust proxy`, or without
 * Express the peer. If `trust proxy` is off, Express would find the peer too, and is not called.
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
 * Whether this is the function to which Express compiles `trust proxy: false`, from the package proxy-addr. If a bundler has
 * renamed it, `req.ip` is read, which is slower and gives the same address.
 */
function isTrustNone(compiled: unknown): boolean {
  return typeof compiled === 'function' && compiled.name === 'trustNone'
}

/** Whether the `ip` of a request prototype is the getter of Express. Cached, because the check is slow. */
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
