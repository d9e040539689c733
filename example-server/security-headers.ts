import type { RequestHandler } from 'express'
import helmet from 'helmet'
import { HEALTH_PATHS } from './health.ts'
import { sendProblem } from './problems.ts'

/**
 * The security headers of every response. `peers`: origins of the other instances, to which pages send forms and
 * requests.
 */
export function securityHeaders(peers: () => readonly string[]): RequestHandler[] {
  return [
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: {
          defaultSrc: ["'none'"],
          styleSrc: ["'self'"],
          scriptSrc: ["'self'"],
          connectSrc: ["'self'", () => peers().join(' ')],
          imgSrc: ['data:'],
          baseUri: ["'none'"],
          frameAncestors: ["'none'"],
          formAction: ["'self'", () => peers().join(' ')],
        },
      },
      strictTransportSecurity: { maxAge: 63_072_000, includeSubDomains: true, preload: true },
      referrerPolicy: { policy: 'same-origin' },
      xFrameOptions: { action: 'deny' },
    }),
    (_req, res, next) => {
      res.set('Cache-Control', 'no-store')
      next()
    },
  ]
}

/** For production: refuses plain HTTP, except on the paths for load balancers and Prometheus. */
export const httpsOnly: RequestHandler = (req, res, next) => {
  if (!req.secure && !HEALTH_PATHS.has(req.path)) sendProblem(req, res, 'HTTPS_REQUIRED')
  else next()
}

/**
 * Adds the app's return URL to `form-action` when the page is sent, because it is not known when helmet writes the
 * header.
 */
export const letFormsLeadBack: RequestHandler = (_req, res, next) => {
  const send = res.send.bind(res)
  res.send = (body: unknown) => {
    const target: unknown = res.locals['formTarget']
    const policy = res.getHeader('Content-Security-Policy')
    if (typeof target === 'string' && typeof policy === 'string') {
      res.set('Content-Security-Policy', policy.replace("form-action 'self'", `form-action 'self' ${target}`))
    }
    return send(body)
  }
  next()
}
