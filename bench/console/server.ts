/**
 * Serves a console for the Redis whose URL is the first argument, and an empty page. The second argument is the token.
 */
import express from 'express'
import { Redis } from 'ioredis'
import { consoleTokens, createConsole } from 'portcullis/console'
import { redisAuditSink, redisRecentEvents, redisStore } from 'portcullis/redis'

const [url = '', token = ''] = process.argv.slice(2)
const redis = new Redis(url)
const app = express()
app.get(
  '/empty',
  (_req, res) => void res.type('html').send('<!doctype html><title>empty</title><p id="empty">empty'),
)
app.use(
  '/console',
  createConsole({
    store: redisStore(redis),
    sink: redisAuditSink(redis, { stream: 'bench:own' }),
    pseudonymKey: new Uint8Array(32),
    authorize: consoleTokens([{ token, name: 'bench' }]),
    recentEvents: redisRecentEvents(redis),
  }),
)
let most = 0
const look = (): number => (most = Math.max(most, process.memoryUsage.rss()))
setInterval(look, 50).unref()
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.(typeof address === 'object' ? address?.port : undefined)
})
process.on('message', () => {
  const now = process.memoryUsage.rss()
  look()
  process.send?.({ now, most })
})
process.on('disconnect', () => process.exit(0))
