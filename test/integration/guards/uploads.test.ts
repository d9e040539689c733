import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import {
  connect,
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import { connect as connectTcp, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express, { type ErrorRequestHandler, type Request, type RequestHandler } from 'express'
import fc from 'fast-check'
import {
  auditAccess,
  bodyParsers,
  createPolicySource,
  keepBody,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  returnUrlGuard,
  serverOnly,
  type Decision,
  type PolicySource,
  type RequestHandler as GuardHandler,
  type PolicyInput,
} from 'portcullis'
import type { BodyParsersOptions } from '../../../src/http/request/body-parsers.ts'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { exchange } from '../../support/raw-exchange.ts'

const SIGNED = { serverOnly: { mode: 'enforce' } } as const
const signer = { keyId: KEY.id, secret: KEY.secret }
const BINARY = 'application/octet-stream'

let directory: string
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-uploads-'))
})
afterAll(() => rm(directory, { recursive: true }))

interface Upload {
  readonly bytes: Uint8Array
  readonly type?: string | undefined
  readonly chunked?: boolean | undefined
  /** The bytes to send instead of the signed ones. */
  readonly sent?: Uint8Array | undefined
  readonly path?: string
}

interface Result {
  readonly status: number
  readonly text: string
}

async function post(origin: string, upload: Upload): Promise<Result> {
  const { bytes, type = BINARY, chunked = false, sent = bytes, path = '/' } = upload
  const url = `${origin}${path}`
  const headers = { 'x-app-id': APP, ...(type !== '' && { 'content-type': type }) }
  const signed = await signRequest({ method: 'POST', url, headers, body: bytes }, signer)
  const response = await fetch(url, {
    method: 'POST',
    headers: signed,
    body: chunked ? inParts(sent) : Buffer.from(sent),
    duplex: 'half',
  })
  return { status: response.status, text: await response.text() }
}

