import {
  connect,
  constants,
  createServer,
  type ClientHttp2Session,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises'
import { EventEmitter } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { GuardResponse } from '../../../../src/http/handler.ts'
import { gateResponse, type GateKeeper } from '../../../../src/http/response/gate.ts'
import { forTurns } from '../../../support/turns.ts'
import { runs } from '../../../support/runs.ts'

type Res = Http2ServerResponse
type Handler = (res: Res, req: Http2ServerRequest) => unknown

const later: GateKeeper = {
  before: () => sleep(2),
  refuse: (answer) => {
    answer.statusCode = 503
    answer.setHeader('content-type', 'application/problem+json')
    answer.end('{"code":"REFUSED"}')
  },
}
const refusing: GateKeeper = { ...later, before: () => sleep(2).then(() => Promise.reject(new Error('no'))) }
const REFUSED = { status: 503, body: '{"code":"REFUSED"}' }

function gate(res: Res, keeper: GateKeeper | undefined): void {
  if (keeper !== undefined) gateResponse(res as unknown as GuardResponse, keeper)
}

/** What a caller received. */
interface Got {
  info: unknown[]
  status?: unknown
  headers?: unknown
  body: string
  trailers?: unknown
  code?: number | undefined
}

class Bench {
  readonly #server = createServer((req, res) => this.handle(req, res))
  session: ClientHttp2Session | undefined
  handle: (req: Http2ServerRequest, res: Res) => void = () => undefined

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.session = connect(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`)
  }

  async close(): Promise<void> {
    this.session?.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  /** Runs one stream until it is closed. `stay` keeps the upload open. */
  async call(
    handler: Handler,
    { keeper, method = 'GET', stay = false }: { keeper?: GateKeeper; method?: string; stay?: boolean } = {},
  ): Promise<Got> {
    const path = `/${Math.random()}`
    const others = this.handle
    this.handle = (req, res) => {
      if (req.url !== path) {
        others(req, res)
        return
      }
      gate(res, keeper)
      void handler(res, req)
    }
    const got: Got = { info: [], body: '' }
    const stream = (this.session as ClientHttp2Session).request(
      { ':path': path, ':method': method },
      { endStream: !stay },
    )
    stream.on('headers', (headers) => got.info.push(headers[':status']))
    stream.on('response', ({ ':status': status, date: _date, ...headers }) =>
      Object.assign(got, { status, headers: { ...headers } }),
    )
    stream.on('trailers', (trailers) => (got.trailers = { ...trailers }))
    stream.on('data', (data) => (got.body += String(data)))
    stream.on('error', () => undefined)
    // Some of the tested calls make a bare response wait forever.
    await forTurns(new Promise((resolve) => stream.once('close', resolve)), 800)
    got.code = stream.rstCode
    stream.close()
    return got
  }
}

const firsts: Record<string, (res: Res) => void> = {
  write: (res) => void res.write('first '),
  flushHeaders: (res) => Reflect.apply(Reflect.get(res, 'flushHeaders') as () => void, res, []),
  writeHead: (res) => void res.writeHead(200, { 'x-head': '1' }),
  end: (res) => void res.end('all'),
}

type Call = (res: Res, seen: (what: unknown) => void) => unknown

const calls: Record<string, Call> = {
  addTrailers: (res) => res.addTrailers({ 'x-trailer': '1' }),
  appendHeader: (res) => res.appendHeader('x-late', '1'),
  cork: (res) => res.stream.cork(),
  end: (res, seen) => res.end('ended', () => seen('end called back')),
  flushHeaders: (res) => Reflect.apply(Reflect.get(res, 'flushHeaders') as () => void, res, []),
  getHeader: (res) => res.getHeader('x-head'),
  getHeaderNames: (res) => res.getHeaderNames().length,
  getHeaders: (res) => Object.keys(res.getHeaders()).length,
  hasHeader: (res) => res.hasHeader('x-head'),
  removeHeader: (res) => res.removeHeader('x-head'),
  setHeader: (res) => res.setHeader('x-late', '1'),
  setTimeout: (res) => void res.setTimeout(60_000),
  setTrailer: (res) => Reflect.apply(Reflect.get(res, 'setTrailer') as Call, res, ['x-trailer', '2']),
  uncork: (res) => res.stream.uncork(),
  write: (res, seen) => res.write('written', (error?: Error | null) => seen(error ?? 'write called back')),
  writeContinue: (res) => void res.writeContinue(),
  writeEarlyHints: (res) => void res.writeEarlyHints({ link: '</late>; rel=preload' }),
  // Exists since Node 24.
  writeInformation: (res) => {
    const write = Reflect.get(res, 'writeInformation') as ((...given: unknown[]) => unknown) | undefined
    void write?.call(res, 103, { link: '</late>; rel=preload' })
  },
  writeHead: (res) => res.writeHead(500, { 'x-late': '1' }),
  statusCode: (res) => (res.statusCode = 404),
  statusMessage: (res) => Reflect.set(res, 'statusMessage', 'Late'),
  sendDate: (res) => (res.sendDate = false),
  // The methods of the stream itself.
  'stream.respond': (res) => res.stream.respond({ ':status': 500 }),
  'stream.additionalHeaders': (res) => res.stream.additionalHeaders({ ':status': 103, 'x-late': '1' }),
  'stream.write': (res) => res.stream.write('by the stream'),
  'stream.sendTrailers': (res) => res.stream.sendTrailers({ 'x-late': '1' }),
}

/** These close the stream or open another one. Separate tests cover them. */
const elsewhere = ['destroy', 'createPushResponse']
const readOnly = [
  'constructor',
  'connection',
  'finished',
  'headersSent',
  'pipe',
  'req',
  'eventNames',
  'socket',
  'stream',
  'writable',
  'writableCorked',
  'writableEnded',
  'writableFinished',
  'writableHighWaterMark',
  'writableNeedDrain',
  'writableObjectMode',
  'writableLength',
]

function textOf(what: unknown): string {
  return what instanceof Error ? ((what as { code?: string }).code ?? what.message) : String(what)
}

/** What a handler and its caller see if one call follows another. */
async function seen(bench: Bench, first: (res: Res) => void, call: Call, keeper?: GateKeeper) {
  const events: string[] = []
  let threw: string | undefined
  let returned: unknown
  const got = await bench.call(
    async (res) => {
      const note = (what: unknown): void => void events.push(textOf(what))
      res.stream.on('error', note)
      first(res)
      try {
        const value = call(res, note)
        returned = value === res ? 'the response' : typeof value === 'object' ? 'an object' : value
      } catch (error) {
        threw = textOf(error)
      }
      await tick()
      if (!res.writableEnded) res.end('last')
    },
    keeper === undefined ? {} : { keeper },
  )
  return { threw, returned, events: events.toSorted(), got }
}

describe('a held HTTP/2 response', () => {
  const bench = new Bench()
  beforeAll(() => bench.open())
  afterAll(() => bench.close())

  it('has only methods in this table', async () => {
    const names = new Set<string>()
    await bench.call((res) => {
      for (let at: object = res; at !== EventEmitter.prototype; at = Object.getPrototypeOf(at) as object) {
        for (const name of Object.getOwnPropertyNames(at)) if (!name.startsWith('_')) names.add(name)
      }
      res.end()
    })
    const known = new Set([...Object.keys(calls), ...elsewhere, ...readOnly])
    expect([...names].filter((name) => !known.has(name))).toEqual([])
  })

  for (const [first, start] of Object.entries(firsts)) {
    it(`behaves after \`${first}\` like a sent response, whatever is called`, async () => {
      for (const [name, call] of Object.entries(calls)) {
        const expected = { name, ...(await seen(bench, start, call)) }
        // It is random what a failed bare stream sends. A complete held answer is sent.
        const failed = expected.got.code !== 0
        const held = { name, ...(await seen(bench, start, call, later)) }
        if (failed && first === 'end') {
          expect([name, held.threw, held.got.status, held.got.body]).toEqual([
            name,
            expected.threw,
            200,
            'all',
          ])
        } else {
          expect(held).toEqual(expected)
        }
      }
    }, 120_000)
  }

  const steps: Record<string, (res: Res) => unknown> = {
    'write a string': (res) => res.write('text '),
    'write bytes': (res) => res.write(Buffer.from('bytes ')),
    'write much': (res) => res.write('x'.repeat(100_000)),
    'flush the head': (res) => Reflect.apply(Reflect.get(res, 'flushHeaders') as () => void, res, []),
    'write the head': (res) => res.writeHead(201, { 'x-head': '1' }),
    'set a status': (res) => (res.statusCode = 202),
    'set the status of an empty answer': (res) => (res.statusCode = 204),
    'set a header': (res) => res.setHeader('x-a', String(res.getHeaderNames().length)),
    'set a header twice that stands once': (res) => res.setHeader('content-type', ['text/a', 'text/b']),
    'remove the date': (res) => res.removeHeader('date'),
    'add a trailer': (res) => res.addTrailers({ 'x-trailer': '1' }),
    'send hints': (res) => res.headersSent || res.writeEarlyHints({ link: '</x>; rel=preload' }),
    'wait a moment': () => sleep(1),
    'pipe a stream': async (res) => {
      const source = Readable.from(['one', 'two', 'x'.repeat(30_000)])
      // If the error of an invalid head was thrown inside a pipe, nobody would receive it.
      if (!res.headersSent) res.writeHead(res.statusCode)
      source.pipe(res, { end: false })
      await forTurns(new Promise((resolve) => source.once('end', resolve)), 400)
    },
  }

  it('sends the same as without a gate, for any sequence of calls', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...Object.keys(steps)), { minLength: 1, maxLength: 7 }),
        async (names) => {
          const run = async (keeper?: GateKeeper) => {
            const thrown: unknown[] = []
            const got = await bench.call(
              async (res) => {
                for (const name of names) {
                  try {
                    await steps[name]?.(res)
                  } catch (error) {
                    thrown.push((error as { code?: string }).code)
                  }
                }
                try {
                  res.end('end')
                } catch (error) {
                  thrown.push((error as { code?: string }).code)
                  res.destroy()
                }
              },
              keeper === undefined ? {} : { keeper },
            )
            return { thrown, got }
          }
          const expected = await run()
          const held = await run(later)
          // If the stream was closed, it is random whether a hint was sent before.
          if (held.got.status === undefined) expected.got.info = held.got.info = []
          expect(held).toEqual(expected)
          const refused = await run(refusing)
          if (refused.got.status !== undefined) expect(refused.got).toMatchObject(REFUSED)
          expect(refused.got).toMatchObject({ info: [] })
          expect(JSON.stringify(refused.got)).not.toMatch(/x-|text|end/)
        },
      ),
      { numRuns: runs(100) },
    )
  }, 120_000)

  it('is replaced by a refusal on the same stream, for any method and even while the caller sends', async () => {
    for (const method of ['GET', 'POST', 'HEAD'])
      for (const stay of [false, true]) {
        const got = await bench.call((res) => res.writeHead(200, { 'x-secret': '1' }).end('secret'), {
          keeper: refusing,
          method,
          stay,
        })
        expect([method, stay, got]).toMatchObject([
          method,
          stay,
          { ...REFUSED, ...(method === 'HEAD' && { body: '' }), code: constants.NGHTTP2_NO_ERROR },
        ])
        expect(got.headers).not.toHaveProperty('x-secret')
      }
  })

  it('is reset if a later part is refused, so that the caller does not consider it complete', async () => {
    let asked = 0
    const keeper = { ...later, before: () => (++asked <= 2 ? sleep(1) : Promise.reject(new Error('no'))) }
    const got = await bench.call(
      async (res) => {
        res.write('sent')
        await sleep(20)
        res.end('secret')
      },
      { keeper },
    )
    expect(got).toMatchObject({ status: 200, body: 'sent', code: constants.NGHTTP2_INTERNAL_ERROR })
  })

  it('sends 100 at once, so that a waiting upload continues', async () => {
    let asked = 0
    const keeper = { ...later, before: () => ((asked += 1), sleep(2)) }
    const got = await bench.call(
      (res) => {
        expect(res.writeContinue()).toBe(true)
        expect(asked).toBe(0)
        res.end('ok')
      },
      { keeper },
    )
    expect([got.status, got.body, asked > 0]).toEqual([200, 'ok', true])
  })

  const cuts: Record<string, (res: Res) => void> = {
    'res.destroy': (res) => void res.destroy(),
    'res.destroy with an error': (res) => void res.destroy(new Error('mail')),
    'stream.close': (res) => res.stream.close(constants.NGHTTP2_CANCEL),
    'stream.destroy': (res) => void res.stream.destroy(),
  }
  for (const [what, cut] of Object.entries(cuts)) {
    it(`is sent completely if ${what} was called after its end, and not if it is incomplete`, async () => {
      const big = 'x'.repeat(1_000_000)
      const whole = await bench.call(
        (res) => {
          res.end(big)
          cut(res)
        },
        { keeper: later },
      )
      expect([whole.status, whole.body === big, whole.code]).toEqual([200, true, constants.NGHTTP2_NO_ERROR])
      const half = await bench.call(
        (res) => {
          res.write('half')
          cut(res)
        },
        { keeper: later },
      )
      expect([half.status, half.body]).toEqual([undefined, ''])
    })
  }

  it('holds data sent by the stream itself, pushes nothing, and refuses to send files around the gate', async () => {
    const told: unknown[] = []
    const use: Handler = (res) => {
      expect(res.stream.pushAllowed).toBe(false)
      expect(() => res.createPushResponse({ ':path': '/x' }, () => undefined)).toThrow(/disabled push/i)
      expect(() => res.stream.respondWithFile('package.json')).toThrow(/pipe it/)
      expect(() => res.stream.respondWithFD(0)).toThrow(/pipe it/)
      res.stream.respond({ ':status': 203 })
      res.stream.end('direct')
    }
    const keeper: GateKeeper = { ...later, before: (status) => (told.push(status), sleep(2)) }
    expect(await bench.call(use, { keeper })).toMatchObject({ status: 203, body: 'direct' })
    expect(new Set(told)).toEqual(new Set([203]))
    expect(await bench.call(use, { keeper: refusing })).toMatchObject(REFUSED)
    // Data without a head makes Node send one.
    expect(await bench.call((res) => res.stream.end('data'), { keeper: refusing })).toMatchObject(REFUSED)
  })

  it('is held individually: each of many streams on one session waits for its own keeper', async () => {
    const open: (() => void)[] = []
    const order: number[] = []
    const answers = Array.from({ length: 20 }, async (_, index) => {
      const before = () =>
        index % 3 === 0
          ? new Promise<void>((resolve) => open.push(resolve))
          : index % 3 === 1
            ? sleep(1)
            : Promise.reject(new Error('no'))
      const got = await bench.call((res) => res.end(`answer ${index}`), { keeper: { ...later, before } })
      order.push(index)
      return got
    })
    for (let tries = 0; order.length < 13 && tries < 200; tries += 1) await sleep(5)
    expect(order.filter((index) => index % 3 === 0)).toEqual([])
    while (order.length < 20) {
      for (const go of open.splice(0)) go()
      await sleep(2)
    }
    for (const [index, got] of (await Promise.all(answers)).entries()) {
      expect(got).toMatchObject(index % 3 === 2 ? REFUSED : { status: 200, body: `answer ${index}` })
    }
  })

  /** Answers the questions of the gate one after another; the last answer is repeated. */
  const answering = (...answers: (() => void | Promise<void>)[]): GateKeeper => {
    let asked = 0
    return {
      ...later,
      before: () => {
        const answer = answers[Math.min(asked, answers.length - 1)]
        asked += 1
        return answer?.()
      },
    }
  }
  const atOnce = (): void => undefined
  const soon = async (): Promise<void> => sleep(20)
  const never = async (): Promise<void> => Promise.reject(new Error('no'))

  it('holds early hints, the head and the data in their order, and asks for each', async () => {
    const hints = { link: '</a>; rel=preload' }
    const use: Handler = (res) => {
      res.writeEarlyHints(hints)
      res.writeHead(201)
      res.end('secret')
    }
    expect(await bench.call(use, { keeper: answering(soon, atOnce) })).toMatchObject({
      info: [103],
      status: 201,
      body: 'secret',
      code: constants.NGHTTP2_NO_ERROR,
    })
    const withoutData = await bench.call(use, { keeper: answering(soon, atOnce, never) })
    expect(withoutData).toMatchObject({ info: [103], body: '' })
    const withoutHints = await bench.call(use, { keeper: answering(never) })
    expect(withoutHints).toMatchObject({ info: [], ...REFUSED })
    // The head waits, and the data must not overtake it.
    const overtaking = await bench.call((res) => res.writeHead(201).end('data'), {
      keeper: answering(soon, atOnce),
    })
    expect(overtaking).toMatchObject({ status: 201, body: 'data', code: constants.NGHTTP2_NO_ERROR })
  })

  it('holds trailers, which may be made of data that was read after the end', async () => {
    let agree: () => Promise<void> = soon
    const use: Handler = (res) => {
      res.addTrailers({ 'x-name': 'secret' })
      res.stream.prependListener('wantTrailers', () => (agree = never))
      res.end('data')
    }
    const got = await bench.call(use, { keeper: { ...later, before: async () => agree() } })
    expect([got.status, got.body, got.trailers]).toEqual([200, 'data', undefined])
    expect(got.code).toBe(constants.NGHTTP2_INTERNAL_ERROR)
  })

  it('is held if several parts are sent in one call', async () => {
    const use: Handler = (res) => {
      res.stream.cork()
      res.stream.write('one ')
      res.stream.write('two ')
      res.stream.uncork()
      res.end('three')
    }
    expect(await bench.call(use, { keeper: refusing })).toMatchObject(REFUSED)
    expect(await bench.call(use, { keeper: later })).toMatchObject({ status: 200, body: 'one two three' })
  })

  it('has one layer over its stream, which all streams share, however many gates it has', async () => {
    const prototypes = new Set<unknown>()
    const use: Handler = (res) => {
      gate(res, later)
      prototypes.add(Object.getPrototypeOf(res.stream))
      prototypes.add(Object.getPrototypeOf(res.stream))
      res.end('ok')
    }
    for (let count = 0; count < 3; count += 1) {
      expect(await bench.call(use, { keeper: later })).toMatchObject({ status: 200, body: 'ok' })
    }
    expect(prototypes.size).toBe(1)
  })

  it('takes nothing more after it was refused', async () => {
    const told: unknown[] = []
    let writes = 1
    const use: Handler = (res) => {
      const write = (): void => {
        writes += 1
        // oxlint-disable-next-line no-underscore-dangle -- the method under test; `write` would only buffer
        res.stream._write('more', 'utf8', note)
      }
      const note = (error?: Error | null): void => {
        told.push(error?.message)
        // While the refusal is being sent, and before the stream is destroyed.
        if (writes < 4) write()
      }
      res.write('secret', note)
      write()
    }
    const refuseOnce = answering(async () => sleep(2).then(never), atOnce)
    expect(await bench.call(use, { keeper: refuseOnce })).toMatchObject({
      ...REFUSED,
      code: constants.NGHTTP2_NO_ERROR,
    })
    expect([told.length, writes]).toEqual([4, 4])
    expect(new Set(told)).toEqual(new Set(['the response was not sent']))
  })

  it('counts as sent only if it was neither cut by its handler nor reset by its caller', async () => {
    const isWhole = async (handler: Handler): Promise<unknown> => {
      let whole: unknown
      await bench.call((res, req) => {
        const held = gateResponse(res as unknown as GuardResponse, answering(atOnce))
        res.once('close', () => (whole = held.wholeAnswerLeft))
        return handler(res, req)
      })
      for (let tries = 0; whole === undefined && tries < 200; tries += 1) await sleep(5)
      return whole
    }
    expect(await isWhole((res) => res.end('all'))).toBe(true)
    const cut = async (res: Res): Promise<void> => {
      res.write('half')
      await sleep(10)
      res.stream.close(constants.NGHTTP2_CANCEL)
    }
    expect(await isWhole(cut)).toBe(false)
  })

  it('is dropped if its caller cancels or disconnects, and its callbacks are called', async () => {
    const called: unknown[] = []
    const closed: Promise<unknown>[] = []
    const never = { ...later, before: () => new Promise<void>(() => undefined) }
    for (const cancel of ['cancel', 'destroy'] as const) {
      const own = new Bench()
      await own.open()
      own.handle = (_req, res) => {
        gate(res, never)
        closed.push(new Promise((resolve) => res.once('close', resolve)))
        res.write('secret', (error?: Error | null) => called.push(error?.message))
        res.end()
      }
      const before = closed.length
      const session = own.session as ClientHttp2Session
      const stream = session.request({ ':path': '/cancelled' })
      stream.on('error', () => undefined)
      for (let tries = 0; closed.length === before && tries < 200; tries += 1) await sleep(5)
      if (cancel === 'cancel') stream.close(constants.NGHTTP2_CANCEL)
      else session.destroy()
      await closed[before]
      await own.close()
    }
    for (let tries = 0; called.length < 2 && tries < 200; tries += 1) await sleep(5)
    expect(called).toEqual(['the response was not sent', 'the response was not sent'])
  })

  it('creates no promise and holds nothing if the keeper approves at once', async () => {
    const got = await bench.call(
      (res) => {
        res.write('a')
        expect(res.stream.sentHeaders).toMatchObject({ ':status': 200 })
        res.end('b')
      },
      { keeper: { ...later, before: () => undefined } },
    )
    expect(got).toMatchObject({ status: 200, body: 'ab' })
  })
})
