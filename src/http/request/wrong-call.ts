import { UsageError } from '../../errors.ts'
import type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from '../handler.ts'

/** The members by which the requests and responses of servers other than `node:http` are recognised. */
interface Foreign {
  readonly raw?: unknown
  readonly req?: unknown
  readonly res?: unknown
  readonly method?: unknown
  readonly headers?: { readonly get?: unknown }
}

interface Run {
  begin(req: GuardRequest, res: GuardResponse, next: NextFunction): void
}

/**
 * Creates a handler that checks whether it is called as connect-style middleware. It checks the response until one is a response
 * of Node.
 */
export function middleware(name: string, run: Run): RequestHandler {
  let isMounted = false
  const handler: RequestHandler = (req, res, next) => {
    if (typeof next !== 'function') throw wrongCall(name, req, res)
    if (!isMounted) {
      if (typeof (res as Partial<GuardResponse> | null)?.setHeader !== 'function')
        throw wrongCall(name, req, res)
      isMounted = true
    }
    run.begin(req, res, next)
  }
  Object.defineProperty(handler, 'name', { value: name })
  return handler
}

/** The error for a guard that was called with wrong arguments, with advice. The message contains nothing from the request. */
function wrongCall(name: string, req: unknown, res: unknown): UsageError {
  const [given, advice] = whatIs(req ?? {}, res ?? {})
  return new UsageError(
    `\`${name}\` was called with ${given}, but expects the request and the response of a Node server and a function: \`(req, res, next)\`. ${advice}`,
  )
}

function whatIs(req: Foreign, res: Foreign): readonly [given: string, advice: string] {
  if (isNodeResponse(res))
    return ['no function `next`', `Pass a function that continues, or mount the guard with \`app.use()\`.`]
  if (isFetchHeaders(req.headers) && req.raw === undefined) return ['a Fetch API `Request`', ON_FETCH]
  if (isObject(req.raw) && isObject(res.raw))
    return ['a Fastify request', 'Register `portcullisFastify` of `portcullis/fastify`.']
  if (
    isObject(req.req) &&
    isFetchHeaders((req.req as Foreign).headers ?? (req.req as { raw?: Foreign }).raw?.headers)
  )
    return ['a Hono context', 'Mount `portcullisHono` of `portcullis/hono`.']
  if (isObject(req.req) && isObject(req.res))
    return ['a Koa context', 'Call it with `ctx.req` and `ctx.res`: docs/placement.md shows how.']
  return ['something else', 'docs/placement.md shows how to mount guards in other frameworks.']
}

const ON_FETCH =
  'Guards need a Node server: docs/placement.md shows how to mount them in frameworks with such requests.'

function isNodeResponse(res: Foreign): boolean {
  return typeof (res as { setHeader?: unknown }).setHeader === 'function'
}

function isFetchHeaders(headers: unknown): boolean {
  return isObject(headers) && typeof (headers as { get?: unknown }).get === 'function'
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}
