import { createReadStream } from 'node:fs'
import {
  Agent,
  request as httpRequest,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http'
import { connect, createServer as createHttp2Server, type IncomingHttpStatusHeader } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { text as readText } from 'node:stream/consumers'
import { describe, expect, it } from '@jest/globals'
import type { RequestHandler, Response } from 'express'
import {
  auditAccess,
  createPolicySource,
  ipWhitelist,
  memoryNonces,
  memoryStore,
  serverOnly,
  type PolicySource,
} from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'

/** Ways in which a handler responds. */
const WAYS: readonly [name: string, respond: (res: Response) => unknown][] = [
  ['json', (res) => res.status(418).json({ late: true })],
  ['send', (res) => res.send('late')],
  ['sendStatus', (res) => res.sendStatus(418)],
  ['redirect', (res) => res.redirect('/late')],
  ['cookie', (res) => res.cookie('late', '1').end()],
  ['sendFile', (res) => res.sendFile(import.meta.filename)],
  ['writeHead', (res) => res.writeHead(418, { 'x-late': '1' }).end('late')],
  ['setHeader', (res) => void res.setHeader('x-late', '1')],
  ['setHeaders', (res) => void res.setHeaders(new Map([['x-late', '1']]))],
  ['appendHeader', (res) => void res.appendHeader('x-late', '1')],
  ['removeHeader', (res) => res.removeHeader('content-type')],
  ['write', (res) => res.write('late')],
  ['write and end', (res) => res.write('late', 'utf8') && res.end()],
  ['end', (res) => res.end('late')],
  ['flushHeaders', (res) => res.flushHeaders()],
  ['addTrailers', (res) => res.addTrailers({ 'x-late': '1' })],
  ['writeContinue', (res) => res.writeContinue()],
  ['writeProcessing', (res) => res.writeProcessing()],
  ['writeEarlyHints', (res) => res.writeEarlyHints({ link: '</late.css>; rel=preload; as=style' })],
  ['pipe', (res) => createReadStream(import.meta.filename).pipe(res)],
  ['a callback of end', (res) => new Promise<void>((resolve) => void res.end('late', resolve))],
]

/** Those that do not throw although the head has been sent. */
const LATER = WAYS.filter(([name]) => ['write', 'write and end', 'end', 'pipe'].includes(name))

interface Answer {
  readonly status: number
  readonly text: string
}

async function ask(origin: string, agent: Agent): Promise<Answer> {
  const request = httpRequest(origin, { agent, headers: { 'x-app-id': APP } }).end()
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, text: await readText(response) }
}

/** Asks twice on one connection, and waits until the handlers have responded after each answer. */
async function asked(app: RequestListener, late: readonly Promise<unknown>[]): Promise<readonly Answer[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    return await listening(app, async (origin) => {
      const answers: Answer[] = []
      for (let turn = 0; turn < 2; turn += 1) {
        answers.push(await ask(origin, agent))
        await late[turn]
      }
      return answers
    })
  } finally {
    agent.destroy()
  }
}

async function askedHttp2(listener: RequestListener): Promise<readonly Answer[]> {
  const server = createHttp2Server(listener as unknown as Parameters<typeof createHttp2Server>[1])
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  try {
    const stream = session.request({ 'x-app-id': APP })
    const [headers] = (await once(stream, 'response')) as [IncomingHttpStatusHeader]
    return [{ status: headers[':status'] ?? 0, text: await readText(stream) }]
  } finally {
    session.destroy()
    server.close()
  }
}

/** Responds in this way after the response has been sent; the promises reject if that throws or emits an error. */
function responder(respond: (res: Response) => unknown) {
  const late: Promise<unknown>[] = []
  const whenSent = (res: Response): void => {
    late.push(
      new Promise((resolve, reject) => {
        res.on('error', reject)
        const act = async (): Promise<void> => {
          await respond(res)
          // Errors of streams are emitted later.
          setTimeout(resolve, 20)
        }
        setTimeout(() => void act().catch(reject), 50)
      }),
    )
  }
  return { late, whenSent }
}

