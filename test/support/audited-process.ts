// An audited server for tests that kill it. Each answer reads one field of a person.
import { Redis } from 'ioredis'
import express from 'express'
import { auditAccess, createPolicySource, memoryStore } from '../../src/index.ts'
import { auditLog } from '../../src/audit/index.ts'
import { redisFrames } from '../../src/redis/index.ts'

const [redisUrl = '', spool = '', mode = 'spool', settlesAfter = '5000', maxBytes = '67108864'] =
  process.argv.slice(2)
const redis = new Redis(redisUrl, { retryStrategy: () => 30, disconnectTimeout: 50, maxRetriesPerRequest: 0 })
redis.on('error', () => undefined)
const sink = auditLog({
  store: redisFrames(redis, { settlesAfter: Number(settlesAfter) }),
  ...(mode === 'redis' ? {} : { spool: { directory: spool, maxBytes: Number(maxBytes) } }),
  mode: mode === 'redis' ? 'redis' : 'spool',
})
/** The number of events. */
let made = 0
const policies = createPolicySource({
  store: memoryStore([{ policy: { appId: 'a', auditAccess: { mode: 'enforce', onSinkFailure: 'deny' } } }]),
})
const app = express()
app.disable('x-powered-by')
app.use(
  auditAccess({
    policies,
    sink: {
      ...sink,
      write(events) {
        made += events.length
        return sink.write(events)
      },
    },
    appId: () => 'a',
    pseudonymKey: new Uint8Array(32),
    sinkTimeout: 1_000,
    requestId: (req) => String(req.headers['x-test-id']),
  }),
)
app.get('/me', (req, res) => {
  const person = req.portcullis.audit.person('p', { email: 'alice@example.org' })
  res.json({ email: person.email })
})
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.(typeof address === 'object' && address !== null ? address.port : 0)
})
process.on('message', () => process.send?.({ rss: process.memoryUsage.rss(), made, ...sink.status() }))
process.once('disconnect', () => process.exit())
