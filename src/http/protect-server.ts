import { ConfigError } from '../errors.ts'
import type { AuditAccessHandler } from './audit-access.ts'
import type { Callback, GuardRequest, GuardResponse, RequestHandler } from './handler.ts'
import type { ProtectOptions } from './guards.ts'
import { checkProtectOptions, protectChain } from './protect.ts'
import { needsRouter } from './request/app-id.ts'
import { sendError } from './response/plain-error.ts'

/** Serves the requests that pass: an Express app, or any other request listener. */
export type ProtectedApp = Callback<[req: GuardRequest, res: GuardResponse], unknown>

/** A request listener for `http.createServer`, `https.createServer` and `http2.createServer`. */
export interface ProtectedServer extends Omit<AuditAccessHandler, keyof RequestHandler> {
  (req: GuardRequest, res: GuardResponse): void
  /**
   * The same for the event `checkContinue` of a server: callers that send `Expect: 100-continue` are asked for their body
   * only once the guards that need none have let them pass. Without it Node asks for the body ahead of all guards.
   */
  readonly checkContinue: (req: GuardRequest, res: GuardResponse) => void
}

/**
 * `protect()` in front of an app, and not inside of it: the guards judge the bare request of Node, and what they refuse never
 * reaches Express, which is most of what a refusal costs. `createServer(protectServer(app, { … }))`.
 *
 * The options are those of `protect()`. They are asked before any middleware of the app: there is no `req.params`, no
 * session and no user, and `onDeny` gets the response of Node. The client address is that of the connection, unless
 * `clientAddress` says otherwise: `trust proxy` of Express does not count here. Guards inside of the app share what is known
 * of the request.
 *
 * JSON and forms are parsed into `req.body`, where the parsers of Express leave them. An error of a body is answered with
 * its status as a problem document.
 *
 * @throws ConfigError also for `appIdFrom({ param })`, which needs a router.
 */
export function protectServer(app: ProtectedApp, options: ProtectOptions): ProtectedServer {
  if (typeof app !== 'function')
    throw new ConfigError('protectServer app', 'an Express app or a request listener', app)
  const settings = checkProtectOptions('protectServer', options)
  if (settings.appId !== undefined && needsRouter(settings.appId)) {
    const expected = 'a reader that needs no router: `header`, `query` or `keyId` of appIdFrom()'
    throw new ConfigError('protectServer.appId', expected, 'appIdFrom({ param })')
  }
  const expecting = new WeakSet<GuardRequest>()
  const askForBody: RequestHandler = (req, res, next) => {
    if (expecting.delete(req)) res.writeContinue()
    next()
  }
  const guards = protectChain('protectServer', settings, [askForBody])
  const serve = (req: GuardRequest, res: GuardResponse): void =>
    guards(req, res, (error) => {
      if (error === undefined) app(req, res)
      else sendError(res, error)
    })
  return Object.assign(serve, {
    checkContinue(req: GuardRequest, res: GuardResponse): void {
      expecting.add(req)
      serve(req, res)
    },
    rows: guards.rows,
    current: guards.current,
    run: guards.run,
    flush: guards.flush,
    close: guards.close,
  })
}
