import cluster from 'node:cluster'
import { warnOfSetup } from './setup-warning.ts'

/**
 * Warns in production if this process is one of several. Call it where state is kept in the memory of one process. It recognises
 * workers of `node:cluster` and instances of pm2, apart from the first, which cannot know whether there are others.
 */
export function checkOneProcess(): void {
  if (process.env['NODE_ENV'] !== 'production') return
  const instance = process.env['NODE_APP_INSTANCE']
  const isOneOfSeveral =
    instance === undefined ? cluster.isWorker && (cluster.worker?.id ?? 1) > 1 : Number(instance) > 0
  if (isOneOfSeveral) warnOfSetup('PORTCULLIS_MEMORY_WITH_PROCESSES')
}
