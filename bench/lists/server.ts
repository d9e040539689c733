/** A server that admits addresses by a named list in Redis. Arguments: the URL of Redis and the app id. */
import express, { type RequestHandler } from 'express'
import { Redis } from 'ioredis'
import { createPolicySource, ipWhitelist } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { watchPauses, type Pauses } from './pauses.ts'

export interface Report extends Pauses {
  readonly listBytes: number
}

const [url = '', appId = ''] = process.argv.slice(2)
const policies = createPolicySource({ store: redisStore(new Redis(url)) })
const app = express().set('trust proxy', 'loopback')
app.use(ipWhitelist({ policies, appId: () => appId }) as RequestHandler)
app.get('/', (_req, res) => void res.json({ hello: 'world' }))

const pauses = watchPauses()
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.(typeof address === 'object' ? address?.port : undefined)
})
// Keep idle connections open, so that a delayed caller does not send on a connection that is being closed.
server.keepAliveTimeout = 60_000
process.on('message', (message) => {
  if (message === 'begin') pauses.begin()
  else if (message === 'end') {
    const report: Report = { ...pauses.end(), listBytes: policies.status().listBytes }
    process.send?.(report)
  } else process.exit(0)
})
process.on('disconnect', () => process.exit(0))