describe('a handler that responds after Portcullis has refused in its place', () => {
  it.each(WAYS)('changes nothing and causes no error, if it is `onDeny`: %s', async (_name, respond) => {
    const { late, whenSent } = responder(respond)
    const { app } = protectedApp(
      { ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } },
      (policies) => [
        ipWhitelist({
          policies,
          onDeny: (_decision, _req, res, next) => {
            whenSent(res as Response)
            next()
          },
        }),
      ],
    )
    for (const { status, text } of await asked(app, late))
      expect([status, JSON.parse(text)]).toEqual([
        403,
        expect.objectContaining({ code: 'ADDRESS_NOT_ALLOWED' }),
      ])
  })

  it.each<[string, (res: Response) => unknown]>([
    ['a status message with a line break', (res) => void (res.statusMessage = 'not\nallowed')],
    ['trailers', (res) => res.setHeader('Trailer', 'x-sum')],
    ['chunks', (res) => res.setHeader('Transfer-Encoding', 'chunked')],
    ['a compressed body', (res) => res.setHeader('Content-Encoding', 'gzip')],
  ])('has left nothing in the refusal that spoils it: %s', async (_name, prepare) => {
    const { app } = protectedApp(
      { ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } },
      (policies) => [
        ipWhitelist({
          policies,
          onDeny: (_decision, _req, res, next) => {
            prepare(res as Response)
            // An exception in a timer would end the process.
            setTimeout(next, 10)
          },
        }),
      ],
    )
    for (const { status, text } of await asked(app, [])) {
      expect([status, JSON.parse(text)]).toEqual([
        403,
        expect.objectContaining({ code: 'ADDRESS_NOT_ALLOWED' }),
      ])
    }
  })

  it.each(LATER)('changes nothing and causes no error, if the audit failed: %s', async (_name, respond) => {
    const { late, whenSent } = responder(respond)
    const sink = { write: async () => Promise.reject(new Error('full')) }
    const begins: RequestHandler = (_req, res) => {
      whenSent(res)
      res.write('begun')
    }
    const { app } = protectedApp(
      { auditAccess: { mode: 'enforce' } },
      (policies) => [auditAccess({ policies, sink })],
      begins,
    )
    for (const { status, text } of await asked(app, late))
      expect([status, JSON.parse(text)]).toEqual([
        503,
        expect.objectContaining({ code: 'AUDIT_UNAVAILABLE' }),
      ])
  })

  it.each(['HTTP/1', 'HTTP/2'])(
    'may be behind middleware that sends the refusal later: %s',
    async (version) => {
      const guarded = (policies: PolicySource): RequestListener => {
        const guard = ipWhitelist({ policies, onDeny: async (_decision, _req, _res, next) => next() })
        return (req, res) => {
          const end = res.end.bind(res) as (...given: unknown[]) => ServerResponse
          res.end = (...given: unknown[]) => (setTimeout(end, 30, ...given), res)
          guard(req, res, () => undefined)
        }
      }
      const store = memoryStore([
        { policy: { appId: APP, ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } } },
      ])
      const listener = guarded(createPolicySource({ store, maxApps: 10 }))
      const answers = await (version === 'HTTP/1' ? asked(listener, []) : askedHttp2(listener))
      expect(answers.map(({ status, text }) => [status, JSON.parse(text).code])).toEqual(
        answers.map(() => [403, 'ADDRESS_NOT_ALLOWED']),
      )
    },
  )

  // `finalhandler`, which answers for Express, waits for the end of the request, and then for that of the connection.
  it('leaves the process up if Express itself would have answered 404 to forged content', async () => {
    const { app } = protectedApp(
      { serverOnly: { mode: 'enforce' } },
      (policies) => [serverOnly({ policies, nonces: memoryNonces(), streamed: true })],
      (_req, _res, next) => next(),
    )
    await listening(app, async (origin, server) => {
      const closed = new Promise((resolve) =>
        server.once('connection', (socket) => socket.once('close', resolve)),
      )
      const headers = { 'x-app-id': APP, 'content-type': 'a/b' }
      const message = { method: 'POST', url: `${origin}/nowhere`, headers, body: 'signed' }
      const signed = await signRequest(message, { keyId: KEY.id, secret: KEY.secret })
      const request = httpRequest(message.url, { method: 'POST', headers: signed, agent: false })
      request.write('for')
      setTimeout(() => request.end('ged'), 50)
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      expect([response.statusCode, JSON.parse(await readText(response))]).toEqual([
        401,
        expect.objectContaining({ code: 'DIGEST_MISMATCH' }),
      ])
      request.destroy()
      await closed
      // An error in a listener of the socket would have ended the process.
      expect((await fetch(origin)).status).toBe(401)
    })
  }, 20_000)
})
