import { once } from 'node:events'
import { Readable } from 'node:stream'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import {
  auditAccess,
  createPolicySource,
  memoryAuditSink,
  memoryStore,
  type AuditAccessOptions,
} from 'portcullis'
import { serveGenerated } from '../../support/generated-handlers.ts'
import { APP, listening } from '../../support/protected-app.ts'

const ALICE = { id: 7, email: 'alice@example.org', city: 'Oxford', passwordHash: '$argon2id$hash' }
const BODY = 'dear alice@example.org'

async function answerOf(
  handler: RequestHandler,
  options: Partial<AuditAccessOptions> = {},
  init: RequestInit = {},
) {
  const sink = memoryAuditSink()
  const store = memoryStore([{ policy: { appId: APP, auditAccess: { mode: 'enforce' } } }])
  const models = { user: { person: 'id', open: ['id'], secret: ['passwordHash'] } }
  const audit = auditAccess({ policies: createPolicySource({ store }), sink, models, ...options })
  const app = express()
  const errors: unknown[] = []
  let closed: Promise<unknown> | undefined
  app.set('env', 'test').use(
    express.json(),
    (_req, res, next) => {
      closed = once(res, 'close')
      next()
    },
    audit as RequestHandler,
    handler,
  )
  app.use(((error, _req, res, next) => {
    errors.push(error)
    if (res.headersSent) next(error)
    else res.status(500).end('of the error handler')
  }) as express.ErrorRequestHandler)
  const answer = await listening(app, async (origin) => {
    try {
      const response = await fetch(origin, { ...init, headers: { 'x-app-id': APP, ...init.headers } })
      return { status: response.status, text: await response.text() }
    } catch {
      return { status: 0, text: '' }
    }
  })
  await closed
  await new Promise((resolve) => setImmediate(resolve))
  return { ...answer, errors, kinds: sink.events().map(({ kind }) => kind), events: sink.events() }
}

/** Wraps the row, and answers without using the returned view. */
const past =
  (answer: (res: express.Response, req: express.Request) => unknown): RequestHandler =>
  (req, res) => {
    req.portcullis.audit.rows('user', ALICE)
    answer(res, req)
  }

describe('a personal value without a recorded read', () => {
  it('is stopped before the first byte, by an error that names the field and contains no value', async () => {
    const { status, text, errors, events } = await answerOf(past((res) => res.json({ email: ALICE.email })))
    expect([status, text]).toEqual([500, 'of the error handler'])
    expect(errors).toEqual([
      expect.objectContaining({
        name: 'UsageError',
        message: expect.stringMatching(/^the response has a value of the field `email` of the model `user`/),
      }),
    ])
    expect(String(errors[0])).not.toContain('alice')
    expect(events.filter(({ kind }) => kind === 'leak')).toMatchObject([{ field: 'email', record: 'user' }])
    expect(JSON.stringify(events)).not.toContain('alice')
  })

  it('closes the connection if a part has already been sent', async () => {
    const { status, kinds } = await answerOf(
      past((res) => {
        res.write('x'.repeat(100))
        setTimeout(() => res.end(BODY), 20)
      }),
    )
    expect(status).toBe(0)
    expect(kinds).toContain('leak')
  })

  const ways: [string, (res: express.Response, req: express.Request) => unknown][] = [
    ['in a header', (res) => res.setHeader('x-email', ALICE.email).end()],
    ['in a redirect', (res) => res.redirect(`/?email=${encodeURIComponent(ALICE.email)}`)],
    ['in a cookie', (res) => res.cookie('email', ALICE.email).end()],
    ['in a head that is written by itself', (res) => res.writeHead(200, { 'x-email': ALICE.email }).end()],
    ['in two writes', (res) => (res.write('dear alice@exam'), res.end('ple.org'))],
    ['in bytes', (res) => res.end(Buffer.from(BODY))],
    ['in base64', (res) => res.end(Buffer.from(BODY).toString('base64'), 'base64')],
    ['in a stream', (res) => Readable.from(['dear ', ALICE.email]).pipe(res)],
    ['in gzip', (res) => res.setHeader('content-encoding', 'gzip').end(gzipSync(BODY))],
    ['in deflate', (res) => res.setHeader('content-encoding', 'deflate').end(deflateSync(BODY))],
    ['in brotli', (res) => res.setHeader('content-encoding', 'br').end(brotliCompressSync(BODY))],
    ['in an answer that is cut', (res) => (res.write(BODY), setTimeout(() => res.destroy(), 20))],
    ['of a secret field', (res) => res.json({ hash: ALICE.passwordHash })],
  ]
  it.each(ways)('is detected %s', async (_what, answer) => {
    const { kinds } = await answerOf(past(answer), { leakGuard: 'report' })
    expect(kinds.filter((kind) => kind === 'leak')).toHaveLength(1)
  })

  it('is detected for a secret field even if `secret()` has read it', async () => {
    const { kinds } = await answerOf(
      (req, res) => {
        const { audit } = req.portcullis
        res.json(audit.secret(audit.rows('user', ALICE), 'passwordHash'))
      },
      { leakGuard: 'report' },
    )
    expect(kinds.toSorted()).toEqual(['field', 'leak', 'operation'])
  })

  it('is allowed if the caller sent it', async () => {
    const init = { method: 'POST', body: JSON.stringify({ email: ALICE.email }) }
    const { status, kinds } = await answerOf(
      past((res, req) => res.json({ hello: (req.body as { email: string }).email })),
      {},
      { ...init, headers: { 'content-type': 'application/json' } },
    )
    expect([status, kinds]).toEqual([200, ['operation']])
  })

  it('is not searched for if the guard is off, and only in a share of the requests', async () => {
    const handler = past((res) => res.json({ email: ALICE.email }))
    for (const options of [{ leakGuard: 'off' }, { leakShare: 0 }] as const)
      expect(await answerOf(handler, options)).toMatchObject({ status: 200, kinds: ['operation'] })
  })

  it('is reported in production for a sample of requests, without changing the answer', async () => {
    const before = process.env['NODE_ENV']
    process.env['NODE_ENV'] = 'production'
    try {
      const handler = past((res) => res.json({ email: ALICE.email }))
      expect(await answerOf(handler, { leakShare: 1 })).toMatchObject({
        status: 200,
        text: '{"email":"alice@example.org"}',
        kinds: ['leak', 'operation'],
      })
    } finally {
      process.env['NODE_ENV'] = before
    }
  })

  it('is detected in all generated handlers that leak, and in no others', async () => {
    const { values, bypasses } = await serveGenerated(400)
    expect(values).toBeGreaterThan(1_000)
    expect(bypasses).toBeGreaterThan(20)
  }, 60_000)
})
