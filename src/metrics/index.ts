export { createMetrics, type Metrics, type MetricsOptions } from './metrics.ts'
export { createReadiness, type Readiness, type ReadinessOptions, type ReadinessProbe } from './readiness.ts'
