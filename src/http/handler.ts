import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PortcullisContext } from './portcullis.ts'

declare global {
  // The namespace that the Express types provide for middleware.
  namespace Express {
    interface Request {
      /** What Portcullis knows about this request. Present after any guard. */
      portcullis: PortcullisContext
    }
  }
}

/**
 * Any connect-style request. It includes `Express.Request`: members that other middleware declares there (`user`, `session`) are
 * typed in options such as `country`.
 */
export interface GuardRequest extends IncomingMessage, Partial<Omit<Express.Request, 'portcullis'>> {
  portcullis?: PortcullisContext
  readonly originalUrl?: string
  readonly baseUrl?: string
  readonly ip?: string | undefined
  readonly protocol?: string
  // oxlint-disable-next-line typescript/no-explicit-any -- the result of a body parser has no type
  body?: any
  // oxlint-disable-next-line typescript/no-explicit-any -- the result of a query parser has no type
  readonly query?: any
  // oxlint-disable-next-line typescript/no-explicit-any -- the parameters of a router have no type
  readonly params?: any
}

export type GuardResponse = ServerResponse

export type NextFunction = (error?: unknown) => void

/**
 * A middleware for Express 4 and 5 and any connect-style server. It never returns a promise. It throws only a `UsageError`, if it
 * is called with something other than a request, a response and `next`.
 */
export type RequestHandler = (req: GuardRequest, res: GuardResponse, next: NextFunction) => void

/**
 * A function that an integrator passes. Its parameters are bivariant: it may be written for `express.Request`, although it
 * receives any connect-style request.
 */
export type Callback<Parameters extends readonly unknown[], Result> = {
  bivariant(...given: Parameters): Result
}['bivariant']
