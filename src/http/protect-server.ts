import { ConfigError } from '../errors.ts'
import type { AuditAccessHandler } from './audit-access.ts'
import type { Callback, GuardRequest, GuardResponse, RequestHandler } from './handler.ts'
import type { ProtectOptions } from './guards.ts'
import { checkProtectOptions, protectChain } from './protect.ts'
import { needsRouter } from './request/app-id.ts'
import { sendError } from './response/plain-error.ts'

/** Handles the admitted requests: an Express app, or any other request listener. */
export type ProtectedApp = Callback<[req: GuardRequest, res: GuardResponse], unknown>

/** A request listener for `http.createServer`, `https.createServer` and `http2.createServer`. */
export interface ProtectedServer extends Omit<AuditAccessHandler, keyof RequestHandler> {
  (req: GuardRequest, res: GuardResponse): void
  /**
   * The listener for the event `checkContinue` of a server. A caller that sends `Expect: 100-continue` gets `100 Continue` only
   * after the guards that need no body have admitted the request. Without this listener Node sends it before any guard runs.
   */
  readonly checkContinue: (req: GuardRequest, res: GuardResponse) => void
}

/**
 * `protect()` in front of an app instead of inside it: `createServer(protectServer(app, { … }))`. The guards judge the plain
 * request of Node, and a refused request never reaches Express, which would cause most of the cost of a refusal.
 *
 * The options are those of `protect()`. They are called before any middleware of the app: there is no `req.params`, no session
 * and no user, and `onDeny` receives the response of Node. The client address is that of the connection, unless `clientAddress`
 * says otherwise; `trust proxy` of Express has no effect here. Guards inside the app share what is known about the request.
 *
 * JSON and forms are parsed into `req.body`, and the parsers of Express leave them there. If a body cannot be parsed, the
 * response is a problem document with the status of the error.
 *
 * @throws ConfigError also for `appIdFrom({ param })`, which needs a router
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
