import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import { EventEmitter } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express, { type Response } from 'express'
// @ts-expect-error -- the package of another version has no types of its own
import express4 from 'express4'
import { gateResponse } from '../../../../src/http/response/gate.ts'
import { forTurns } from '../../../support/turns.ts'

/** The first call, which fixes the head. On the gated response, its bytes are then held. */
const firsts: Record<string, (res: ServerResponse) => void> = {
  write: (res) => void res.write('first '),
  flushHeaders: (res) => res.flushHeaders(),
  writeHead: (res) => void res.writeHead(200, { 'x-head': '1' }),
  end: (res) => void res.end('all'),
}

type Call = (res: Response, seen: (what: unknown) => void) => unknown

const plainCalls: Record<string, Call> = {
  addTrailers: (res) => res.addTrailers({ 'x-trailer': '1' }),
  appendHeader: (res) => res.appendHeader('x-late', '1'),
  assignSocket: (res) => res.assignSocket(res.req.socket),
  cork: (res) => res.cork(),
  end: (res, seen) => res.end('ended', () => seen('end called back')),
  flushHeaders: (res) => res.flushHeaders(),
  getHeader: (res) => res.getHeader('x-head'),
  getHeaderNames: (res) => res.getHeaderNames().length,
  getHeaders: (res) => Object.keys(res.getHeaders()).length,
  getRawHeaderNames: (res) =>
    Reflect.apply(Reflect.get(res, 'getRawHeaderNames') as () => string[], res, []).length,
  hasHeader: (res) => res.hasHeader('x-head'),
  pipe: (res, seen) => {
    res.once('error', seen)
    return res.pipe(new PassThrough())
  },
  removeHeader: (res) => res.removeHeader('x-head'),
  setHeader: (res) => res.setHeader('x-late', '1'),
  setHeaders: (res) => res.setHeaders(new Map([['x-late', '1']])),
  setTimeout: (res) => res.setTimeout(60_000),
  uncork: (res) => res.uncork(),
  write: (res, seen) => res.write('written', (error) => seen(error ?? 'write called back')),
  writeContinue: (res) => res.writeContinue(),
  writeEarlyHints: (res) => res.writeEarlyHints({ link: '</late>; rel=preload' }),
  writeHead: (res) => res.writeHead(500, { 'x-late': '1' }),
  writeHeader: (res) =>
    Reflect.apply(Reflect.get(res, 'writeHeader') as (code: number) => unknown, res, [500]),
  writeInformation: (res) =>
    Reflect.apply(Reflect.get(res, 'writeInformation') as (code: number) => unknown, res, [110]),
  writeProcessing: (res) => res.writeProcessing(),
  // Settable properties. Node ignores most of them after the head is fixed.
  statusCode: (res) => (res.statusCode = 404),
  statusMessage: (res) => (res.statusMessage = 'Late'),
  sendDate: (res) => (res.sendDate = false),
  shouldKeepAlive: (res) => (res.shouldKeepAlive = false),
  strictContentLength: (res) => (res.strictContentLength = true),
  useChunkedEncodingByDefault: (res) => (res.useChunkedEncodingByDefault = false),
  maxRequestsOnConnectionReached: (res) => Reflect.set(res, 'maxRequestsOnConnectionReached', true),
  _headers: (res) => Reflect.set(res, '_headers', { 'x-late': '1' }),
  // Not public, but called by packages that patch responses.
  _implicitHeader: (res) => Reflect.apply(Reflect.get(res, '_implicitHeader') as () => void, res, []),
  _send: (res) => Reflect.apply(Reflect.get(res, '_send') as (text: string) => unknown, res, ['sent']),
  _writeRaw: (res) => Reflect.apply(Reflect.get(res, '_writeRaw') as (text: string) => unknown, res, ['raw']),
  'socket.write': (res) => res.socket?.write('by the socket'),
}

