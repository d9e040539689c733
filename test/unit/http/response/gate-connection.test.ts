import { createServer, request as send, type RequestListener, type ServerResponse } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { Duplex, PassThrough, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import express from 'express'
// @ts-expect-error -- the package of another version has no types of its own
import express4 from 'express4'
import fc from 'fast-check'
import { gateResponse, type GateKeeper } from '../../../../src/http/response/gate.ts'
import { forTurns } from '../../../support/turns.ts'
import { listening } from '../../../support/protected-app.ts'
import { runs } from '../../../support/runs.ts'

const later: GateKeeper = { before: () => sleep(2), refuse: () => undefined }
const refusing: GateKeeper = {
  before: () => sleep(2).then(() => Promise.reject(new Error('no'))),
  refuse(answer) {
    answer.statusCode = 503
    answer.end('refused')
  },
}

const FIRST = 'GET /first HTTP/1.1\r\nHost: x\r\n\r\n'
const LAST = 'GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

/** The bytes that a caller receives for these requests on one connection, without the dates. */
function wireOf(listener: RequestListener, text = FIRST + LAST): Promise<string> {
  return listening(listener, async (origin) => {
    const socket = connect(Number(new URL(origin).port), '127.0.0.1')
    socket.write(text)
    let wire = ''
    const closed = new Promise<void>((resolve) => {
      socket.on('data', (data) => (wire += data.toString('latin1')))
      socket.on('error', () => undefined)
      socket.on('close', resolve)
    })
    // Some actions of a handler make its caller wait forever, with and without a gate.
    await forTurns(closed, 1_000)
    socket.destroy()
    return wire.replaceAll(/^Date: .*$/gm, 'Date: then')
  })
}

/** The answers in the received bytes, framed by RFC 9112. */
function answersIn(wire: string): { status: number; body: string }[] {
  const answers = []
  let rest = wire
  while (rest !== '') {
    const [, head = '', behind = ''] = /^(HTTP\/1\.1 [^]*?\r\n\r\n)([^]*)$/.exec(rest) ?? []
    if (head === '') throw new Error(`this is not an answer: ${JSON.stringify(rest.slice(0, 80))}`)
    const status = Number(head.slice(9, 12))
    const length = /^content-length: (\d+)/im.exec(head)?.[1]
    let body = ''
    rest = behind
    if (length !== undefined) {
      body = rest.slice(0, Number(length))
      rest = rest.slice(Number(length))
    } else if (/^transfer-encoding: chunked/im.test(head)) {
      for (;;) {
        const [line = '', size = ''] = /^([0-9a-f]+)\r\n/i.exec(rest) ?? []
        if (line === '') throw new Error('a chunk is cut')
        const bytes = Number.parseInt(size, 16)
        body += rest.slice(line.length, line.length + bytes)
        rest = rest.slice(line.length + bytes + 2)
        if (bytes === 0) break
      }
    }
    if (status >= 200) answers.push({ status, body })
  }
  return answers
}

const gateAnd =
  (keeper: GateKeeper | undefined, handler: (res: ServerResponse) => unknown): RequestListener =>
  (req, res) => {
    if (req.url !== '/first') {
      res.end('last')
      return
    }
    if (keeper !== undefined) gateResponse(res, keeper)
    void handler(res)
  }

type Step = (res: ServerResponse) => unknown

const steps: Record<string, Step> = {
  'write a text': (res) => res.write('text'),
  'write bytes': (res) => res.write(Buffer.from('bytes')),
  'write much': (res) => res.write('x'.repeat(20_000)),
  'write nothing': (res) => res.write(''),
  'flush the head': (res) => res.flushHeaders(),
  'write the head': (res) => res.writeHead(201, { 'x-head': '1' }),
  'set a status': (res) => (res.statusCode = 202),
  'set the status of an empty answer': (res) => (res.statusCode = 204),
  'set a header': (res) => res.setHeader('x-a', String(res.getHeaderNames().length)),
  'set a length': (res) => res.setHeader('content-length', 4),
  'remove the date': (res) => res.removeHeader('date'),
  'add a trailer': (res) => res.addTrailers({ 'x-trailer': '1' }),
  'send hints': (res) => res.headersSent || res.writeEarlyHints({ link: '</x>; rel=preload' }),
  // After an end, it is random whether Node still corks the connection, and with it the next response.
  cork: (res) => res.writableEnded || res.cork(),
  uncork: (res) => res.uncork(),
  'close after this': (res) => (res.shouldKeepAlive = false),
  'wait a moment': () => sleep(1),
  'pipe a stream': async (res) => {
    // If corked, it would wait forever whenever it has to wait: with a gate, or with a slow network.
    while (res.writableCorked > 0) res.uncork()
    const source = Readable.from(['one', 'two', 'x'.repeat(30_000)])
    source.pipe(res, { end: false })
    // After an end, it would wait forever.
    await forTurns(new Promise((resolve) => source.once('end', resolve)), 400)
  },
  'send as Express does': (res) => {
    const body = JSON.stringify({ of: 'express' })
    res.setHeader('content-type', 'application/json')
    res.setHeader('content-length', body.length)
    res.end(body)
  },
  end: (res) => res.end(),
  'end with a text': (res) => res.end('end'),
}

describe('gateResponse, on the wire', () => {
  it('sends the same bytes as without it, for any sequence of calls', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 1, maxLength: 8 }),
        async (names) => {
          const run = async (keeper?: GateKeeper) => {
            const thrown: unknown[] = []
            let done: () => void = () => undefined
            const handled = new Promise<void>((resolve) => (done = resolve))
            const wire = await wireOf(
              gateAnd(keeper, async (res) => {
                // Whether a write after the end is reported depends on whether the end was already sent.
                res.on('error', () => undefined)
                for (const name of [...names, 'end']) {
                  try {
                    await steps[name]?.(res)
                  } catch (error) {
                    thrown.push((error as { code?: string }).code)
                  }
                }
                if (!res.writableEnded) res.destroy()
                done()
              }),
            )
            await handled
            return { wire, thrown }
          }
          const expected = await run()
          const held = await run(later)
          expect(held.thrown).toEqual(expected.thrown)
          let whole = true
          try {
            answersIn(expected.wire)
          } catch {
            whole = false
          }
          if (whole) expect(held.wire === expected.wire || held.wire.slice(0, 2_000)).toBe(true)
          const refused = await run(refusing)
          // The first request gets one answer, and the connection is closed.
          if (refused.wire !== '') expect(answersIn(refused.wire)).toEqual([{ status: 503, body: 'refused' }])
          expect(refused.wire).not.toContain('x-a')
        },
      ),
      { numRuns: runs(150) },
    )
  }, 120_000)

  it('never splits an answer if `end` is called twice', async () => {
    const wire = await wireOf(
      gateAnd(later, (res) => {
        res.setHeader('content-length', 11)
        res.end('hello world')
        expect(() => res.setHeader('content-length', 1)).toThrow(/after they are sent/)
        // Without a listener for its error.
        res.end('x')
        res.write('x')
      }),
    )
    expect(answersIn(wire)).toEqual([
      { status: 200, body: 'hello world' },
      { status: 200, body: 'last' },
    ])
  })

  it('sends no hint before its approval, and allows a refusal after sent hints', async () => {
    const refused = await wireOf(
      gateAnd(refusing, (res) => {
        res.writeEarlyHints({ link: '</u/alice@example.org>; rel=preload' })
        setTimeout(() => res.end('late'), 20)
      }),
    )
    expect(refused).not.toContain('alice')
    let asked = 0
    const wire = await wireOf(
      gateAnd(
        { ...refusing, before: () => (++asked === 1 ? sleep(1) : Promise.reject(new Error('no'))) },
        (res) => {
          res.writeEarlyHints({ link: '</style>; rel=preload' })
          setTimeout(() => res.end('secret'), 20)
        },
      ),
    )
    expect(wire).toMatch(/^HTTP\/1\.1 103 Early Hints\r\n/)
    expect(answersIn(wire)).toEqual([{ status: 503, body: 'refused' }])
  })

  it('sends 100 at once, so that a waiting upload continues', async () => {
    let asked = 0
    const server = createServer()
    server.on('checkContinue', (req: Parameters<RequestListener>[0], res: ServerResponse) => {
      gateResponse(res, { ...later, before: () => ((asked += 1), sleep(2)) })
      res.writeContinue()
      expect(asked).toBe(0)
      req.pipe(res)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const text = await new Promise<string>((resolve, reject) => {
      const upload = send({ port, host: '127.0.0.1', method: 'POST', headers: { expect: '100-continue' } })
      upload.on('error', reject)
      upload.on('continue', () => upload.end('uploaded'))
      upload.on('response', (res) => {
        let body = ''
        res.on('data', (data) => (body += String(data)))
        res.on('end', () => resolve(body))
      })
      upload.flushHeaders()
    })
    expect([text, asked > 0]).toEqual(['uploaded', true])
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('answers a caller that has closed its side of the connection', () =>
    listening(
      gateAnd(later, (res) => res.end('whole')),
      async (origin) => {
        const socket = connect({ port: Number(new URL(origin).port), host: '127.0.0.1', allowHalfOpen: true })
        socket.end(FIRST)
        let wire = ''
        for await (const data of socket) wire += String(data)
        expect(answersIn(wire)).toEqual([{ status: 200, body: 'whole' }])
      },
    ))

  const cuts: [string, (res: ServerResponse) => void][] = [
    ['req.socket.destroy', (res) => res.req.socket.destroy()],
    ['req.socket.end', (res) => res.req.socket.end()],
    ['req.socket.destroySoon', (res) => res.req.socket.destroySoon()],
    ['req.destroy', (res) => void res.req.destroy()],
    ['res.destroy', (res) => void res.destroy()],
    ['res.destroy with an error', (res) => void res.destroy(new Error('mail'))],
  ]
  for (const [what, cut] of cuts) {
    it(`sends a complete answer of any size even if ${what} was called after it`, async () => {
      const big = 'x'.repeat(3_000_000)
      const wire = await wireOf(
        gateAnd(later, (res) => {
          res.on('error', () => undefined)
          res.req.on('error', () => undefined)
          res.end(big)
          cut(res)
        }),
        FIRST,
      )
      expect(answersIn(wire).map(({ status, body }) => [status, body === big])).toEqual([[200, true]])
    })
  }

  it('writes the data of `socket.end` only after the keeper has approved', async () => {
    const raw = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw'
    expect(await wireOf(gateAnd(later, (res) => res.socket?.end(raw)))).toBe(raw)
    expect(await wireOf(gateAnd(refusing, (res) => res.socket?.end(raw)))).not.toContain('raw')
  })

  it('holds data that a handler writes to the socket of a detached response', async () => {
    const raw = 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw'
    const detach: (res: ServerResponse) => void = (res) => {
      const { socket } = res.req
      res.detachSocket(socket)
      socket.write(raw, () => socket.end())
    }
    const told: unknown[] = []
    const over: string[] = []
    const keeper: GateKeeper = {
      ...later,
      before: (status) => (told.push(status), sleep(2)),
      over: () => void over.push('over'),
    }
    expect(await wireOf(gateAnd(keeper, detach), FIRST)).toBe(raw)
    for (let tries = 0; over.length === 0 && tries < 400; tries += 1) await sleep(5)
    expect([told, over]).toEqual([[200], ['over']])
    expect(await wireOf(gateAnd(refusing, detach), FIRST)).not.toContain('raw')
  })

  const makers = { 'Express 5': express, 'Express 4': express4 as unknown as typeof express }
  for (const [outer, make] of Object.entries(makers)) {
    for (const [inner, makeInner] of Object.entries(makers)) {
      for (const how of ['mounted', 'called'] as const) {
        it(`holds the answer of a sub-app of ${inner} that is ${how} in ${outer}`, async () => {
          const sub = makeInner()
          sub.get('/first', (_req, res) => void res.json({ secret: true }))
          const app = make()
          app.use((_req, res, next) => {
            gateResponse(res, refusing)
            next()
          })
          app.use(how === 'mounted' ? sub : (req, res, next) => void sub(req, res, next))
          const wire = await wireOf(app, FIRST)
          expect(answersIn(wire)).toEqual([{ status: 503, body: 'refused' }])
          expect(wire).not.toContain('secret')
        })
      }

      it(`holds the answer of ${outer} after a sub-app of ${inner} that has passed the request on`, async () => {
        const app = make()
        app.use((_req, res, next) => {
          gateResponse(res, refusing)
          next()
        })
        app.use(makeInner())
        app.use((_req, res) => void res.send('secret'))
        expect(await wireOf(app, FIRST)).not.toContain('secret')
      })
    }
  }

  /**
   * Wrappers like those of packages that compress, save a session before the end, or set headers as late as possible.
   */
  const wrappers: Record<string, (res: ServerResponse) => void> = {
    'sets a header with the head': (res) => {
      const writeHead = res.writeHead.bind(res) as (...given: unknown[]) => ServerResponse
      Object.assign(res, {
        writeHead(...given: unknown[]) {
          if (!res.headersSent) res.setHeader('x-late', '1')
          return writeHead(...given)
        },
      })
    },
    'holds the end until it has saved': (res) => {
      const end = res.end.bind(res) as (...given: unknown[]) => ServerResponse
      let ended = false
      Object.assign(res, {
        end(...given: unknown[]) {
          if (ended) return res
          ended = true
          const write = Reflect.get(res, '_implicitHeader') as () => void
          if (!res.headersSent) Reflect.apply(write, res, [])
          setTimeout(() => end(...given), 3)
          return res
        },
      })
    },
    'sends through a stream of its own': (res) => {
      const write = res.write.bind(res) as (chunk: unknown) => boolean
      const end = res.end.bind(res)
      const through = new PassThrough()
      through.on('data', (chunk) => void (write(chunk) || through.pause()))
      through.on('end', () => end())
      res.on('drain', () => through.resume())
      Object.assign(res, {
        write: (chunk: unknown) => through.write(chunk),
        end: (chunk?: unknown) => (through.end(chunk), res),
      })
    },
  }
  for (const [what, wrap] of Object.entries(wrappers)) {
    for (const order of ['before', 'after'] as const) {
      it(`works with middleware that ${what} and was mounted ${order} it`, async () => {
        const run = (keeper?: GateKeeper) =>
          wireOf((req, res) => {
            if (req.url !== '/first') {
              res.end('last')
              return
            }
            if (order === 'before') wrap(res)
            if (keeper !== undefined) gateResponse(res, keeper)
            if (order === 'after') wrap(res)
            res.write('a')
            res.end('b'.repeat(200_000))
          })
        const expected = await run()
        expect(answersIn(expected)).toHaveLength(2)
        expect(await run(later)).toBe(expected)
        expect(answersIn(await run(refusing))).toEqual([{ status: 503, body: 'refused' }])
      })
    }
  }

  it('asks every keeper that was added, and the first one answers if any refuses', async () => {
    const asked: string[] = []
    const keeper = (name: string, result: () => Promise<void>): GateKeeper => ({
      before: () => (asked.push(name), result()),
      refuse: (answer) => void answer.writeHead(503).end(name),
    })
    const wire = await wireOf((_req, res) => {
      gateResponse(
        res,
        keeper('first', () => sleep(1)),
      ).add(keeper('second', () => Promise.reject(new Error('no'))))
      res.end('secret')
    }, FIRST)
    expect([answersIn(wire), asked]).toEqual([[{ status: 503, body: 'first' }], ['first', 'second']])
  })

  it('adds no own method and no getter to a response, and one prototype to a connection', async () => {
    const prototypes = new Set<object>()
    await listening(
      (_req, res) => {
        const before = Object.getOwnPropertyNames(res)
        gateResponse(res, later)
        expect(Object.getOwnPropertyNames(res)).toEqual(before)
        prototypes.add(Object.getPrototypeOf(res.socket) as object)
        res.end()
      },
      async (origin) => {
        for (let index = 0; index < 3; index += 1) await (await fetch(origin)).text()
        expect(prototypes.size).toBe(1)
      },
    )
  })

  it('asks with the status of the final head if hints precede it in one chunk', async () => {
    const told: unknown[] = []
    const keeper: GateKeeper = { ...later, before: (status) => (told.push(status), sleep(2)) }
    const wire = await wireOf(
      gateAnd(keeper, (res) => {
        res.cork()
        res.writeEarlyHints({ link: '</x>; rel=preload' })
        res.statusCode = 201
        res.end('made')
        res.uncork()
      }),
    )
    expect(wire).toMatch(/^HTTP\/1\.1 103 /)
    expect(answersIn(wire)[0]).toEqual({ status: 201, body: 'made' })
    expect(told[0]).toBe(201)
  })

  class Pipe extends Duplex {
    out = ''
    override _read(): void {}
    override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
      this.out += chunk.toString('latin1')
      done()
    }
  }
  const streams: Record<string, () => Duplex & { out?: string }> = {
    'of a class': () => new Pipe(),
    'made with options': () => {
      const stream: Duplex & { out?: string } = new Duplex({
        read: () => undefined,
        write(chunk: Buffer, _encoding, done) {
          stream.out = (stream.out ?? '') + chunk.toString('latin1')
          done()
        },
      })
      return stream
    },
  }
  for (const [what, make] of Object.entries(streams)) {
    for (const [how, keeper, body] of [
      ['agrees', later, 'whole'],
      ['refuses', refusing, 'refused'],
    ] as const) {
      it(`holds on any stream that a server uses as a connection: one ${what}, when the keeper ${how}`, async () => {
        const server = createServer(
          gateAnd(keeper, (res) => {
            res.end('whole')
            res.req.socket.destroy()
          }),
        )
        const stream = make()
        const closed = new Promise((resolve) => stream.once('close', resolve))
        server.emit('connection', stream)
        stream.push(FIRST)
        await closed
        expect(answersIn(stream.out ?? '')).toEqual([{ status: body === 'whole' ? 200 : 503, body }])
      })
    }
  }

  it('refuses a connection on which it could hold nothing', () => {
    const res = { socket: { write: () => true }, getHeaders: () => ({}) } as unknown as ServerResponse
    expect(() => gateResponse(res, later)).toThrow(TypeError)
  })
})
