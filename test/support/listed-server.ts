/**
 * A server whose app `a` has an allow list. Forked with `file <path>` or `redis <port> <prefix>`. It sends its port to
 * the parent, and trusts `x-forwarded-for`.
 */
import express, { type RequestHandler } from 'express'
import { Redis } from 'ioredis'
import { createPolicySource, fileStore, ipWhitelist } from 'portcullis'
import { redisStore } from 'portcullis/redis'

const [kind, place = '', prefix = ''] = process.argv.slice(2)
const store = kind === 'file' ? fileStore(place) : redisStore(new Redis({ port: Number(place) }), { prefix })
const app = express().set('trust proxy', 'loopback')
app.use(ipWhitelist({ policies: createPolicySource({ store }), appId: () => 'a' }) as RequestHandler)
app.use((_req, res) => void res.json({ list: 'holds it' }))
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.(typeof address === 'object' ? address?.port : undefined)
})
process.on('disconnect', () => process.exit(0))
