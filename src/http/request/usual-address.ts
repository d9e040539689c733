import { parsePeer, type ClientAddress } from '../../match/client-address.ts'
import { parseIp } from '../../match/ip.ts'
import type { GuardRequest } from '../handler.ts'
import type { AddressFacts } from './client-address.ts'

/**
 * The client address where no option says how to find it: what Express finds by its setting `trust proxy`, and without
 * Express the peer. Where `trust proxy` is off Express would find the peer too, and is not asked: looking at `req.ip` is dear.
 */
export function usualAddress(
  req: GuardRequest,
  { peer, headersComplete }: Pick<AddressFacts, 'peer' | 'headersComplete'>,
): ClientAddress | undefined {
  const express = 'ip' in req
  const text: unknown = express && !(headersComplete && trustsNobody(req)) ? req.ip : peer
  if (typeof text !== 'string' || (express && !headersComplete)) return undefined
  const address = text === peer ? parsePeer(text) : parseIp(text)
  return address && { address, source: express ? 'req.ip' : 'socket', hops: 0 }
}

interface ExpressApp {
  readonly settings?: { readonly 'trust proxy'?: unknown; readonly 'trust proxy fn'?: unknown }
  /** The prototype of its requests. */
  readonly request?: object
}

/**
 * Whether this is a request of Express as it comes, with `trust proxy` off. Where a program has replaced what `req.ip` asks, or
 * `req.ip` itself, the guard takes what handlers see.
 */
function trustsNobody(req: GuardRequest): boolean {
  const { app } = req as { app?: ExpressApp }
  return (
    app?.settings?.['trust proxy'] === false &&
    app.request !== undefined &&
    Object.getPrototypeOf(req) === app.request &&
    !Object.hasOwn(req, 'ip') &&
    isTrustNone(app.settings['trust proxy fn']) &&
    hasOwnGetter(app.request)
  )
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
