import { once } from 'node:events'
import { createServer, IncomingMessage, ServerResponse } from 'node:http'
import { connect, Socket, type AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { deny, DENIALS, type DenialCode } from '../../../../src/decision.ts'
import { sendProblem } from '../../../../src/http/response/problem.ts'
import { refuse, type DenyHandler } from '../../../../src/http/response/refuse.ts'

const decision = deny('ipWhitelist', 'enforce', 'ADDRESS_NOT_ALLOWED', 'for operators')

function exchange() {
  const req = new IncomingMessage(new Socket())
  return { req, res: new ServerResponse(req) }
}

/** A refusal that `onDeny` may answer, and the errors that it passes on. */
function refused(onDeny: DenyHandler | undefined) {
  const { req, res } = exchange()
  const passed: unknown[] = []
  const next = (error?: unknown): void => void passed.push(error)
  refuse({ decision, requestId: 'r', extension: undefined }, onDeny, req, res, next)
  return { res, passed }
}

describe('a refusal', () => {
  beforeEach(() => void jest.useFakeTimers())
  afterEach(() => void jest.useRealTimers())

  it('is answered at once without `onDeny`', () => {
    const { res } = refused(undefined)
    expect([res.statusCode, res.writableEnded]).toEqual([403, true])
  })

  it('is answered after five seconds if `onDeny` has not answered', () => {
    const { res, passed } = refused(() => undefined)
    jest.advanceTimersByTime(4_999)
    expect(res.writableEnded).toBe(false)
    jest.advanceTimersByTime(1)
    expect([res.statusCode, res.writableEnded, passed]).toEqual([403, true, []])
  })

  it.each([undefined, null, '', 0, false, 'route', 'router'])(
    'is answered if `onDeny` calls `next(%j)`, which Express treats as permission to continue',
    (given) => {
      const { res, passed } = refused((_decision, _req, _res, next) => next(given))
      expect([res.statusCode, res.writableEnded, passed]).toEqual([403, true, []])
    },
  )

  it('goes once to the error handler if `onDeny` passes an error on', () => {
    const error = new Error('mine')
    const { res, passed } = refused((_decision, _req, _res, next) => {
      next(error)
      next(new Error('again'))
      next()
    })
    jest.advanceTimersByTime(10_000)
    expect([passed, res.writableEnded]).toEqual([[error], false])
  })

  it('passes no error on once it has been answered: Express would cut the connection, on which other requests may be', () => {
    const { res, passed } = refused((_decision, _req, _res, next) => {
      setTimeout(() => next(new Error('late')), 6_000)
    })
    jest.advanceTimersByTime(10_000)
    expect([res.statusCode, res.writableEnded, passed]).toEqual([403, true, []])
  })

  it('cuts the connection if the answer cannot be written', () => {
    const { res } = refused((_decision, _req, response) => {
      response.setHeader = () => {
        throw new Error('of other middleware')
      }
    })
    jest.advanceTimersByTime(5_000)
    expect([res.headersSent, res.destroyed]).toEqual([false, true])
  })

  it.each<[what: string, onDeny: DenyHandler]>([
    ['resolves without an answer', async () => undefined],
    ['rejects', async () => Promise.reject(new Error('mine'))],
  ])('is answered if `onDeny` %s', async (_what, onDeny) => {
    const { res, passed } = refused(onDeny)
    await jest.advanceTimersByTimeAsync(0)
    expect([res.statusCode, res.writableEnded, passed]).toEqual([403, true, []])
  })

  it('is left to an `onDeny` that answers', () => {
    const { res } = refused((_decision, _req, response) => response.writeHead(418).end())
    jest.advanceTimersByTime(10_000)
    expect(res.statusCode).toBe(418)
  })
})

describe('the problem document', () => {
  it.each(Object.entries(DENIALS))('of %s has the headers that its status requires', (code, { status }) => {
    const { res } = exchange()
    sendProblem(res, code as DenialCode, 'request-1')
    expect(res.statusCode).toBe(status)
    const { 'retry-after': retryAfter, 'content-length': length, ...headers } = { ...res.getHeaders() }
    expect(headers).toEqual({
      'content-type': 'application/problem+json',
      'cache-control': 'no-store',
      'x-request-id': 'request-1',
      ...(status === 401 && { 'www-authenticate': 'Signature' }),
    })
    expect(Number(length)).toBeGreaterThan(0)
    if (status === 503) expect(['1', '2', '3', '4', '5']).toContain(retryAfter)
    else expect(retryAfter).toBeUndefined()
  })
})

describe('the bytes of a refusal', () => {
  /** What a server sends that has set a header before it refuses. */
  async function bytesOf(header: string, extension?: Readonly<Record<string, unknown>>): Promise<Buffer> {
    const server = createServer((_req, res) => {
      res.setHeader('X-User', header)
      sendProblem(res, 'ADDRESS_NOT_ALLOWED', 'r', extension)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: gateway.example\r\nConnection: close\r\n\r\n')
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    server.close()
    return Buffer.concat(chunks)
  }

  it.each(['ASCII', 'J\u00fcrgen', '\u00ff\u0080'])(
    'leave a header of other middleware as it is: %j',
    async (header) => {
      const bytes = await bytesOf(header)
      expect(bytes.includes(Buffer.from(`X-User: ${header}\r\n`, 'latin1'))).toBe(true)
    },
  )

  it.each(['J\u00fcrgen', '\u65e5\u672c', '\u{1f600}', '\ud800', 'a"b\\c'])(
    'keep the text of an extension, and its length: %j',
    async (text) => {
      const message = (await bytesOf('\u00fc', { text })).toString('latin1')
      const [head = '', body = ''] = message.split('\r\n\r\n')
      expect(JSON.parse(body)).toMatchObject({ code: 'ADDRESS_NOT_ALLOWED', text })
      expect(head).toContain(`Content-Length: ${body.length}\r\n`)
    },
  )
})
