import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import express, { type ErrorRequestHandler, type RequestHandler } from 'express'
import {
  appIdFrom,
  bodyParsers,
  createPolicySource,
  ipWhitelist,
  memoryNonces,
  memoryStore,
  serverOnly,
} from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../support/protected-app.ts'
import { multer, serverless } from './modules.ts'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-multer-'))
})
beforeEach(async () => {
  for (const name of await readdir(directory)) await rm(join(directory, name))
})
afterAll(() => rm(directory, { recursive: true }))

const BOUNDARY = 'xYzZy'
const form = (file: Uint8Array): Buffer =>
  Buffer.concat([
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="title"\r\n\r\nholiday\r\n`),
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n`),
    file,
    Buffer.from(`\r\n--${BOUNDARY}--\r\n`),
  ])

async function upload(origin: string, bytes: Uint8Array, sent: Uint8Array, chunked: boolean) {
  const headers = { 'x-app-id': APP, 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }
  const message = { method: 'POST', url: `${origin}/`, headers, body: bytes }
  const signed = await signRequest(message, { keyId: KEY.id, secret: KEY.secret })
  const body = chunked ? inParts(sent) : Buffer.from(sent)
  const response = await fetch(origin, { method: 'POST', headers: signed, body, duplex: 'half' })
  return { status: response.status, text: await response.text() }
}

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += 30_000) {
    yield bytes.subarray(from, from + 30_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const answer: RequestHandler = async (req, res, next) => {
  try {
    const { file, body } = req as unknown as { file: { path: string }; body: { title: string } }
    res.json([body.title, digest(await readFile(file.path))])
  } catch (error) {
    next(error)
  }
}

const tell: ErrorRequestHandler = (error: { status?: number; code?: string }, _req, res, _next) =>
  void res.status(error.status ?? 500).end(error.code ?? 'failed')

describe.each([
  ['kept', { keep: ['multipart/form-data'], limit: 1_000_000 }, false],
  ['digested as it arrives', {}, true],
] as const)('a form with a file that is %s', (how, parsers, streamed) => {
  const app = () =>
    protectedApp(
      { serverOnly: { mode: 'enforce' } },
      (policies) => [
        ...bodyParsers(parsers),
        serverOnly({ policies, nonces: memoryNonces(), streamed }),
        multer({ dest: directory }).single('file'),
      ],
      answer,
    ).app.use(tell)

  it.each([false, true])('reaches multer completely: chunked %s', async (chunked) => {
    await listening(app(), async (origin) => {
      for (const size of [10, 100_000, 700_000]) {
        const file = randomBytes(size)
        const bytes = form(file)
        expect(await upload(origin, bytes, bytes, chunked)).toEqual({
          status: 200,
          text: JSON.stringify(['holiday', digest(file)]),
        })
      }
    })
  })

  it.each([false, true])(
    'is refused if other bytes were signed, and multer leaves no file: chunked %s',
    async (chunked) => {
      await listening(app(), async (origin) => {
        for (const size of [10, 100_000, 700_000]) {
          const bytes = form(randomBytes(size))
          const sent = Uint8Array.from(bytes)
          sent[size] = (sent[size] ?? 0) ^ 1
          const { status, text } = await upload(origin, bytes, sent, chunked)
          expect(status).toBe(401)
          expect(text).toContain('DIGEST_MISMATCH')
        }
      })
      // Multer removes stored files after its answer.
      while ((await readdir(directory)).length > 0) await new Promise((resolve) => setTimeout(resolve, 10))
      expect([how, await readdir(directory)]).toEqual([how, []])
    },
  )
})

describe('serverless-http', () => {
  const store = memoryStore([
    { policy: { appId: APP, serverOnly: { mode: 'enforce' } }, keys: [KEY] },
    { policy: { appId: 'near', ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] } } },
  ])
  const policies = createPolicySource({ store })
  const appId = appIdFrom({ header: 'x-app-id' })
  const app = express()
  app.use('/near', ipWhitelist({ policies, appId }) as express.RequestHandler)
  app.use(
    '/signed',
    bodyParsers() as express.RequestHandler,
    serverOnly({
      policies,
      nonces: memoryNonces(),
      appId,
    }) as express.RequestHandler,
  )
  app.use((req: express.Request, res: express.Response) => void res.json({ body: req.body as unknown }))
  const handler = serverless(app)

  const call = async (httpMethod: string, path: string, headers: Record<string, string>, body?: string) => {
    const { statusCode, body: text } = await handler(
      {
        httpMethod,
        path,
        headers: { host: 'api.example', ...headers },
        body: body ?? null,
        isBase64Encoded: false,
        requestContext: { identity: { sourceIp: '203.0.113.9' } },
      },
      {},
    )
    return { statusCode, body: JSON.parse(text) as { code?: string; body?: unknown } }
  }

  const sign = (method: string, body?: string) =>
    signRequest(
      {
        method,
        url: 'https://api.example/signed',
        headers: { 'x-app-id': APP, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body }),
      },
      { keyId: KEY.id, secret: KEY.secret },
    )

  it('passes signed requests, whose headers have no raw form, and refuses changed ones', async () => {
    expect(await call('GET', '/signed', await sign('GET'))).toMatchObject({ statusCode: 200 })
    const body = '{"a":1}'
    expect(await call('POST', '/signed', await sign('POST', body), body)).toEqual({
      statusCode: 200,
      body: { body: { a: 1 } },
    })
    expect(await call('POST', '/signed', await sign('POST', body), '{"a":2}')).toMatchObject({
      statusCode: 401,
      body: { code: 'DIGEST_MISMATCH' },
    })
    expect(await call('GET', '/signed', { 'x-app-id': APP })).toMatchObject({ statusCode: 401 })
  })

  it('uses the address from the adapter', async () => {
    expect(await call('GET', '/near', { 'x-app-id': 'near' })).toMatchObject({ statusCode: 200 })
  })
})
