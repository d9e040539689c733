import type { RequestHandler } from 'express'
import helmet from 'helmet'
import { HEALTH_PATHS } from './health.ts'
import { sendProblem } from './problems.ts'

/** What goes with every response. `peers`: origins of the other instances, to which pages send forms and scripts ask. */
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

/** In production nothing is answered over plain HTTP but the questions of balancers and of Prometheus. */
export const httpsOnly: RequestHandler = (req, res, next) => {
  if (!req.secure && !HEALTH_PATHS.has(req.path)) sendProblem(req, res, 'HTTPS_REQUIRED')
  else next()
}

/** Adds the app's return URL to `form-action` once the page knows it: helmet has written the header before. */
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
