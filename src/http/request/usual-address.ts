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

/** Whether this is a request of Express as it comes, with `trust proxy` off. */
function trustsNobody(req: GuardRequest): boolean {
  const { app } = req as { app?: { settings?: { 'trust proxy'?: unknown }; request?: object } }
  return (
    app?.settings?.['trust proxy'] === false &&
    app.request !== undefined &&
    Object.getPrototypeOf(req) === app.request &&
    !Object.hasOwn(req, 'ip') &&
    !Object.hasOwn(app.request, 'ip')
  )
}
