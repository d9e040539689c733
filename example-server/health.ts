import { Router } from 'express'
import type { Metrics, ReadinessProbe } from 'portcullis/metrics'
import { hasToken } from './operator.ts'

/** Where balancers and Prometheus ask. In production these alone are answered over plain HTTP, inside of the network. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz', '/metrics'])

export interface HealthParts {
  readonly metrics: Metrics
  readonly readiness: ReadinessProbe
  /** What Prometheus must show; without it there are no figures. */
  readonly token: string | undefined
}

/** Whether the process is alive, whether it can judge requests, and the figures. */
export function createHealth({ metrics, readiness, token }: HealthParts): Router {
  const router = Router()
  router.get(['/livez', '/healthz'], (_req, res) => void res.json({ status: 'ok' }))
  router.get('/readyz', async (_req, res) => {
    const { ready } = await readiness.check()
    // Why it is not ready is for operators: the figures tell it.
    res.status(ready ? 200 : 503).json({ ready })
  })
  if (token === undefined) return router
  router.get('/metrics', (req, res) => {
    if (!hasToken(req, token)) res.status(401).set('WWW-Authenticate', 'Bearer').end()
    else res.set('Content-Type', metrics.contentType).send(metrics.text())
  })
  return router
}
