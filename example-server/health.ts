import { Router } from 'express'
import type { Metrics, ReadinessProbe } from 'portcullis/metrics'
import { hasToken } from './operator.ts'
import type { Homes } from './homes.ts'

/** The paths for load balancers and Prometheus. In production, the server answers only these over plain HTTP. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz', '/metrics'])

export interface HealthParts {
  readonly metrics: Metrics
  readonly readiness: ReadinessProbe
  readonly homes: Pick<Homes, 'locations'>
  /** The bearer token of Prometheus. Without it, /metrics is not available. */
  readonly token: string | undefined
}

/** Serves liveness, readiness and metrics. */
export function createHealth({ metrics, readiness, homes, token }: HealthParts): Router {
  const router = Router()
  router.get(['/livez', '/healthz'], (_req, res) => void res.json({ status: 'ok' }))
  router.get('/readyz', async (_req, res) => {
    const [{ ready }, locations] = await Promise.all([readiness.check(), homes.locations()])
    const away = locations.filter(({ condition }) => condition !== 'current').map(({ location }) => location)
    // The answer does not say why the process is not ready, because only operators may know: the metrics say it. While
    // one location is unreachable, the process stays ready, because other locations have the same people.
    res.status(ready ? 200 : 503).json(away.length === 0 ? { ready } : { ready, away })
  })
  if (token === undefined) return router
  router.get('/metrics', async (req, res) => {
    if (!hasToken(req, token)) res.status(401).set('WWW-Authenticate', 'Bearer').end()
    else {
      // The metrics have the state of the locations at their last check.
      await homes.locations()
      res.set('Content-Type', metrics.contentType).send(metrics.text())
    }
  })
  return router
}
