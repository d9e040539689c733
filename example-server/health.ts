import { Router } from 'express'
import type { Metrics, ReadinessProbe } from 'portcullis/metrics'
import { hasToken } from './operator.ts'
import type { LocationStatus } from 'portcullis/region'
import type { Homes } from './homes.ts'

/** Where balancers and Prometheus ask. In production these alone are answered over plain HTTP, inside of the network. */
export const HEALTH_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/healthz', '/metrics'])

export interface HealthParts {
  readonly metrics: Metrics
  readonly readiness: ReadinessProbe
  readonly homes: Pick<Homes, 'locations'>
  /** What Prometheus must show; without it there are no figures. */
  readonly token: string | undefined
}

/** Whether the process is alive, whether it can judge requests, and the figures. */
export function createHealth({ metrics, readiness, homes, token }: HealthParts): Router {
  const router = Router()
  router.get(['/livez', '/healthz'], (_req, res) => void res.json({ status: 'ok' }))
  router.get('/readyz', async (_req, res) => {
    const [{ ready }, locations] = await Promise.all([readiness.check(), homes.locations()])
    const away = locations.filter(({ condition }) => condition !== 'current').map(({ location }) => location)
    // Why it is not ready is for operators: the figures tell it. With a location away it is: others have the same people.
    res.status(ready ? 200 : 503).json(away.length === 0 ? { ready } : { ready, away })
  })
  if (token === undefined) return router
  router.get('/metrics', async (req, res) => {
    if (!hasToken(req, token)) res.status(401).set('WWW-Authenticate', 'Bearer').end()
    else
      res.set('Content-Type', metrics.contentType).send(metrics.text() + figuresOf(await homes.locations()))
  })
  return router
}

/** Whether the Redis of each location can be asked. */
function figuresOf(locations: readonly LocationStatus[]): string {
  if (locations.length === 0) return ''
  const lines = locations.map(
    ({ jurisdiction, location, condition }) =>
      `example_location_up{jurisdiction="${jurisdiction}",location="${location}"} ${condition === 'current' ? 1 : 0}`,
  )
  return [
    '# HELP example_location_up Whether the people stored at a location can be read there (1) or not (0).',
    '# TYPE example_location_up gauge',
    ...lines,
    '',
  ].join('\n')
}
