import cluster from 'node:cluster'
import { warnOfSetup } from './setup-warning.ts'

/**
 * Warns in production when something that is kept in the memory of one process is used by one of several: a worker of
 * `node:cluster` after the first, or an instance of pm2 after the first. The first cannot know whether there are others.
 */
export function checkOneProcess(): void {
  if (process.env['NODE_ENV'] !== 'production') return
  const instance = process.env['NODE_APP_INSTANCE']
  const isOneOfSeveral =
    instance === undefined ? cluster.isWorker && (cluster.worker?.id ?? 1) > 1 : Number(instance) > 0
  if (isOneOfSeveral) warnOfSetup('PORTCULLIS_MEMORY_WITH_PROCESSES')
}