const expressCalls: Record<string, Call> = {
  append: (res) => res.append('x-late', '1'),
  attachment: (res) => res.attachment('late.txt'),
  clearCookie: (res) => res.clearCookie('late'),
  contentType: (res) => res.contentType('text/late'),
  cookie: (res) => res.cookie('late', '1'),
  download: (res, seen) => res.download('package.json', 'late.json', { root: process.cwd() }, seen),
  format: (res) => res.format({ default: () => res.send('formatted') }),
  get: (res) => res.get('x-head'),
  header: (res) => res.header('x-late', '1'),
  json: (res) => res.json({ late: true }),
  jsonp: (res) => res.jsonp({ late: true }),
  links: (res) => res.links({ next: 'http://localhost/late' }),
  location: (res) => res.location('/late'),
  redirect: (res) => res.redirect('/late'),
  render: (res, seen) => res.render('no such view', (error: Error) => seen(error.name)),
  send: (res) => res.send('sent late'),
  sendFile: (res, seen) => res.sendFile('package.json', { root: process.cwd() }, seen),
  sendfile: (res, seen) =>
    Reflect.apply(Reflect.get(res, 'sendfile') as (...given: unknown[]) => unknown, res, [
      'package.json',
      seen,
    ]),
  sendStatus: (res) => res.sendStatus(418),
  set: (res) => res.set('x-late', '1'),
  status: (res) => res.status(404),
  type: (res) => res.type('text/late'),
  vary: (res) => res.vary('x-late'),
}

/** These detach or close the connection. Separate tests cover them. */
const elsewhere = ['destroy', 'detachSocket']
/** Read-only properties, and internal state of Node. */
const readOnly = [
  'constructor',
  'app',
  // Setting it during a response crashes the process with an assertion in Node 24.
  'chunkedEncoding',
  'closed',
  'connection',
  'destroyed',
  'errored',
  'eventNames',
  'finished',
  'headersSent',
  'locals',
  'outputData',
  'outputSize',
  'req',
  'socket',
  'writable',
  'writableCorked',
  'writableEnded',
  'writableFinished',
  'writableHighWaterMark',
  'writableLength',
  'writableNeedDrain',
  'writableObjectMode',
]

function namesOf(res: object): Set<string> {
  const names = new Set<string>()
  for (let at = res; at !== EventEmitter.prototype; at = Object.getPrototypeOf(at) as object) {
    for (const name of Object.getOwnPropertyNames(at)) if (!name.startsWith('_')) names.add(name)
  }
  return names
}

interface Seen {
  threw?: string
  returned?: string
  events: string[]
  wire: string
}

/** Runs one case on a server, followed by a second request on the same connection. */
class Bench {
  readonly #listener: (handle: (res: Response) => unknown) => RequestListener
  readonly #server = createServer((req, res) => this.#handle(req, res))
  #handle: RequestListener = () => undefined

