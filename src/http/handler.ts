import type { IncomingMessage, ServerResponse } from 'node:http'
import type { PortcullisContext } from './portcullis.ts'

declare global {
  // The namespace that the Express typings leave open for middleware.
  namespace Express {
    interface Request {
      /** What Portcullis knows of this request. Present behind any guard. */
      portcullis: PortcullisContext
    }
  }
}

/**
 * Any connect-style request. It takes part in `Express.Request`, so that what other middleware adds there (`user`,
 * `session`) is typed in options such as `country`.
 */
export interface GuardRequest extends IncomingMessage, Partial<Omit<Express.Request, 'portcullis'>> {
  portcullis?: PortcullisContext
  readonly originalUrl?: string
  readonly baseUrl?: string
  readonly ip?: string | undefined
  readonly protocol?: string
  // oxlint-disable-next-line typescript/no-explicit-any -- what body parsers leave here has no type
  body?: any
  // oxlint-disable-next-line typescript/no-explicit-any -- nor has what a query parser makes
  readonly query?: any
  // oxlint-disable-next-line typescript/no-explicit-any -- nor what a router puts here
  readonly params?: any
}

export type GuardResponse = ServerResponse

export type NextFunction = (error?: unknown) => void

/**
 * A middleware for Express 4 and 5 and anything connect-style. It never returns a promise, and throws nothing but a
 * `UsageError` where it is called with something else.
 */
export type RequestHandler = (req: GuardRequest, res: GuardResponse, next: NextFunction) => void

/**
 * A function that an integrator hands in. Its parameters are bivariant, so that it may be written for `express.Request`
 * where we pass any connect-style request.
 */
export type Callback<Parameters extends readonly unknown[], Result> = {
  bivariant(...given: Parameters): Result
}['bivariant']
