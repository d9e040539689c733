import type { RequestListener, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
// @ts-expect-error -- the package of another version has no types of its own
import express4 from 'express4'
import {
  auditAccess,
  createPolicySource,
  memoryStore,
  type GuardRequest,
  type GuardResponse,
  type RequestHandler as Guard,
  type PolicyInput,
} from 'portcullis'
import type { AuditEvent, AuditSink } from 'portcullis/audit'
import { adapter } from '../../support/adapters.ts'
import { APP } from '../../support/protected-app.ts'

const ALICE = { email: 'alice@example.org' }

interface Answer {
  status: number
  body: string
  headers: Record<string, unknown>
}

type Handler = (req: GuardRequest, res: ServerResponse) => unknown
/** Sends one request to an application with guards and a handler. */
type Serve = (guards: readonly Guard[], handler: Handler, method: string) => Promise<Answer>

type Serverless = (app: unknown) => (
  event: object,
  context: object,
) => Promise<{
  statusCode: number
  body: string
  headers: Record<string, unknown>
}>
type Inject = (
  listener: RequestListener,
  options: object,
) => Promise<{ statusCode: number; payload: string; headers: Record<string, unknown> }>

type ServerlessExpress = (options: { app: unknown; log: object }) => ReturnType<Serverless>

let serverless: Serverless
let serverlessExpress: ServerlessExpress
let inject: Inject
beforeAll(async () => {
  serverless = (await adapter('serverless-http')) as Serverless
  serverlessExpress = (await adapter('@codegenie/serverless-express')) as ServerlessExpress
  inject = (await adapter('light-my-request')) as Inject
}, 300_000)

function appOf(make: typeof express, guards: readonly Guard[], handler: Handler): unknown {
  const app = make()
  app.set('env', 'test')
  app.use(...(guards as unknown as RequestHandler[]))
  // A sub-app replaces the prototype of the response.
  app.use(make().use((req, res) => void handler(req, res)))
  return app
}

function onServerless(make: typeof express): Serve {
  return async (guards, handler, method) => {
    const app = appOf(make, guards, handler)
    const { statusCode, body, headers } = await serverless(app)(
      {
        httpMethod: method,
        path: '/',
        headers: { 'x-app-id': APP },
        body: method === 'POST' ? 'sent' : null,
      },
      {},
    )
    return { status: statusCode, body, headers }
  }
}

/** It takes a response for complete that is `writableEnded` when the application returns, and logs errors of a response. */
function onServerlessExpress(make: typeof express): Serve {
  return async (guards, handler, method) => {
    const logged: unknown[] = []
    const ignore = (): void => undefined
    const log = { debug: ignore, info: ignore, error: (_what: string, error: unknown) => logged.push(error) }
    const serve = serverlessExpress({ app: appOf(make, guards, handler), log })
    const { statusCode, body, headers } = await serve(
      {
        version: '2.0',
        rawPath: '/',
        rawQueryString: '',
        headers: { 'x-app-id': APP },
        requestContext: { http: { method, sourceIp: '127.0.0.1' } },
        ...(method === 'POST' && { body: 'sent' }),
      },
      {},
    )
    for (const error of logged) throw error
    return { status: statusCode, body, headers }
  }
}

const kinds: Record<string, Serve> = {
  '@codegenie/serverless-express with Express 5': onServerlessExpress(express),
  '@codegenie/serverless-express with Express 4': onServerlessExpress(express4 as typeof express),
  'serverless-http with Express 5': onServerless(express),
  'serverless-http with Express 4': onServerless(express4 as typeof express),
  'light-my-request with a bare handler': async (guards, handler, method) => {
    const listener: RequestListener = (req, res) => {
      const next = (index: number): void => {
        const guard = guards[index]
        if (guard !== undefined) {
          guard(req, res, () => next(index + 1))
          return
        }
        try {
          const done = handler(req, res)
          if (done instanceof Promise) done.catch(() => undefined)
        } catch {
          // Like servers that have already answered.
        }
      }
      next(0)
    }
    const answer = await inject(listener, {
      method,
      url: '/',
      headers: { 'x-app-id': APP },
      ...(method === 'POST' && { payload: 'sent' }),
    })
    return { status: answer.statusCode, body: answer.payload, headers: answer.headers }
  },
}

/** An asynchronous sink, and its stored events. */
function slowSink(fails: () => boolean = () => false) {
  const kept: AuditEvent[] = []
  const sink: AuditSink = {
    async write(events) {
      await sleep(5)
      if (fails()) throw new Error('down')
      kept.push(...events)
    },
  }
  return { kept, sink }
}

type Section = PolicyInput['auditAccess']

const SECTION: Section = { mode: 'enforce', onSinkFailure: 'deny' }

/** The policy is known: handlers run before the application returns, as for all but the first request. */
async function guard(sink: AuditSink, section: Section = SECTION): Promise<Guard> {
  const store = memoryStore([{ policy: { appId: APP, auditAccess: section } }])
  const policies = createPolicySource({ store })
  await policies.load(APP)
  return auditAccess({ policies, sink, sinkTimeout: 2_000 })
}

const brief = (events: readonly AuditEvent[]) =>
  events.map((event) =>
    'outcome' in event
      ? [event.kind, event.outcome, event.status]
      : [event.kind, 'field' in event && event.field],
  )

async function until(found: () => boolean): Promise<void> {
  for (let tries = 0; !found() && tries < 400; tries += 1) await sleep(5)
}

const read = (req: GuardRequest): string =>
  (req.portcullis as NonNullable<typeof req.portcullis>).audit.person('7', ALICE).email

const handlers: [string, Handler, Partial<Answer>][] = [
  ['answers at once', (req, res) => void res.end(read(req)), { status: 200, body: ALICE.email }],
  [
    'answers in parts',
    async (req, res) => {
      res.write('of ')
      await sleep(3)
      res.write(Buffer.from(read(req)))
      await sleep(3)
      res.end('.')
    },
    { status: 200, body: `of ${ALICE.email}.` },
  ],
  [
    'writes the head first',
    (req, res) => void res.writeHead(202, { 'x-head': '1' }).end(read(req)),
    { status: 202, body: ALICE.email, headers: { 'x-head': '1' } },
  ],
  [
    'changes status and headers after the first byte',
    (req, res) => {
      res.statusCode = 201
      res.setHeader('x-early', '1')
      res.write(read(req))
      expect(res.headersSent).toBe(true)
      res.statusCode = 404
      expect(() => res.setHeader('x-late', '1')).toThrow(/after they are sent/)
      expect(() => res.removeHeader('x-early')).toThrow(/after they are sent/)
      expect(() => res.writeHead(500)).toThrow(/after they are sent/)
      res.end()
      // Adapters would take it for complete.
      expect(res.writableEnded).toBe(false)
    },
    { status: 201, body: ALICE.email, headers: { 'x-early': '1' } },
  ],
  [
    'throws when it has answered',
    (req, res) => {
      res.end(read(req))
      throw Object.assign(new Error('mail'), { stack: '' })
    },
    { status: 200, body: ALICE.email },
  ],
  [
    'destroys the response when it has answered',
    (req, res) => {
      res.end(read(req))
      res.destroy()
    },
    { status: 200, body: ALICE.email },
  ],
  [
    'answers twice',
    (req, res) => {
      res.on('error', () => undefined)
      res.end(read(req))
      res.end('again')
      res.write('again')
    },
    { status: 200, body: ALICE.email },
  ],
]

for (const [kind, serve] of Object.entries(kinds)) {
  describe(`auditAccess on ${kind}`, () => {
    for (const [what, handler, expected] of handlers) {
      for (const method of ['GET', 'POST']) {
        it(`stores the events of a ${method} before the answer is sent, when the handler ${what}`, async () => {
          const { kept, sink } = slowSink()
          const answer = await serve([await guard(sink)], handler, method)
          const atAnswer = brief(kept)
          expect(answer).toMatchObject(expected)
          expect(answer.headers).not.toHaveProperty('x-late')
          expect(atAnswer.map(String).toSorted()).toEqual([
            'field,email',
            `operation,answered,${expected.status}`,
          ])
          await sleep(20)
          expect(brief(kept)).toEqual(atAnswer)
        })
      }

      it(`refuses instead of a handler that ${what}, when the sink fails`, async () => {
        const { sink } = slowSink(() => true)
        const answer = await serve([await guard(sink)], handler, 'GET')
        expect([answer.status, JSON.parse(answer.body).code]).toEqual([503, 'AUDIT_UNAVAILABLE'])
        expect(JSON.stringify(answer)).not.toMatch(/alice|x-early|x-head/)
      })
    }

    it('consults both of two mounts', async () => {
      for (const fails of [false, true]) {
        const [first, second] = [slowSink(), slowSink(() => fails)]
        const { status } = await serve(
          [await guard(first.sink), await guard(second.sink)],
          (_req, res) => res.end('ok'),
          'GET',
        )
        expect(status).toBe(fails ? 503 : 200)
        await until(() => first.kept.length > (fails ? 1 : 0))
        expect(brief(first.kept)).toEqual([
          ['operation', 'answered', 200],
          ...(fails ? [['outcome', 'refused', 503]] : []),
        ])
        if (!fails) expect(brief(second.kept)).toEqual([['operation', 'answered', 200]])
      }
    })

    it('calls the callbacks of write and end, and emits `finish` after the answer is sent', async () => {
      const called: string[] = []
      const { kept, sink } = slowSink()
      await serve(
        [await guard(sink)],
        (_req, res) => {
          res.once('finish', () => called.push(`finish behind ${kept.length}`))
          res.write('a', () => called.push('write'))
          res.end('b', () => called.push('end'))
          expect(called).toEqual([])
        },
        'GET',
      )
      await until(() => called.length === 3)
      expect(called.toSorted()).toEqual(['end', 'finish behind 1', 'write'])
    })

    it('ends with an error if a later part is refused, so that the answer does not seem complete', async () => {
      let writes = 0
      const { sink } = slowSink(() => ++writes > 1)
      const guards = [await guard(sink)]
      const answer = serve(
        guards,
        async (req, res) => {
          res.write('sent ')
          await sleep(30)
          res.end(read(req))
        },
        'GET',
      )
      await expect(answer).rejects.toThrow(/not sent/)
    })

    it('records an answer that is not held', async () => {
      const { kept, sink } = slowSink()
      const section = { mode: 'enforce', onSinkFailure: 'allow' } as const
      await serve([await guard(sink, section)], (_req, res) => res.end('ok'), 'GET')
      await until(() => kept.length > 0)
      expect(brief(kept)).toEqual([['operation', 'answered', 200]])
    })
  })
}

describe('a response that cannot be held', () => {
  it('is refused, with the reason in the detail', async () => {
    const details: string[] = []
    const { sink } = slowSink()
    const store = memoryStore([{ policy: { appId: APP, auditAccess: { mode: 'enforce' } } }])
    const audit = auditAccess({
      policies: createPolicySource({ store }),
      sink,
      onDecision: (decision) => void details.push(decision.detail),
    })
    const sent: unknown[] = []
    const res = {
      headersSent: false,
      on: () => undefined,
      setHeader: () => undefined,
      end: (body: unknown) => sent.push(String(body)),
    }
    audit(
      { headers: { 'x-app-id': APP }, rawHeaders: ['x-app-id', APP] } as unknown as GuardRequest,
      res as unknown as GuardResponse,
      () => sent.push('passed'),
    )
    await until(() => sent.length > 0)
    expect(sent).toEqual([expect.stringContaining('"status":503')])
    expect(details).toEqual([
      expect.stringMatching(/the response cannot be held back: the response has no connection/),
    ])
  })
})