  constructor(listener: (handle: (res: Response) => unknown) => RequestListener) {
    this.#listener = listener
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async names(): Promise<Set<string>> {
    let names = new Set<string>()
    await this.run((res) => {
      names = namesOf(res)
      res.end()
    })
    return names
  }

  async run(handle: (res: Response) => unknown): Promise<string> {
    const listener = this.#listener(handle)
    const second: RequestListener = (_req, res) => void res.writeHead(200, { 'x-second': '1' }).end('second')
    this.#handle = (req, res) => (req.url === '/second' ? second : listener)(req, res)
    const socket = connect((this.#server.address() as AddressInfo).port, '127.0.0.1')
    socket.write(
      'GET /first HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    )
    let wire = ''
    const closed = new Promise<void>((resolve) => {
      socket.on('data', (data) => (wire += data.toString('latin1')))
      socket.on('error', () => undefined)
      socket.on('close', resolve)
    })
    // Some of the tested calls make a bare response wait forever.
    await forTurns(closed, 400)
    socket.destroy()
    return wire.replaceAll(/^Date: .*$/gm, 'Date: then')
  }

  async seen(first: (res: ServerResponse) => void, call: Call): Promise<Seen> {
    const seen: Seen = { events: [], wire: '' }
    const note = (what: unknown): void => void seen.events.push(textOf(what))
    seen.wire = await this.run(async (res) => {
      res.on('error', note)
      first(res)
      try {
        seen.returned = kindOf(res, call(res, note))
      } catch (error) {
        seen.threw = textOf(error)
      }
      await tick()
      try {
        if (!res.writableEnded) res.end('last')
      } catch (error) {
        note(error)
      }
    })
    seen.events.sort()
    return seen
  }
}

function textOf(what: unknown): string {
  const text = what instanceof Error ? ((what as { code?: string }).code ?? what.message) : String(what)
  // It is random whether a file or the end of the response comes first.
  return text === 'ECONNABORTED' || /set headers after they are sent/.test(text) ? 'no file' : text
}

function kindOf(res: object, value: unknown): string {
  if (value === res) return 'the response'
  return typeof value === 'object' || typeof value === 'function' ? typeof value : String(value)
}

const kinds: [
  string,
  Record<string, Call>,
  (handle: (res: Response) => unknown, gate: boolean, told: unknown[]) => RequestListener,
][] = [
  [
    'node:http',
    plainCalls,
    (handle, gate, told) => (_req, res) => {
      if (gate) stand(res, told)
      void handle(res as Response)
    },
  ],
  ...(
    [
      ['Express 5', express],
      ['Express 4', express4 as unknown as typeof express],
    ] as const
  ).map(
    ([name, make]) =>
      [
        name,
        { ...plainCalls, ...expressCalls },
        (handle: (res: Response) => unknown, gate: boolean, told: unknown[]) =>
          make()
            .use((_req, res, next) => {
              if (gate) stand(res, told)
              next()
            })
            .use((_req, res) => void handle(res)),
      ] as (typeof kinds)[number],
  ),
]

function stand(res: ServerResponse, told: unknown[]): void {
  gateResponse(res, {
    before: (status) => {
      told.push(status)
      return sleep(2)
    },
    refuse: () => undefined,
  })
}

describe('a held response', () => {
  for (const [kind, calls, listener] of kinds) {
    describe(`of ${kind}`, () => {
      const told: unknown[] = []
      const bare = new Bench((handle) => listener(handle, false, told))
      const gated = new Bench((handle) => listener(handle, true, told))
      beforeAll(() => Promise.all([bare.open(), gated.open()]))
      afterAll(() => Promise.all([bare.close(), gated.close()]))

      it('has only methods in this table, and no own methods', async () => {
        const known = new Set([...Object.keys(calls), ...elsewhere, ...readOnly])
        expect([...(await gated.names())].filter((name) => !known.has(name))).toEqual([])
        await gated.run((res) => {
          const own = Object.entries(Object.getOwnPropertyDescriptors(res))
          const made = own.filter(([, { get, value }]) => get !== undefined || typeof value === 'function')
          expect(made.map(([name]) => name)).toEqual(['_onPendingData'])
          res.end()
        })
      })

      for (const [first, start] of Object.entries(firsts)) {
        it(`behaves after \`${first}\` like a sent response, whatever is called`, async () => {
          const present = await gated.names()
          const rows = Object.entries(calls).filter(([name]) => /^_|\./.test(name) || present.has(name))
          expect(rows.length).toBeGreaterThan(30)
          for (const [name, call] of rows) {
            told.length = 0
            const expected = { name, ...(await bare.seen(start, call)) }
            expect({ name, ...(await gated.seen(start, call)) }).toEqual(expected)
            // After a head that is rendered but not sent, hints may still be sent. They have no status.
            expect([name, ...new Set(told.filter((status) => status !== undefined))]).toEqual([name, 200])
          }
        }, 120_000)
      }

      it('is cut off by `destroy` if it is incomplete, and sent if it is complete', async () => {
        expect(
          await gated.run((res) => {
            res.write('part')
            res.destroy()
          }),
        ).toBe('')
        for (const error of [undefined, new Error('mail')]) {
          expect(
            await gated.run((res) => {
              res.write('part ')
              res.end('all')
              res.destroy(error)
            }),
          ).toMatch(/^HTTP\/1\.1 200 OK[^]*part [^]*all[^]*0\r\n\r\n$/)
        }
      })
    })
  }
})
