import type { RequestListener } from 'node:http'
import { once } from 'node:events'
import { connect as connectHttp2, constants, createServer as createHttp2Server } from 'node:http2'
import { connect, type AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import request from 'supertest'
import {
  auditAccess,
  createPolicySource,
  memoryStore,
  type AuditAccessOptions,
  type GuardRequest,
  type GuardResponse,
  type PolicySource,
  type PolicyInput,
} from 'portcullis'
import type { AuditEvent, AuditSink } from 'portcullis/audit'
import { APP, listening, protectedApp } from '../../support/protected-app.ts'

const ALICE = { email: 'alice@example.org', name: 'Alice' }
const DENY = { auditAccess: { mode: 'enforce', onSinkFailure: 'deny' } } as const

/** A sink that returns a promise, like one for a database, and can fail. */
function slowSink(fails: (events: readonly AuditEvent[]) => boolean = () => false, delay = 3) {
  const kept: AuditEvent[] = []
  const sink: AuditSink = {
    async write(events) {
      await sleep(delay)
      if (fails(events)) throw new Error('down')
      kept.push(...events)
    },
  }
  return { kept, sink }
}

/** Waits for a condition. The limit only detects hangs. */
async function until(found: () => boolean): Promise<void> {
  for (let tries = 0; !found() && tries < 1_000; tries += 1) await sleep(5)
}

function audited(handler: RequestHandler, sink: AuditSink, options: Partial<AuditAccessOptions> = {}) {
  const guards = (policies: PolicySource) => [auditAccess({ policies, sink, sinkTimeout: 1_000, ...options })]
  return protectedApp(DENY, guards, handler)
}

const brief = (events: readonly AuditEvent[]) =>
  events.map((event) =>
    'outcome' in event
      ? [event.kind, event.outcome, event.status]
      : [event.kind, 'field' in event && event.field],
  )

/** Sends raw requests on one connection, and closes it when `cut` says so or when the server does. */
async function raw(origin: string, text: string, cut?: (wire: string) => boolean): Promise<string> {
  const socket = connect(Number(new URL(origin).port), '127.0.0.1')
  let wire = ''
  socket.write(text)
  await new Promise<void>((resolve) => {
    socket.on('data', (data) => {
      wire += data.toString('latin1')
      if (cut?.(wire) === true) socket.resetAndDestroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
  })
  return wire
}

const get = (path: string, more = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nx-app-id: ${APP}\r\n${more}\r\n`

describe('the outcome of a request in the audit', () => {
  describe('whose handler fails after it has answered', () => {
    const failures: [string, RequestHandler][] = [
      [
        'throws',
        (_req, res) => {
          res.json({ ok: 1 })
          throw Object.assign(new Error('mail'), { stack: '' })
        },
      ],
      ['hands an error on', (_req, res, next) => (res.json({ ok: 1 }), next(new Error('mail')))],
      ['destroys the request', (req, res) => void (res.json({ ok: 1 }), req.destroy())],
      ['destroys the response', (_req, res) => void (res.json({ ok: 1 }), res.destroy())],
      ['answers once more', (_req, res) => (res.json({ ok: 1 }), res.json({ ok: 2 }))],
    ]
    for (const [what, handler] of failures) {
      it(`is "answered", correctly, when the handler ${what}`, async () => {
        const { kept, sink } = slowSink()
        const { app } = audited(handler, sink)
        app.set('env', 'test')
        await listening(app, async (origin) => {
          const response = await fetch(origin, { headers: { 'x-app-id': APP } })
          expect([response.status, await response.json()]).toEqual([200, { ok: 1 }])
        })
        expect(brief(kept)).toEqual([['operation', 'answered', 200]])
      })
    }

    it('is "aborted" if the answer was incomplete', async () => {
      const { kept, sink } = slowSink()
      const { app } = audited((_req, res) => {
        res.write('half')
        throw Object.assign(new Error('mail'), { stack: '' })
      }, sink)
      app.set('env', 'test')
      await listening(app, async (origin) => {
        expect(await raw(origin, get('/'))).toBe('')
        await until(() => kept.length > 1)
      })
      expect(brief(kept)).toEqual([
        ['operation', 'answered', 200],
        ['outcome', 'aborted', undefined],
      ])
    })
  })

  it('is the refusal that the caller received instead of an answer, when the sink has failed once', async () => {
    let failures = 1
    const { kept, sink } = slowSink(() => failures-- > 0)
    const { app } = audited((_req, res) => void res.json({ secret: 1 }), sink)
    const refused = await request(app).get('/').set('x-app-id', APP).expect(503)
    await until(() => kept.length === 2)
    expect(brief(kept)).toEqual([
      ['operation', 'answered', 200],
      ['outcome', 'refused', 503],
    ])
    expect(kept.map(({ requestId }) => requestId)).toEqual([refused.body.instance, refused.body.instance])
    expect(new Set(kept.map(({ id }) => id)).size).toBe(2)
  })

  const big = 'x'.repeat(20_000_000)
  const downloads: [string, RequestHandler][] = [
    ['was sent at once', (_req, res) => void res.end(big)],
    [
      'comes in pieces',
      (_req, res) => {
        const more = (error?: Error | null): void => {
          if (!error && !res.destroyed) res.write('x'.repeat(100_000), more)
        }
        more()
      },
    ],
  ]
  for (const onSinkFailure of ['deny', 'allow'] as const) {
    for (const [what, handler] of downloads) {
      it(`is "aborted" for a download that ${what} and is cut off in the middle (${onSinkFailure})`, async () => {
        const { kept, sink } = slowSink()
        const { app } = protectedApp(
          { auditAccess: { mode: 'enforce', onSinkFailure } },
          (policies) => [auditAccess({ policies, sink, sinkTimeout: 1_000 })],
          handler,
        )
        await listening(app, async (origin) => {
          await raw(origin, get('/'), (wire) => wire.length > 10_000)
          await until(() => brief(kept).some((event) => event[1] === 'aborted'))
        })
        expect(brief(kept)).toEqual(
          onSinkFailure === 'deny'
            ? [
                ['operation', 'answered', 200],
                ['outcome', 'aborted', 200],
              ]
            : [['operation', 'aborted', 200]],
        )
      })
    }
  }

  const bodiless: [string, string, RequestHandler][] = [
    // Callers such as `curl -I` close the connection after the head, which is all that they get.
    ['HEAD', 'a HEAD', (_req, res) => res.flushHeaders()],
    ['HEAD', 'a HEAD with a length', (_req, res) => res.setHeader('content-length', 9).flushHeaders()],
    ['GET', 'a 304', (_req, res) => res.writeHead(304).flushHeaders()],
  ]
  for (const onSinkFailure of ['deny', 'allow'] as const) {
    for (const [method, what, handler] of bodiless) {
      const section = { auditAccess: { mode: 'enforce', onSinkFailure } } as const
      it(`is "answered" for ${what} whose caller disconnects after the head (${onSinkFailure})`, async () => {
        const { kept, sink } = slowSink()
        const guards = (policies: PolicySource) => [auditAccess({ policies, sink, sinkTimeout: 1_000 })]
        const { app } = protectedApp(section, guards, handler)
        const text = get('/').replace('GET', method)
        await listening(app, async (origin) => {
          const wire = await raw(origin, text, (sent) => sent.includes('\r\n\r\n'))
          expect(wire).toMatch(/^HTTP\/1\.1 (?:200|304)/)
          await until(() => kept.length > 0)
          await sleep(30)
        })
        const status = what === 'a 304' ? 304 : 200
        expect(brief(kept)).toEqual([['operation', 'answered', status]])
      })
    }

    it(`is "aborted" for a HEAD whose caller disconnects before the head is sent (${onSinkFailure})`, async () => {
      const { kept, sink } = slowSink(undefined, 50)
      let reach: (res: GuardResponse) => void = () => undefined
      const reached = new Promise<GuardResponse>((resolve) => (reach = resolve))
      const guards = (policies: PolicySource) => [auditAccess({ policies, sink, sinkTimeout: 1_000 })]
      const section = { auditAccess: { mode: 'enforce', onSinkFailure } } as const
      const { app } = protectedApp(section, guards, (_req, res) => reach(res))
      await listening(app, async (origin) => {
        const socket = connect(Number(new URL(origin).port), '127.0.0.1')
        socket.on('error', () => undefined)
        socket.write(get('/').replace('GET', 'HEAD'))
        const res = await reached
        if (onSinkFailure === 'deny') res.flushHeaders()
        socket.resetAndDestroy()
        await until(() => brief(kept).some((event) => event[1] === 'aborted'))
      })
      expect(brief(kept).at(-1)?.[1]).toBe('aborted')
    })
  }

  it('is "aborted" for an upload that the caller cuts off', async () => {
    const { kept, sink } = slowSink()
    let reach: () => void = () => undefined
    const reached = new Promise<void>((resolve) => (reach = resolve))
    const { app } = audited((req, res, next) => {
      req.on('error', next)
      req.on('end', () => res.json({ ok: 1 }))
      req.resume()
      reach()
    }, sink)
    await listening(app, async (origin) => {
      const socket = connect(Number(new URL(origin).port), '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(`POST / HTTP/1.1\r\nHost: x\r\nx-app-id: ${APP}\r\nContent-Length: 100\r\n\r\nhalf`)
      await reached
      socket.resetAndDestroy()
      await until(() => kept.length > 0)
    })
    expect(kept).toMatchObject([{ kind: 'operation', outcome: 'aborted' }])
  })

  it('has the address of the caller, even if the caller has disconnected', async () => {
    const addresses: unknown[] = []
    for (const load of ['at once', 'later'] as const) {
      for (const onSinkFailure of ['deny', 'allow'] as const) {
        const { kept, sink } = slowSink()
        const store = memoryStore([
          { policy: { appId: APP, auditAccess: { mode: 'enforce', onSinkFailure } } },
        ])
        const policies = createPolicySource({ store })
        let asked = 0
        const appId = () => ((asked += 1), load === 'at once' ? APP : sleep(60).then(() => APP))
        const audit = auditAccess({ policies, sink, appId, pseudonymKey: Buffer.alloc(32, 1) })
        const app = express().use(audit as unknown as RequestHandler, (req, res) => {
          if (req.path !== '/stays') return
          res.json({ ok: 1 })
        })
        await listening(app, async (origin) => {
          await (await fetch(`${origin}/stays`)).text()
          const socket = connect(Number(new URL(origin).port), '127.0.0.1')
          socket.on('error', () => undefined)
          socket.write(get('/goes'))
          await until(() => asked === 2)
          socket.resetAndDestroy()
          await until(() => kept.length > 1)
        })
        for (const event of kept) addresses.push(event.kind === 'operation' && event.address)
      }
    }
    expect(addresses).toHaveLength(8)
    expect(new Set(addresses)).toEqual(new Set([expect.any(String)]))
  })

  it('is recorded after the operation, even if the caller disconnects while that event is in flight', async () => {
    const { kept, sink } = slowSink()
    let first = true
    const slowAtFirst: AuditSink = {
      async write(events) {
        const delay = first ? 80 : 0
        first = false
        await sleep(delay)
        await sink.write(events)
      },
    }
    const { app } = audited((_req, res) => void res.write('a part'), slowAtFirst)
    await listening(app, async (origin) => {
      const socket = connect(Number(new URL(origin).port), '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(get('/'))
      await until(() => !first)
      socket.resetAndDestroy()
      await until(() => kept.length === 2)
    })
    expect(brief(kept)).toEqual([
      ['operation', 'answered', 200],
      ['outcome', 'aborted', undefined],
    ])
  })

  it.each(['deny', 'allow'] as const)(
    'is "answered" for a caller that half-closes while the answer waits, and receives all of it (%s)',
    async (onSinkFailure) => {
      const { kept, sink } = slowSink(undefined, 60)
      const body = 'x'.repeat(100_000)
      const { app } = protectedApp(
        { auditAccess: { mode: 'enforce', onSinkFailure } },
        (policies) => [auditAccess({ policies, sink })],
        (_req, res) => void res.send(body),
      )
      let answer = ''
      await listening(app, async (origin) => {
        const socket = connect(Number(new URL(origin).port), '127.0.0.1')
        socket.on('data', (chunk: Buffer) => (answer += chunk.toString()))
        socket.write(get('/first'))
        await sleep(10)
        socket.end()
        await once(socket, 'close')
        await sleep(150)
      })
      expect(answer.endsWith(body)).toBe(true)
      expect(kept.map((event) => [event.kind, 'outcome' in event && event.outcome])).toEqual([
        ['operation', 'answered'],
      ])
    },
  )

  it('is "aborted" for requests that waited behind one whose caller has disconnected', async () => {
    for (const onSinkFailure of ['deny', 'allow'] as const) {
      const { kept, sink } = slowSink()
      const reached: string[] = []
      const { app } = protectedApp(
        { auditAccess: { mode: 'enforce', onSinkFailure } },
        (policies) => [auditAccess({ policies, sink, operation: ({ originalUrl = '' }) => originalUrl })],
        (req, res) => {
          reached.push(req.originalUrl)
          if (req.path !== '/first') res.json({ ok: 1 })
        },
      )
      await listening(app, async (origin) => {
        const socket = connect(Number(new URL(origin).port), '127.0.0.1')
        socket.on('error', () => undefined)
        socket.write(get('/first') + get('/second') + get('/third'))
        await until(() => reached.length === 3)
        await sleep(20)
        socket.resetAndDestroy()
        await until(() => kept.length === 3)
      })
      const ends = kept.map(
        (event) => event.kind === 'operation' && [event.operation, event.outcome, event.status],
      )
      expect(ends.toSorted((a, b) => (String(a) < String(b) ? -1 : 1))).toEqual([
        ['/first', 'aborted', undefined],
        ['/second', 'aborted', onSinkFailure === 'deny' ? undefined : 200],
        ['/third', 'aborted', onSinkFailure === 'deny' ? undefined : 200],
      ])
    }
  })

  it('has the status that was sent, whatever the handler has set since', async () => {
    const { kept, sink } = slowSink()
    const { app } = audited((_req, res) => {
      res.status(201)
      res.write('made')
      res.status(500)
      res.end()
    }, sink)
    await request(app).get('/').set('x-app-id', APP).expect(201)
    await until(() => kept.length > 0)
    expect(brief(kept)).toEqual([['operation', 'answered', 201]])
  })

  it('includes reads before early hints, which are stored before the hints are sent', async () => {
    const { kept, sink } = slowSink()
    const { app } = audited((req, res) => {
      const { email } = req.portcullis.audit.person('7', ALICE)
      res.writeEarlyHints({ link: `</u/${email}>; rel=preload` })
      setTimeout(() => res.json({ ok: 1 }), 30)
    }, sink)
    await listening(app, async (origin) => {
      const atHints: unknown[] = []
      const wire = await raw(origin, get('/', 'Connection: close\r\n'), (sofar) => {
        if (atHints.length === 0 && sofar.includes('103')) atHints.push(...brief(kept))
        return false
      })
      expect(wire).toMatch(/^HTTP\/1\.1 103 Early Hints[^]*HTTP\/1\.1 200 OK/)
      expect(atHints).toEqual([['field', 'email']])
    })
    expect(brief(kept)).toEqual([
      ['field', 'email'],
      ['operation', 'answered', 200],
    ])
  })

  it('requires a working sink: otherwise nothing is sent, not even hints', async () => {
    const { app } = audited(
      (req, res) => {
        res.writeEarlyHints({ link: `</u/${req.portcullis.audit.person('7', ALICE).email}>; rel=preload` })
        res.json({ ok: 1 })
      },
      { write: () => Promise.reject(new Error('down')) },
    )
    await listening(app, async (origin) => {
      const wire = await raw(origin, get('/'))
      expect(wire).toMatch(/^HTTP\/1\.1 503 /)
      expect(wire).not.toContain('alice')
    })
  })
})

describe('two audits of one request', () => {
  const SECTIONS = {
    deny: { mode: 'enforce', onSinkFailure: 'deny' },
    allow: { mode: 'enforce', onSinkFailure: 'allow' },
    report: { mode: 'report' },
    off: { mode: 'off' },
  } as const
  type Name = keyof typeof SECTIONS
  const names = Object.keys(SECTIONS) as Name[]

  /** Two mounts for two apps or for the same one, with reads between and after them. */
  function twice(
    first: AuditSink,
    second: AuditSink,
    sections: readonly PolicyInput['auditAccess'][],
    same: boolean,
  ): RequestListener {
    const apps = same ? [APP, APP] : [APP, 'app-2']
    const policies = createPolicySource({
      store: memoryStore(
        [...new Set(apps)].map((appId, index) => ({ policy: { appId, auditAccess: sections[index] } })),
      ),
    })
    const app = express()
    app.use(auditAccess({ policies, sink: first, appId: () => apps[0], sinkTimeout: 200 }))
    app.use((req, _res, next) => {
      const view = req.portcullis.audit.person('7', ALICE)
      void view.name
      next()
    })
    app.use(auditAccess({ policies, sink: second, appId: () => apps[1], sinkTimeout: 200 }))
    app.get('/', (req, res) => void res.json({ email: req.portcullis.audit.person('7', ALICE).email }))
    return app
  }

  const withoutOrder = (events: readonly AuditEvent[]) => brief(events).map(String).toSorted()
  const everything = ['field,email', 'field,name', 'operation,answered,200']

  for (const one of names) {
    for (const two of names) {
      it(`give each sink every read (first ${one}, second ${two}), unless the policy says off`, async () => {
        const [first, second] = [slowSink(), slowSink()]
        const app = twice(first.sink, second.sink, [SECTIONS[one], SECTIONS[two]], false)
        await request(app).get('/').expect(200, { email: ALICE.email })
        const expected = (name: Name): string[] => (name === 'off' ? [] : everything)
        await until(
          () => first.kept.length + second.kept.length >= expected(one).length + expected(two).length,
        )
        await sleep(10)
        expect([withoutOrder(first.kept), withoutOrder(second.kept)]).toEqual([expected(one), expected(two)])
        expect(new Set(first.kept.map(({ appId }) => appId))).toEqual(new Set(one === 'off' ? [] : [APP]))
        expect(new Set(second.kept.map(({ appId }) => appId))).toEqual(
          new Set(two === 'off' ? [] : ['app-2']),
        )
      })

      it(`answer only after all required sinks have stored it (first ${one}, second ${two})`, async () => {
        for (const failing of [0, 1]) {
          const down: AuditSink = { write: () => Promise.reject(new Error('down')) }
          const up = slowSink()
          const sinks: [AuditSink, AuditSink] = failing === 0 ? [down, up.sink] : [up.sink, down]
          const { status } = await request(twice(...sinks, [SECTIONS[one], SECTIONS[two]], false)).get('/')
          expect(status).toBe((failing === 0 ? one : two) === 'deny' ? 503 : 200)
        }
      })
    }
  }

  it('give both sinks every read of the same app', async () => {
    const [first, second] = [slowSink(), slowSink()]
    await request(twice(first.sink, second.sink, [SECTIONS.deny], true))
      .get('/')
      .expect(200)
    expect([withoutOrder(first.kept), withoutOrder(second.kept)]).toEqual([everything, everything])
  })

  for (const hanging of [0, 1]) {
    it(`wait for each sink until its own deadline (sink ${hanging + 1} hangs, and must have the events)`, async () => {
      const other = slowSink()
      const hangs: AuditSink = { write: () => new Promise(() => undefined) }
      const sinks: [AuditSink, AuditSink] = hanging === 0 ? [hangs, other.sink] : [other.sink, hangs]
      const app = twice(...sinks, [SECTIONS.deny], true)
      // The second request is refused at once, because events wait. The other sink has the events of both.
      for (const count of [1, 2]) {
        const { body } = await request(app).get('/').expect(503)
        expect(body).toMatchObject({ code: 'AUDIT_UNAVAILABLE' })
        await until(() => brief(other.kept).filter(([kind]) => kind === 'operation').length === count)
      }
      expect(brief(other.kept)).toContainEqual(['field', 'name'])
    })

    it(`do not wait for a sink that may fail (sink ${hanging + 1} hangs)`, async () => {
      const other = slowSink()
      const hangs: AuditSink = { write: () => new Promise(() => undefined) }
      const sections = hanging === 0 ? [SECTIONS.allow, SECTIONS.deny] : [SECTIONS.deny, SECTIONS.allow]
      const sinks: [AuditSink, AuditSink] = hanging === 0 ? [hangs, other.sink] : [other.sink, hangs]
      await request(twice(...sinks, sections, false))
        .get('/')
        .expect(200)
      expect(withoutOrder(other.kept)).toEqual(everything)
    })
  }
})

describe('the handler of auditAccess', () => {
  it('sends waiting events when it is flushed, and resolves when the sink has stored them', async () => {
    let down = true
    const { kept, sink } = slowSink(() => down)
    const policies = createPolicySource({ store: memoryStore([{ policy: { appId: APP, ...DENY } }]) })
    const audit = auditAccess({ policies, sink })
    const app = express().use(audit, (_req, res) => void res.json({ ok: 1 }))
    await request(app).get('/').set('x-app-id', APP).expect(503)
    await expect(audit.flush()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    down = false
    await audit.flush()
    expect(brief(kept)).toEqual([
      ['operation', 'answered', 200],
      ['outcome', 'refused', 503],
    ])
    await request(app).get('/').set('x-app-id', APP).expect(200)
    await audit.close()
    expect(kept).toHaveLength(3)
  })

  it('waits for events in flight when it is closed, and then refuses requests that must be recorded', async () => {
    const { kept, sink } = slowSink()
    const errors: Error[] = []
    const policies = createPolicySource({ store: memoryStore([{ policy: { appId: APP, ...DENY } }]) })
    const audit = auditAccess({ policies, sink, onError: (error) => errors.push(error) })
    const app = express().use(audit, (req, res) => {
      const view = req.portcullis.audit.person('7', ALICE)
      res.json({ ok: 1 })
      res.once('close', () => setImmediate(() => view.email))
    })
    await listening(app, async (origin) => {
      const call = () => fetch(origin, { headers: { 'x-app-id': APP } })
      expect(await (await call()).json()).toEqual({ ok: 1 })
      await sleep(0)
      await audit.close()
      const before = brief(kept)
      expect(before[0]).toEqual(['operation', 'answered', 200])
      expect((await call()).status).toBe(503)
      expect(brief(kept)).toEqual(before)
    })
    expect(errors.length).toBeGreaterThan(0)
  })
})

describe('auditAccess on HTTP/2', () => {
  const run = async (section: PolicyInput['auditAccess'], path: string) => {
    const { kept, sink } = slowSink()
    const policies = createPolicySource({
      store: memoryStore([{ policy: { appId: APP, auditAccess: section } }]),
    })
    const audit = auditAccess({ policies, sink })
    const server = createHttp2Server((req, res) => {
      audit(req as unknown as GuardRequest, res as unknown as GuardResponse, () => {
        res.end(path === '/big' ? 'x'.repeat(10_000_000) : 'secret')
      })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    let status: number | undefined
    let text = ''
    await new Promise<void>((resolve) => {
      const stream = session.request({ ':path': path, 'x-app-id': APP })
      stream.on('response', (headers) => (status = headers[':status']))
      stream.on('data', (data) => {
        text += String(data)
        if (path === '/big') stream.close(constants.NGHTTP2_CANCEL)
      })
      stream.on('error', () => undefined)
      stream.on('close', resolve)
    })
    await until(() => kept.length > 0)
    session.close()
    server.close()
    return { status, text, kept }
  }

  it('answers if no byte may be sent unrecorded', async () => {
    const { status, text, kept } = await run({ mode: 'enforce', onSinkFailure: 'deny' }, '/')
    expect([status, text]).toEqual([200, 'secret'])
    expect(kept).toMatchObject([{ kind: 'operation', outcome: 'answered', status: 200 }])
  })

  it('records what the caller received if the sink may fail', async () => {
    const section = { mode: 'enforce', onSinkFailure: 'allow' } as const
    const whole = await run(section, '/')
    expect([whole.status, whole.text, ...brief(whole.kept)]).toEqual([
      200,
      'secret',
      ['operation', 'answered', 200],
    ])
    expect(brief((await run(section, '/big')).kept)).toEqual([['operation', 'aborted', 200]])
  })
})
