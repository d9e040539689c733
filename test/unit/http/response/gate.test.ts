import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises'
import { createGzip } from 'node:zlib'
import { describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import request from 'supertest'
import { gateResponse, type GateKeeper } from '../../../../src/http/response/gate.ts'

type Before = GateKeeper['before']
type Handler = (res: ServerResponse, req: IncomingMessage) => unknown

const keepers: [string, Before][] = [
  ['agrees at once', () => undefined],
  ['agrees in the same tick', async () => undefined],
  ['agrees later', () => sleep(5)],
]

const no: Before = () => Promise.reject(new Error('no'))
const noLater: Before = () => sleep(5).then(() => Promise.reject(new Error('no')))
const thrown: Before = () => {
  throw new Error('no')
}

function refuse(res: ServerResponse): void {
  res.statusCode = 503
  res.setHeader('Content-Type', 'text/plain')
  res.end('refused')
}

/** A bare server with a gate before the handler. Uncaught errors reject. */
async function gated<T>(before: Before, handler: Handler, run: (origin: string) => Promise<T>): Promise<T> {
  const server = createServer((req, res) => {
    res.setHeader('X-Before-Gate', 'stays')
    gateResponse(res, { before, refuse })
    void handler(res, req)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

const big = 'x'.repeat(300_000)

interface Answer {
  status?: number
  text?: string
  headers?: Record<string, string>
}

const answers: [string, Handler, Answer][] = [
  ['end with a text', (res) => res.end('ok'), { text: 'ok', headers: { 'content-length': '2' } }],
  ['end without one', (res) => res.end(), { text: '' }],
  ['write and end', (res) => (res.write('a'), res.write(Buffer.from('b')), res.end('c')), { text: 'abc' }],
  ['an encoding', (res) => (res.write('6162', 'hex'), res.end('Yw==', 'base64')), { text: 'abc' }],
  ['much at once', (res) => (res.write(big), res.end(big)), { text: big + big }],
  [
    'writeHead and end',
    (res) => res.writeHead(201, 'Made', { 'X-A': '1' }).end('ok'),
    { status: 201, headers: { 'x-a': '1' } },
  ],
  [
    'writeHead with a list of headers',
    (res) => res.writeHead(200, ['X-A', '1', 'X-B', '2']).end('ok'),
    { text: 'ok', headers: { 'x-a': '1', 'x-b': '2' } },
  ],
  [
    'flushHeaders, and the rest later',
    async (res) => {
      res.flushHeaders()
      await sleep(15)
      res.end('late')
    },
    { text: 'late' },
  ],
  ['204', (res) => res.writeHead(204).end(), { status: 204, text: '' }],
  ['304', (res) => ((res.statusCode = 304), res.end()), { status: 304, text: '' }],
  ['a piped stream', (res) => Readable.from([big, 'end']).pipe(res), { text: `${big}end` }],
  ['a pipeline', (res) => pipeline(Readable.from(Array(50).fill(big)), res), { text: big.repeat(50) }],
]

describe('gateResponse', () => {
  for (const [when, before] of keepers) {
    describe(`whose keeper ${when}`, () => {
      for (const [what, handler, { status = 200, text, headers = {} }] of answers) {
        it(`sends ${what} unchanged`, () =>
          gated(before, handler, async (origin) => {
            const response = await fetch(origin)
            const body = await response.text()
            expect(response.status).toBe(status)
            if (text !== undefined) expect(body === text).toBe(true)
            for (const [name, value] of Object.entries(headers))
              expect(response.headers.get(name)).toBe(value)
            expect(response.headers.get('x-before-gate')).toBe('stays')
          }))
      }

      it('answers HEAD without a body', () =>
        gated(
          before,
          (res) => (res.setHeader('Content-Length', 2), res.end('ok')),
          async (origin) => {
            const response = await fetch(origin, { method: 'HEAD' })
            expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([
              200,
              '2',
              '',
            ])
          },
        ))

      it('calls the callbacks of write and end', () => {
        const called: unknown[][] = []
        return gated(
          before,
          (res) => {
            res.write('a', (error) => called.push(['write', error ?? undefined]))
            res.write('b', 'utf8', (error) => called.push(['write', error ?? undefined]))
            res.end('c', () => called.push(['end', undefined]))
            res.end(() => called.push(['second end', undefined]))
          },
          async (origin) => {
            expect(await (await fetch(origin)).text()).toBe('abc')
            for (let tries = 0; called.length < 4 && tries < 100; tries += 1) await tick()
            expect(called.map(([what]) => String(what)).toSorted()).toEqual([
              'end',
              'second end',
              'write',
              'write',
            ])
          },
        )
      })

      it('appears to the handler as if nothing was held', () => {
        const seen: unknown[] = []
        const look = (res: ServerResponse) => seen.push([res.headersSent, res.writableEnded])
        return gated(
          before,
          (res) => {
            look(res)
            res.writeHead(200)
            look(res)
            res.write('a')
            look(res)
            res.end()
            look(res)
          },
          async (origin) => {
            expect(await (await fetch(origin)).text()).toBe('a')
            expect(seen).toEqual([
              [false, false],
              [true, false],
              [true, false],
              [true, true],
            ])
          },
        )
      })

      it('supports the answers of Express', async () => {
        const app = express()
        app.use((_req, res, next) => {
          gateResponse(res, { before, refuse })
          next()
        })
        app.get('/json', (_req, res) => void res.status(202).json({ ok: true }))
        app.get('/redirect', (_req, res) => void res.redirect('/json'))
        app.get('/file', (_req, res) => void res.sendFile('package.json', { root: process.cwd() }))
        app.get('/sent', (_req, res) => void res.sendStatus(404))
        app.get('/throws', () => {
          throw Object.assign(new Error('no stack here'), { status: 418, stack: '' })
        })
        const results = await Promise.all([
          request(app).get('/json').expect(202, { ok: true }),
          request(app).head('/json').expect(202),
          request(app).get('/redirect').expect(302).expect('location', '/json'),
          request(app).get('/file').expect(200),
          request(app).get('/sent').expect(404, 'Not Found'),
          request(app).get('/throws').expect(418),
          request(app).get('/nowhere').expect(404),
        ])
        expect(results[3]?.text).toContain('"portcullis"')
        await request(app)
          .get('/json')
          .set('If-None-Match', results[0]?.headers['etag'] ?? '')
          .expect(304)
      })
    })
  }

  it('asks before bytes are sent, with the status of their head', () => {
    const asked: unknown[] = []
    return gated(
      (status) => void asked.push(status),
      async (res) => {
        res.statusCode = 201
        res.writeHead(202)
        expect(asked).toEqual([])
        res.flushHeaders()
        res.statusCode = 404
        await tick()
        expect(asked).toEqual([202])
        res.end('ab')
      },
      async (origin) => {
        expect(await (await fetch(origin)).text()).toBe('ab')
        expect(asked.every((status) => status === 202)).toBe(true)
      },
    )
  })

  it('creates no promise and holds nothing if the keeper approves at once', () =>
    gated(
      () => undefined,
      (res) => {
        res.write('a')
        expect(Reflect.get(res, '_header')).toEqual(expect.any(String))
        res.end()
        expect(res.writableFinished || res.finished).toBe(true)
      },
      async (origin) => expect(await (await fetch(origin)).text()).toBe('a'),
    ))

  it('sends nothing before the keeper has approved, and later parts wait for their own approval', () => {
    const open: (() => void)[] = []
    return gated(
      () => new Promise((resolve) => open.push(resolve)),
      async (res) => {
        res.write('first')
        await tick()
        res.write('second')
        res.end('third')
      },
      async (origin) => {
        let received = ''
        const socket = connect(Number(new URL(origin).port), '127.0.0.1')
        socket.on('data', (data) => (received += String(data)))
        socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
        const until = async (seen: () => boolean): Promise<void> => {
          for (let tries = 0; !seen() && tries < 1_000; tries += 1) await sleep(5)
        }
        await until(() => open.length === 1)
        expect(received).toBe('')
        open.shift()?.()
        await until(() => received.includes('first') && open.length === 1)
        expect(received).toContain('first')
        expect(received).not.toContain('second')
        open.shift()?.()
        await until(() => received.includes('third'))
        expect(received).toMatch(/second[^]*third/)
        expect(open).toEqual([])
        socket.destroy()
      },
    )
  })

  it('sends server-sent events as they are written', () =>
    gated(
      () => sleep(1),
      async (res) => {
        res.writeHead(200, { 'Content-Type': 'text/event-stream' })
        res.flushHeaders()
        for (let index = 0; index < 3; index += 1) {
          res.write(`data: ${index}\n\n`)
          await sleep(10)
        }
      },
      async (origin) => {
        const response = await fetch(origin)
        let text = ''
        for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
          text += Buffer.from(chunk).toString()
          if (text.includes('data: 2')) break
        }
        expect(text).toBe('data: 0\n\ndata: 1\n\ndata: 2\n\n')
      },
    ))

  it('applies backpressure like the connection, and emits `drain`', () => {
    const seen: unknown[] = []
    return gated(
      () => sleep(20),
      async (res) => {
        const size = (res.socket?.writableHighWaterMark ?? 0) - 1_000
        seen.push(res.write('x'.repeat(size)))
        await tick()
        res.once('drain', () => {
          seen.push('drain')
          res.end('end')
        })
        seen.push(res.write('x'.repeat(2_000)))
      },
      async (origin) => {
        expect(await (await fetch(origin)).text()).toMatch(/^x+end$/)
        expect(seen).toEqual([true, false, 'drain'])
      },
    )
  })

  const refusals: [string, Before][] = [
    ['throws', thrown],
    ['rejects', no],
    ['rejects later', noLater],
  ]
  for (const [how, before] of refusals) {
    describe(`whose keeper ${how}`, () => {
      const held: [string, Handler][] = [
        ...answers.map(([what, handler]): [string, Handler] => [what, handler]),
        [
          'a handler that goes on writing',
          async (res) => {
            res.write('secret')
            await sleep(15)
            res.write('secret')
            res.end('secret')
            res.end()
          },
        ],
        [
          'a head with a length',
          (res) => (res.setHeader('Content-Length', 6), res.setHeader('X-Secret', '1'), res.end('secret')),
        ],
        [
          'removed headers',
          (res) => (res.removeHeader('Date'), res.removeHeader('X-Before-Gate'), res.end('secret')),
        ],
      ]
      for (const [what, handler] of held) {
        it(`answers instead of ${what}`, () =>
          gated(
            before,
            (res, req) => Promise.resolve(handler(res, req)).catch(() => undefined),
            async (origin) => {
              const response = await fetch(origin)
              expect([response.status, await response.text()]).toEqual([503, 'refused'])
              expect(response.statusText).toBe('Service Unavailable')
              expect(response.headers.get('x-before-gate')).toBe('stays')
              expect(response.headers.get('date')).not.toBeNull()
              for (const name of ['x-a', 'x-secret']) expect(response.headers.get(name)).toBeNull()
              await sleep(20)
            },
          ))
      }

      it('calls the callbacks of dropped data with an error', () => {
        const called: unknown[] = []
        return gated(
          before,
          (res) => {
            res.write('secret', (error) => called.push(error))
          },
          async (origin) => {
            expect((await fetch(origin)).status).toBe(503)
            for (let tries = 0; called.length < 1 && tries < 100; tries += 1) await sleep(5)
            expect(called).toEqual([expect.objectContaining({ code: 'UNAVAILABLE' })])
          },
        )
      })

      it('ends a pipeline that is waiting for `drain`', async () => {
        const source = Readable.from(Array(10).fill(big))
        let settled = false
        await gated(
          before,
          (res) => {
            const done = (): void => void (settled = true)
            pipeline(source, res).then(done, done)
          },
          async (origin) => {
            expect(await (await fetch(origin)).text()).toBe('refused')
            for (let tries = 0; !settled && tries < 50; tries += 1) await sleep(5)
          },
        )
        expect([settled, source.destroyed]).toEqual([true, true])
      })

      it('closes the connection if a part was already sent', () => {
        let parts = 0
        return gated(
          (status) => (parts++ === 0 ? undefined : before(status)),
          async (res) => {
            res.write('sent')
            await tick()
            res.end('secret')
          },
          async (origin) => {
            const error = await fetch(origin)
              .then((response) => response.text())
              .then(
                (text) => new Error(`it was whole: ${text}`),
                (cut: unknown) => cut,
              )
            expect(String(error)).not.toContain('whole')
          },
        )
      })

      it('closes the connection if the replacement answer fails', async () => {
        const app = createServer((_req, res) => {
          gateResponse(res, { before, refuse: thrown as () => void })
          res.end('secret')
        })
        await expect(request(app).get('/')).rejects.toThrow(/hang up|aborted/)
      })
    })
  }

  it('drops held data, and calls its callbacks, if the caller disconnects', () => {
    const called: unknown[] = []
    let closed = false
    return gated(
      () => new Promise<void>(() => undefined),
      (res) => {
        res.on('close', () => (closed = true))
        res.write(big, (error) => called.push(error?.message))
      },
      async (origin) => {
        const socket = connect(Number(new URL(origin).port), '127.0.0.1')
        socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        await sleep(30)
        socket.resetAndDestroy()
        for (let tries = 0; !closed && tries < 500; tries += 1) await sleep(5)
        expect([closed, called]).toEqual([true, ['the response was not sent']])
      },
    )
  })

  it('refuses a chunk that Node would refuse, also while it holds', () => {
    const errors: unknown[] = []
    return gated(
      () => sleep(5),
      (res) => {
        for (const chunk of [7, {}, null, undefined]) {
          try {
            res.write(chunk)
          } catch (error) {
            errors.push((error as { code?: string }).code)
          }
        }
        res.end('ok')
      },
      async (origin) => {
        expect(await (await fetch(origin)).text()).toBe('ok')
        expect(errors).toEqual([
          'ERR_INVALID_ARG_TYPE',
          'ERR_INVALID_ARG_TYPE',
          'ERR_STREAM_NULL_VALUES',
          'ERR_INVALID_ARG_TYPE',
        ])
      },
    )
  })

  /** Compresses like the well-known middleware: patches write and end, and sets headers as late as possible. */
  const compress: RequestHandler = (_req, res, next) => {
    const write = res.write.bind(res) as (chunk: unknown) => boolean
    const end = res.end.bind(res)
    const writeHead = res.writeHead.bind(res) as (...args: unknown[]) => typeof res
    let gzip: ReturnType<typeof createGzip> | undefined
    let fired = false
    const start = () => {
      if (!res.headersSent) res.writeHead(res.statusCode)
    }
    Object.assign(res, {
      writeHead(...args: unknown[]) {
        if (!fired) {
          fired = true
          gzip = createGzip()
          res.setHeader('Content-Encoding', 'gzip')
          res.removeHeader('Content-Length')
          gzip.on('data', (chunk) => void (write(chunk) || gzip?.pause()))
          gzip.on('end', () => end())
          res.on('drain', () => gzip?.resume())
        }
        return writeHead(...args)
      },
      write: (chunk: string) => (start(), gzip === undefined ? write(chunk) : gzip.write(chunk)),
      end(chunk?: string) {
        start()
        if (gzip === undefined) end(chunk)
        else gzip.end(chunk)
        return res
      },
    })
    next()
  }
  const gate =
    (before: Before): RequestHandler =>
    (_req, res, next) => {
      gateResponse(res, { before, refuse })
      next()
    }

  for (const [when, before] of keepers) {
    for (const order of ['before', 'after'] as const) {
      it(`works with a package that patches the response ${order} it, when the keeper ${when}`, async () => {
        const app = express()
        app.use(order === 'before' ? [compress, gate(before)] : [gate(before), compress])
        app.get('/json', (_req, res) => void res.json({ text: big }))
        app.get('/written', (_req, res) => {
          res.write(big)
          res.end('end')
        })
        const json = await request(app).get('/json').expect(200)
        expect(json.headers['content-encoding']).toBe('gzip')
        expect(json.body.text === big).toBe(true)
        const written = await request(app).get('/written').expect(200)
        expect(written.text === `${big}end`).toBe(true)
      })
    }
  }

  for (const order of ['before', 'after'] as const) {
    it(`answers instead of a handler with a package that patches the response ${order} it`, async () => {
      const app = express()
      app.use(order === 'before' ? [compress, gate(noLater)] : [gate(noLater), compress])
      app.get('/', (_req, res) => void res.json({ secret: big }))
      await request(app).get('/').expect(503, 'refused')
    })
  }
})