async function* inParts(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += 50_000) {
    yield bytes.subarray(from, from + 50_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Ways in which handlers read a request. Each answers with the digest of the content. */
const readers: Readonly<Record<string, RequestHandler>> = {
  'by listening for data': (req, res) => {
    const hash = createHash('sha256')
    req.on('data', (chunk: Buffer) => hash.update(chunk))
    req.on('end', () => res.end(hash.digest('hex')))
    req.on('error', (error) => res.status(statusOf(error)).end('failed'))
  },
  'by an iterator': async (req, res, next) => {
    const hash = createHash('sha256')
    try {
      for await (const chunk of req) hash.update(chunk as Buffer)
      res.end(hash.digest('hex'))
    } catch (error) {
      next(error)
    }
  },
  'by a pipeline into a file': async (req, res, next) => {
    const path = join(directory, randomBytes(8).toString('hex'))
    try {
      await pipeline(req, createWriteStream(path))
      res.end(digest(await readFile(path)))
    } catch (error) {
      await rm(path, { force: true })
      next(error)
    }
  },
  'by express.raw()': (req, res, next) => {
    const raw = express.raw({ type: () => true, limit: '10mb' })
    raw(req, res, (error?: unknown) => {
      if (error === undefined) res.end(digest(req.body as Buffer))
      else next(error)
    })
  },
  'some moments later': (req, res, next) => {
    setTimeout(() => readers['by an iterator']?.(req, res, next), 30)
  },
}

const statusOf = (error: unknown): number => (error as { status?: number }).status ?? 500

const answerError: ErrorRequestHandler = (error: unknown, _req, res, _next) => {
  if (!res.headersSent) res.status(statusOf(error)).end('failed')
}

const waits: RequestHandler = (_req, _res, next) => void setTimeout(next, 20)
const waitsNot: RequestHandler = (_req, _res, next) => next()

const SIZES = [1, 1000, 70_000, 400_000] as const
const LIMIT = 500_000

describe.each([
  ['kept', { keep: true, limit: LIMIT }, false],
  ['digested as it arrives', {}, true],
] as const)('an upload that is %s', (_how, parsers, streamed) => {
  const appFor = (read: RequestHandler, ahead = waitsNot, behind = waitsNot) =>
    protectedApp(
      SIGNED,
      (policies) => [
        ahead,
        ...bodyParsers(parsers),
        serverOnly({ policies, nonces: memoryNonces(), streamed }),
        behind,
      ],
      read,
    ).app.use(answerError)

  describe.each(Object.keys(readers))('reaches a handler that reads %s', (how) => {
    const read = readers[how] as RequestHandler

    it.each([
      ['at once', waitsNot, waitsNot],
      ['behind other middleware that waits', waits, waitsNot],
      ['ahead of other middleware that waits', waitsNot, waits],
    ])('%s', async (_when, ahead, behind) => {
      await listening(appFor(read, ahead, behind), async (origin) => {
        for (const size of SIZES) {
          const bytes = randomBytes(size)
          for (const chunked of [false, true]) {
            expect(await post(origin, { bytes, chunked })).toEqual({ status: 200, text: digest(bytes) })
          }
        }
      })
    })

    it('and never ends for it if other bytes were signed', async () => {
      for (const [ahead, behind] of [
        [waitsNot, waitsNot],
        [waits, waitsNot],
        [waitsNot, waits],
      ] as const) {
        await listening(appFor(read, ahead, behind), async (origin) => {
          for (const size of SIZES) {
            const bytes = randomBytes(size)
            const sent = Uint8Array.from(bytes)
            sent[size - 1] = (sent[size - 1] ?? 0) ^ 1
            for (const chunked of [false, true]) {
              const { status, text } = await post(origin, { bytes, sent, chunked })
              expect(status).toBe(401)
              expect(text).not.toMatch(/^[0-9a-f]{64}$/)
            }
          }
        })
      }
    })
  })

  it.each(['', 'multipart/form-data; boundary=x', 'application/xml', 'text/plain', 'image/png', 'a/b'])(
    'may be of the type `%s`',
    async (type) => {
      const bytes = randomBytes(5000)
      await listening(appFor(readers['by an iterator'] as RequestHandler), async (origin) => {
        expect(await post(origin, { bytes, type })).toEqual({ status: 200, text: digest(bytes) })
      })
    },
  )
})

describe('content that is digested as it arrives', () => {
  const streaming = (read: RequestHandler, section: Partial<PolicyInput['serverOnly']> = {}) => {
    const sink = memoryAuditSink()
    const sections: Partial<PolicyInput> = {
      serverOnly: { mode: 'enforce', ...section },
      auditAccess: { mode: 'enforce' },
    }
    const { app } = protectedApp(
      sections,
      (policies) => [
        auditAccess({ policies, sink }),
        serverOnly({ policies, nonces: memoryNonces(), streamed: true }),
      ],
      read,
    )
    return { app: app.use(answerError), sink }
  }
  const bytes = randomBytes(100_000)
  const sent = Uint8Array.from(bytes, (byte, index) => (index === 99_999 ? byte ^ 1 : byte))

  it('is in the trail as refused if it turns out to be wrong, and the connection stays open', async () => {
    const { app, sink } = streaming(readers['by listening for data'] as RequestHandler)
    await listening(app, async (origin, server) => {
      let connections = 0
      server.on('connection', () => (connections += 1))
      expect((await post(origin, { bytes, sent, chunked: true })).status).toBe(401)
      expect((await post(origin, { bytes })).status).toBe(200)
      expect(connections).toBe(1)
    })
    const [refused] = sink.events()
    expect(refused).toMatchObject({
      outcome: 'refused',
      status: 401,
      decisions: [{}, { code: 'ALLOWED' }, { guard: 'serverOnly', code: 'DIGEST_MISMATCH', mode: 'enforce' }],
    })
  })

  it('gets an answer even if the handler waits for an end that never comes', async () => {
    const file = join(directory, 'piped')
    const finished: string[] = []
    const { app } = streaming((req, res) => {
      req.pipe(createWriteStream(file)).on('finish', () => {
        finished.push('finish')
        res.end('stored')
      })
    })
    await listening(app, async (origin) => {
      const { status, text } = await post(origin, { bytes, sent, chunked: true })
      expect(status).toBe(401)
      expect(JSON.parse(text)).toMatchObject({ code: 'DIGEST_MISMATCH' })
      expect(finished).toEqual([])
      expect(await post(origin, { bytes, chunked: true })).toEqual({ status: 200, text: 'stored' })
    })
    expect(digest(await readFile(file))).toBe(digest(bytes))
  })

  it('does not affect a handler that does not read it', async () => {
    const { app } = streaming((_req, res) => void res.end('unread'))
    await listening(app, async (origin) => {
      for (const each of [bytes, sent]) {
        expect((await post(origin, { bytes, sent: each, chunked: true })).text).toBe('unread')
      }
    })
  })

  it('changes nothing in report mode, and is in the trail', async () => {
    const { app, sink } = streaming(readers['by an iterator'] as RequestHandler, { mode: 'report' })
    await listening(app, async (origin) => {
      expect(await post(origin, { bytes, sent, chunked: true })).toEqual({ status: 200, text: digest(sent) })
      expect(await post(origin, { bytes: Buffer.from('a'), sent: Buffer.from('b') })).toMatchObject({
        status: 200,
      })
    })
    for (const event of sink.events()) {
      const decisions = (event as { decisions?: object[] }).decisions ?? []
      expect(decisions.at(-1)).toMatchObject({ code: 'DIGEST_MISMATCH', mode: 'report' })
    }
  })

  it('is checked once if two mounts judge the request', async () => {
    const read = readers['by an iterator'] as RequestHandler
    const { app } = protectedApp(
      SIGNED,
      (policies) => {
        const guard = serverOnly({ policies, nonces: memoryNonces(), streamed: true })
        return [waits, guard, waits, guard]
      },
      read,
    )
    await listening(app.use(answerError), async (origin) => {
      expect(await post(origin, { bytes, chunked: true })).toEqual({ status: 200, text: digest(bytes) })
      expect((await post(origin, { bytes, sent, chunked: true })).status).toBe(401)
    })
  })

  it('is refused if a part was already read, or if the guard does not stream', async () => {
    const reads: RequestHandler = (req, _res, next) => {
      req.once('data', () => {
        req.pause()
        next()
      })
    }
    for (const [ahead, streamed] of [
      [reads, true],
      [waitsNot, false],
    ] as const) {
      const { app } = protectedApp(SIGNED, (policies) => [
        ahead,
        serverOnly({ policies, nonces: memoryNonces(), streamed }),
      ])
      await listening(app, async (origin) => {
        expect((await post(origin, { bytes, chunked: true })).status).toBe(401)
      })
    }
  })

  it('is accepted in any chunking, and refused with any change', async () => {
    const { app } = streaming(readers['by an iterator'] as RequestHandler)
    await listening(app, async (origin) => {
      await fc.assert(
        fc.asyncProperty(
          fc.uint8Array({ minLength: 1, maxLength: 2000 }),
          fc.uint8Array({ minLength: 1, maxLength: 2000 }),
          async (one, other) => {
            const same = Buffer.compare(one, other) === 0
            expect((await post(origin, { bytes: one, sent: one })).status).toBe(200)
            expect((await post(origin, { bytes: one, sent: other })).status).toBe(same ? 200 : 401)
            expect(
              (await post(origin, { bytes: one, sent: one.subarray(0, -1), chunked: true })).status,
            ).toBe(401)
          },
        ),
        { numRuns: 25 },
      )
    })
  })
})

const policiesOf = (): PolicySource =>
  createPolicySource({ store: memoryStore([{ policy: { appId: APP, ...SIGNED }, keys: [KEY] }]) })

/** Runs handlers like a connect-style app, and then answers 200. */
function runGuards(guards: readonly GuardHandler[], req: Http2ServerRequest, res: Http2ServerResponse): void {
  const step = (index: number): void => {
    const guard = guards[index]
    if (guard === undefined) res.end()
    else guard(req as never, res as never, () => step(index + 1))
  }
  step(0)
}

describe('content without bytes', () => {
  const url = { returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/'] } } as const
  const places = [{ body: 'return_url', optional: true }] as const
  const types = [
    'application/json',
    'application/json; charset=latin-9000',
    'application/x-www-form-urlencoded',
    'text/plain',
    'multipart/form-data; boundary=x',
    '',
  ]
  const codings = ['', 'gzip', 'br', 'compress']
  const framings = ['transfer-encoding: chunked', 'content-length: 0', undefined]
  const table = types.flatMap((type) =>
    codings.flatMap((coding) => framings.map((framing) => [type, coding, framing] as const)),
  )

  describe.each([
    ['bodyParsers()', bodyParsers(), false],
    ['`streamed` alone', [], true],
  ] as const)('with %s', (_how, parsers, streamed) => {
    it.each(table)('does not count as content: type `%s`, coding `%s`, %s', async (type, coding, framing) => {
      const { app } = protectedApp({ ...SIGNED, ...url }, (policies) => [
        ...parsers,
        serverOnly({ policies, nonces: memoryNonces(), streamed }),
        returnUrlGuard({ policies, returnUrl: places }),
      ])
      await listening(app, async (origin, server) => {
        const headers = await signRequest(
          {
            method: 'POST',
            url: `${origin}/`,
            headers: { 'x-app-id': APP, ...(type !== '' && { 'content-type': type }) },
          },
          signer,
        )
        const lines = Object.entries({ ...headers, ...(coding !== '' && { 'content-encoding': coding }) })
          .filter(([name]) => name !== 'host')
          .map(([name, value]) => `${name}: ${value}`)
        const head = ['POST / HTTP/1.1', `Host: ${new URL(origin).host}`, 'Connection: close', ...lines]
        if (framing !== undefined) head.push(framing)
        const body = framing === 'transfer-encoding: chunked' ? '0\r\n\r\n' : ''
        const { port } = server.address() as AddressInfo
        const answer = await exchange(port, `${head.join('\r\n')}\r\n\r\n${body}`)
        expect(answer).toMatch(/^HTTP\/1\.1 200 /)
      })
    })

    it('does not count as content over HTTP/2, whenever its stream ends; content without a digest is refused', async () => {
      const guards = [...parsers, serverOnly({ policies: policiesOf(), nonces: memoryNonces(), streamed })]
      const server = createHttp2Server((req, res) => runGuards(guards, req, res))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const client = connect(origin)
      try {
        for (const type of ['', 'application/json', BINARY]) {
          for (const [after, body, status] of [
            [0, '', 200],
            [40, '', 200],
            [0, '{}', 401],
            [40, '{}', 401],
          ] as const) {
            const headers = await signRequest(
              {
                method: 'POST',
                url: `${origin}/`,
                headers: { 'x-app-id': APP, ...(type !== '' && { 'content-type': type }) },
              },
              signer,
            )
            const { host: _host, ...lines } = headers
            const stream = client.request({ ':method': 'POST', ':path': '/', ...lines }, { endStream: false })
            setTimeout(() => stream.end(body), after)
            const [answer] = (await once(stream, 'response')) as [Record<string, unknown>]
            stream.resume()
            expect([type, after, body, answer[':status']]).toEqual([type, after, body, status])
          }
        }
      } finally {
        client.close()
        await new Promise((resolve) => server.close(resolve))
      }
    })
  })

  it('is not assumed if a caller disconnects before the first byte', async () => {
    const decisions: string[] = []
    const { app, reached } = protectedApp(SIGNED, (policies) => {
      const onDecision = ({ code }: Decision): unknown => decisions.push(code)
      return [serverOnly({ policies, nonces: memoryNonces(), streamed: true, onDecision })]
    })
    await listening(app, async (origin, server) => {
      const { host: _host, ...headers } = await signRequest(
        { method: 'POST', url: `${origin}/`, headers: { 'x-app-id': APP } },
        signer,
      )
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
      const head = [
        'POST / HTTP/1.1',
        `Host: ${new URL(origin).host}`,
        ...lines,
        'transfer-encoding: chunked',
      ]
      const caller = connectTcp((server.address() as AddressInfo).port, '127.0.0.1')
      const received = once(server, 'request')
      caller.write(`${head.join('\r\n')}\r\n\r\n`)
      await received
      setTimeout(() => caller.destroy(), 50)
      while (decisions.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    })
    expect([decisions, reached]).toEqual([['SIGNATURE_INVALID'], []])
  })

  it('is not assumed before the end of the stream', async () => {
    const { app } = protectedApp(SIGNED, (policies) => [serverOnly({ policies, nonces: memoryNonces() })])
    await listening(app, async (origin) => {
      const headers = await signRequest(
        { method: 'POST', url: `${origin}/`, headers: { 'x-app-id': APP } },
        signer,
      )
      const response = await fetch(origin, {
        method: 'POST',
        headers,
        body: inParts(Buffer.from('x')),
        duplex: 'half',
      })
      expect(response.status).toBe(401)
    })
  })
})

describe('bodyParsers', () => {
  const echo: RequestHandler = (req, res) => void res.json({ body: (req.body as unknown) ?? null })

  async function send(options: BodyParsersOptions, type: string, bytes: Uint8Array, ahead = waitsNot) {
    const app = express().use(ahead, bodyParsers(options) as RequestHandler, echo, answerError)
    return listening(app, async (origin) => {
      const response = await fetch(origin, {
        method: 'POST',
        headers: type === '' ? {} : { 'content-type': type },
        body: Buffer.from(bytes),
      })
      return { status: response.status, text: await response.text() }
    })
  }

  it.each([
    [['image/*'], 'image/png', 413],
    [['image/*'], 'IMAGE/PNG; q=1', 413],
    [['IMAGE/PNG'], 'image/png', 413],
    [['image/*'], 'imagex/png', 200],
    [['image/png'], 'image/pngx', 200],
    [['image/png'], '', 200],
    [true, '', 413],
    [true, 'nonsense', 413],
  ] as const)('with `keep` %j bounds content of the type `%s`: %d', async (keep, type, status) => {
    expect(await send({ keep, limit: 10 }, type, randomBytes(11))).toMatchObject({ status })
  })

  it('leaves the body readable for later parsers if it replays', async () => {
    const bytes = Buffer.from(JSON.stringify({ a: 'x'.repeat(90_000) }))
    const lengthOf: RequestHandler = (req, res) => {
      let length = 0
      req.on('data', (chunk: Buffer) => (length += chunk.length))
      req.on('end', () => res.json({ length, parsed: (req.body as { a: string }).a.length }))
    }
    const app = express().use(bodyParsers({ replay: true }) as RequestHandler, lengthOf)
    await listening(app, async (origin) => {
      for (const body of [bytes, inParts(bytes)]) {
        const headers = { 'content-type': 'application/json' }
        const response = await fetch(origin, { method: 'POST', headers, body, duplex: 'half' })
        expect(await response.json()).toEqual({ length: bytes.length, parsed: 90_000 })
      }
    })
  })

  it('does not hang together with express.json(), whichever is first', async () => {
    for (const options of [{}, { replay: true }]) {
      for (const parsers of [
        [...bodyParsers(options), express.json()],
        [express.json(), ...bodyParsers(options)],
        [...bodyParsers(options), ...bodyParsers(options), express.json(), express.urlencoded()],
      ]) {
        const app = express().use(parsers as RequestHandler[], echo, answerError)
        await listening(app, async (origin) => {
          const response = await fetch(origin, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: '{"a":1}',
          })
          expect(await response.json()).toEqual({ body: { a: 1 } })
        })
      }
    }
  })

  it('keeps what other middleware measures of the stream', async () => {
    let counted = 0
    const counts: RequestHandler = (req, _res, next) => {
      req.on('data', (chunk: Buffer) => (counted += chunk.length))
      next()
    }
    const read: RequestHandler = (req, res) => {
      let length = 0
      req.on('data', (chunk: Buffer) => (length += chunk.length)).on('end', () => res.end(String(length)))
    }
    const app = express().use(counts, bodyParsers({ keep: true }) as RequestHandler, read)
    await listening(app, async (origin) => {
      const response = await fetch(origin, { method: 'POST', body: randomBytes(80_000) })
      expect([await response.text(), counted]).toEqual(['80000', 80_000])
    })
  })

  it.each([
    [{ keep: 'image/png' }, 'keep'],
    [{ keep: ['image'] }, 'keep'],
    [{ keep: [1] }, 'keep'],
    [{ keep: ['*/*'] }, 'keep'],
    [{ keep: false }, 'keep'],
    [{ replay: 1 }, 'replay'],
    [{ rawBody: 'yes' }, 'rawBody'],
  ])('refuses the options %j', (options, name) => {
    expect(() => bodyParsers(options as unknown as BodyParsersOptions)).toThrow(`bodyParsers.${name}`)
  })
})

describe('req.rawBody', () => {
  const JSON_TYPE = 'application/json'
  const text = JSON.stringify({ return_url: 'https://example.org/a' })

  /** Reads the body, and sets `req.rawBody` to this and `req.body` to something else. */
  const readsAhead =
    (rawBody: (bytes: Buffer) => unknown): RequestHandler =>
    (req, _res, next) => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        Object.assign(req, { rawBody: rawBody(Buffer.concat(chunks)), body: { by: 'another parser' } })
        next()
      })
    }

  const answer = (
    rawBody: (bytes: Buffer) => unknown,
    option: boolean | undefined,
    upload: Partial<Upload> = {},
  ) => {
    const { app } = protectedApp(
      { ...SIGNED, returnUrlGuard: { mode: 'enforce', urls: ['https://example.org/'] } },
      (policies) => [
        readsAhead(rawBody),
        ...bodyParsers({ rawBody: option }),
        serverOnly({ policies, nonces: memoryNonces() }),
        returnUrlGuard({ policies, returnUrl: { body: 'return_url', optional: true } }),
      ],
      (req: Request, res) => void res.json(req.body),
    )
    return listening(app, (origin) => post(origin, { bytes: Buffer.from(text), type: JSON_TYPE, ...upload }))
  }

  it.each([true, false])(
    'is used if the option says so, and handlers get the judged bytes: chunked %s',
    async (chunked) => {
      expect(await answer((bytes) => bytes, true, { chunked })).toEqual({ status: 200, text })
      expect(await answer((bytes) => new Uint8Array(bytes), true, { chunked })).toEqual({ status: 200, text })
    },
  )

  it.each<[string, (bytes: Buffer) => unknown, boolean]>([
    ['where nothing is said of it', (bytes) => bytes, false],
    ['of another length', (bytes) => bytes.subarray(1), false],
    ['of no bytes', () => Buffer.alloc(0), false],
    [
      'of other bytes of the same length',
      (bytes) => Buffer.from(bytes.toString().replace('/a', '/b')),
      false,
    ],
    ['that is a string', (bytes) => bytes.toString(), false],
    ['of no bytes, chunked', () => Buffer.alloc(0), true],
  ])('%s is not believed', async (_what, rawBody, chunked) => {
    const option = _what === 'where nothing is said of it' ? undefined : true
    expect((await answer(rawBody, option, { chunked })).status).toBe(401)
  })
})

