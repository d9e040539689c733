import { once } from 'node:events'
import { connect } from 'node:net'
import { describe, expect, it } from '@jest/globals'
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express'
import { createPolicySource, memoryNonces, memoryStore, serverOnly, type PolicyInput } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening } from '../../support/protected-app.ts'

const answerError: ErrorRequestHandler = (error: { status?: number }, _req, res, _next) => {
  res.status(error.status ?? 500).end('failed')
}

/** An app whose uploads are digested as they arrive, after other middleware. */
async function uploads(ahead: RequestHandler, handler: RequestHandler): Promise<Express> {
  const policy: PolicyInput = { appId: APP, serverOnly: { mode: 'enforce' } }
  const policies = createPolicySource({ store: memoryStore([{ policy, keys: [KEY] }]) })
  // The policy is now in memory, so guards do not wait.
  await policies.load(APP)
  const app = express()
  app.use(ahead, serverOnly({ policies, nonces: memoryNonces(), streamed: true }), handler, answerError)
  return app
}

/** Signs one content and sends these chunks. */
async function send(origin: string, signed: string, chunks: readonly string[]): Promise<string> {
  const url = `${origin}/`
  const headers = { 'x-app-id': APP, 'content-type': 'text/plain' }
  const head = await signRequest({ method: 'POST', url, headers, body: signed }, KEY_OF_SIGNER)
  const { hostname, port, host } = new URL(origin)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(
    `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n${lines.join('')}\r\n`,
  )
  for (const chunk of chunks) socket.write(`${chunk.length.toString(16)}\r\n${chunk}\r\n`)
  socket.write('0\r\n\r\n')
  await once(socket, 'close')
  return answer
}

const KEY_OF_SIGNER = { keyId: KEY.id, secret: KEY.secret }

type Watched = Request & { seenAhead: string[] }

/** Adds a `data` listener when a part of the body has arrived, and continues at once. */
const listensLate: RequestHandler = (req, _res, next) => {
  setTimeout(() => {
    const seenAhead: string[] = []
    Object.assign(req, { seenAhead })
    req.on('data', (chunk: Buffer) => seenAhead.push(chunk.toString()))
    next()
  }, 100)
}

/** Resumes the body in the same way. */
const resumesLate: RequestHandler = (req, _res, next) => {
  setTimeout(() => {
    Object.assign(req, { seenAhead: [] })
    req.resume()
    next()
  }, 100)
}

const reads: RequestHandler = (req, res) => {
  const seen: string[] = []
  req.on('data', (chunk: Buffer) => seen.push(chunk.toString()))
  req.on('error', () => res.status(401).end('failed'))
  req.on('end', () => res.json({ seen: seen.join(''), ahead: (req as Watched).seenAhead.join('') }))
}

describe('a body that other middleware starts reading just before the guard', () => {
  it.each([
    { ahead: listensLate, seenAhead: 'AAAABBBB' },
    { ahead: resumesLate, seenAhead: '' },
  ])(
    'is read completely and once if it matches the signature ($ahead.name)',
    async ({ ahead, seenAhead }) => {
      const answer = await listening(await uploads(ahead, reads), (origin) =>
        send(origin, 'AAAABBBB', ['AAAA', 'BBBB']),
      )
      expect(answer).toContain(JSON.stringify({ seen: 'AAAABBBB', ahead: seenAhead }))
    },
  )

  it.each([{ ahead: listensLate }, { ahead: resumesLate }])(
    'is refused if a chunk was added to the signed content ($ahead.name)',
    async ({ ahead }) => {
      const answer = await listening(await uploads(ahead, reads), (origin) =>
        send(origin, 'AAAA', ['AAAA', 'EVIL']),
      )
      expect(answer).toMatch(/^HTTP\/1\.1 401 /)
      expect(answer).not.toContain('EVIL')
    },
  )
})

describe('a handler that discards a streamed body and waits', () => {
  const passes: RequestHandler = (_req, _res, next) => next()
  const discards =
    (event: 'end' | 'close' | 'error'): RequestHandler =>
    (req, res) => {
      req.on(event, () => res.end(`told of ${event}`))
      req.resume()
    }

  it.each([
    { event: 'close', told: 'told of close' },
    { event: 'error', told: 'told of error' },
    { event: 'end', told: 'DIGEST_MISMATCH' },
  ] as const)('for $event gets an answer for content that was not signed', async ({ event, told }) => {
    const answer = await listening(await uploads(passes, discards(event)), (origin) =>
      send(origin, 'AAAA', ['AAAB']),
    )
    expect(answer).toContain(told)
  })

  it('for the end is notified if the content matches the signature', async () => {
    const answer = await listening(await uploads(passes, discards('end')), (origin) =>
      send(origin, 'AAAA', ['AAAA']),
    )
    expect(answer).toContain('told of end')
  })
})