it('keepBody() accepts bytes that something else has read, if they can be those of the request', async () => {
  const text = Buffer.from('<a/>')
  const handedOver = (bytes: unknown) => {
    const { app } = protectedApp(SIGNED, (policies) => [
      ((req, _res, next) => {
        req.on('end', () => {
          try {
            keepBody(req, bytes as Uint8Array)
            next()
          } catch (error) {
            next(error)
          }
        })
        req.resume()
      }) as RequestHandler,
      serverOnly({ policies, nonces: memoryNonces() }),
    ])
    const answer: ErrorRequestHandler = (error: { code?: string }, _req, res, _next) =>
      void res.status(500).end(error.code)
    return listening(app.use(answer), (origin) => post(origin, { bytes: text, type: 'application/xml' }))
  }
  expect(await handedOver(text)).toMatchObject({ status: 200 })
  expect(await handedOver(Buffer.from('<b/>'))).toMatchObject({ status: 401 })
  for (const wrong of [Buffer.alloc(0), Buffer.from('<a/> '), '<a/>', undefined]) {
    expect(await handedOver(wrong)).toEqual({ status: 500, text: 'USAGE_INVALID' })
  }
})

it('an upload that is cut off is an abort for the handler, and does not crash the process', async () => {
  const seen: string[] = []
  const abort = new AbortController()
  const { app } = protectedApp(
    SIGNED,
    (policies) => [serverOnly({ policies, nonces: memoryNonces(), streamed: true })],
    (req) => {
      req.on('error', () => seen.push('error')).on('end', () => seen.push('end'))
      req.on('data', () => abort.abort())
    },
  )
  await listening(app, async (origin) => {
    const bytes = randomBytes(10_000)
    const body = new PassThrough()
    const headers = await signRequest(
      {
        method: 'POST',
        url: `${origin}/`,
        headers: { 'x-app-id': APP, 'content-type': BINARY },
        body: bytes,
      },
      signer,
    )
    const sending = fetch(origin, { method: 'POST', headers, body, duplex: 'half', signal: abort.signal })
    body.write(bytes)
    await expect(sending).rejects.toThrow()
    while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 10))
  })
  expect(seen).toEqual(['error'])
})
