import { inspect } from 'node:util'
import { deserialize, serialize } from 'node:v8'
import { describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import request from 'supertest'
import {
  auditAccess,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryAuditSink,
  memoryStore,
  type AuditAccessOptions,
  type PolicySource,
  type PolicyInput,
} from 'portcullis'
import type { AuditEvent } from 'portcullis/audit'
import { APP, listening, protectedApp } from '../../support/protected-app.ts'
import { until } from '../../support/redis.ts'

const ALICE = {
  id: '7',
  email: 'alice@example.org',
  name: 'Alice',
  address: { city: 'Oxford', zip: 'OX1' },
  tags: ['a', 'b'],
}
const STRICT = { auditAccess: { mode: 'enforce' } } as const
const OPEN = { ...STRICT, ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8'] } } as const

function audited(
  sections: Partial<PolicyInput>,
  handler: RequestHandler,
  options: Partial<AuditAccessOptions> = {},
) {
  const sink = memoryAuditSink()
  const guards = (policies: PolicySource) => [
    auditAccess({ policies, sink, pseudonymKey: Buffer.alloc(32, 1), ...options }),
  ]
  return { ...protectedApp(sections, guards, handler), sink }
}

/** A handler that calls `read` with Alice's record. */
const reading =
  (read: (view: typeof ALICE) => unknown): RequestHandler =>
  (req, res) => {
    const result = read(req.portcullis.audit.person(ALICE.id, ALICE) as typeof ALICE)
    res.json({ result: result === undefined ? null : 'done' })
  }

describe('auditAccess', () => {
  it('records one event per request, with its trail, and none of its values', async () => {
    const sink = memoryAuditSink()
    const { app } = protectedApp(OPEN, (policies) => [
      auditAccess({ policies, sink }),
      ipWhitelist({ policies }),
    ])
    await request(app).get('/x?secret=1').set('x-app-id', APP).expect(200)
    const [event, ...others] = sink.events()
    expect(others).toEqual([])
    expect(event).toMatchObject({
      kind: 'operation',
      version: 1,
      appId: APP,
      revision: 1,
      outcome: 'answered',
      status: 200,
      decisions: [
        { guard: 'auditAccess', code: 'ALLOWED' },
        { guard: 'ipWhitelist', code: 'ALLOWED', evidence: { entry: '127.0.0.0/8' } },
      ],
    })
    expect(JSON.stringify(event)).not.toContain('secret')
    expect(new Date(event?.time ?? '').toISOString()).toBe(event?.time)
  })

  it('records nothing of a list entry that is the address of the caller', async () => {
    const sink = memoryAuditSink()
    const sections = { ...STRICT, ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] } } as const
    const { app } = protectedApp(sections, (policies) => [
      auditAccess({ policies, sink }),
      ipWhitelist({ policies }),
    ])
    await request(app).get('/').set('x-app-id', APP).expect(200)
    const [event] = sink.events()
    expect(JSON.stringify(event)).not.toContain('127.0.0.1')
    expect(event?.kind === 'operation' && event.decisions[1]?.evidence['entry']).toBe('a single address')
  })

  it('names the operation by its route pattern', async () => {
    const sink = memoryAuditSink()
    const policies = createPolicySource({ store: memoryStore([{ policy: { appId: APP, ...STRICT } }]) })
    const router = express.Router().get('/users/:name', (_req, res) => void res.json({}))
    const app = express().use('/auth', auditAccess({ policies, sink }), router)
    await request(app).get('/auth/users/alice@example.org').set('x-app-id', APP).expect(200)
    expect(sink.events()).toEqual([expect.objectContaining({ operation: 'GET /auth/users/:name' })])
  })

  it('records refusals of all guards, also for unknown apps, with the request id of the problem document', async () => {
    const sink = memoryAuditSink()
    const { app } = protectedApp(OPEN, (policies) => [
      auditAccess({ policies, sink }),
      ipWhitelist({ policies }),
      domainProtect({ policies }),
    ])
    const refused = await request(app).get('/').set('x-app-id', APP)
    const unknown = await request(app).get('/').set('x-app-id', 'nobody')
    const none = await request(app).get('/')
    expect(
      sink
        .events()
        .map(
          (event) =>
            event.kind === 'operation' && [
              event.requestId,
              event.status,
              event.outcome,
              event.decisions.at(-1)?.code,
            ],
        ),
    ).toEqual([
      [refused.body.instance, 403, 'refused', 'PROTECTION_NOT_CONFIGURED'],
      [unknown.body.instance, 401, 'refused', 'APP_UNKNOWN'],
      [none.body.instance, 401, 'refused', 'APP_UNIDENTIFIED'],
    ])
  })

  describe('personal data', () => {
    const every = ['id', 'email', 'name', 'address.city', 'address.zip', 'tags']
    const ways: [string, (view: typeof ALICE) => unknown, string[]][] = [
      ['a property', (view) => view.email, ['email']],
      ['a property by name', (view) => view['email'], ['email']],
      ['destructuring', ({ email, name }) => [email, name], ['email', 'name']],
      ['rest', ({ id: _id, ...rest }) => rest, ['id', 'email', 'name', 'tags']],
      ['spread', (view) => ({ ...view }), ['id', 'email', 'name', 'tags']],
      ['Object.assign', (view) => Object.assign({}, view), ['id', 'email', 'name', 'tags']],
      ['Object.values', (view) => Object.values(view), ['id', 'email', 'name', 'tags']],
      ['Object.entries', (view) => Object.entries(view), ['id', 'email', 'name', 'tags']],
      [
        'Object.fromEntries',
        (view) => Object.fromEntries(Object.entries(view)),
        ['id', 'email', 'name', 'tags'],
      ],
      ['JSON.stringify', (view) => JSON.stringify(view), every],
      ['structuredClone', (view) => structuredClone(view), every],
      ['v8.serialize', (view) => deserialize(serialize(view)) as unknown, every],
      ['Reflect.get', (view) => Reflect.get(view, 'email'), ['email']],
      ['a child', (view) => (Object.create(view) as typeof ALICE).email, ['email']],
      ['a template', (view) => view.email, ['email']],
      [
        'a getter of a descriptor',
        (view) => Object.getOwnPropertyDescriptor(view, 'email')?.get?.call(view) as unknown,
        ['email'],
      ],
      [
        'all descriptors',
        (view) => Object.values(Object.getOwnPropertyDescriptors(view)).map(({ value }) => value as unknown),
        [],
      ],
      [
        'for…in',
        (view) => {
          const all: unknown[] = []
          for (const name in view) all.push(view[name as 'email'])
          return all
        },
        ['id', 'email', 'name', 'tags'],
      ],
      ['a nested field', (view) => view.address.city, ['address.city']],
      ['a nested record alone', (view) => view.address, []],
      ['a list', (view) => view.tags[0], ['tags']],
      ['names alone', (view) => [Object.keys(view), 'email' in view, Object.hasOwn(view, 'email')], []],
      ['inspect', (view) => inspect(view, { depth: 9, showHidden: true, showProxy: true }), []],
      ['inspect with getters', (view) => inspect(view, { getters: true }), every],
      ['an error cause', (view) => inspect(new Error('x', { cause: view })), []],
    ]
    for (const [what, read, fields] of ways) {
      it(`records fields read by ${what}: ${fields.join(', ') || 'nothing'}`, async () => {
        const seen: unknown[] = []
        const { app, sink } = audited(
          STRICT,
          reading((view) => seen.push(read(view))),
        )
        await request(app).get('/').set('x-app-id', APP).expect(200)
        const logged = sink.events().flatMap((event) => (event.kind === 'field' ? [event.field] : []))
        expect(logged.sort()).toEqual([...fields].sort())
        const values = inspect(seen, { depth: 9 })
        for (const [field, value] of [
          ['email', 'alice@example.org'],
          ['address.city', 'Oxford'],
        ] as const) {
          if (!fields.includes(field)) expect(values).not.toContain(value)
        }
      })
    }

    it('writes one event per person and field, with a count, pseudonymised, and without a value', async () => {
      const { app, sink } = audited(STRICT, (req, res) => {
        const { audit } = req.portcullis
        const alice = audit.person('7', ALICE, { record: 'user', purpose: 'support' })
        const bob = audit.person('8', { email: 'bob@example.org' })
        res.json([alice.email, alice.email, bob.email])
      })
      await request(app).get('/').set('x-app-id', APP).expect(200)
      const fields = sink.events().filter(({ kind }) => kind === 'field')
      expect(fields).toMatchObject([
        { field: 'email', reads: 2, record: 'user', purpose: 'support', appId: APP },
        { field: 'email', reads: 1, appId: APP },
      ])
      expect(JSON.stringify(sink.events())).not.toMatch(/@example|"7"|127\.0\.0\.1/)
      const people = fields.map((event) => (event.kind === 'field' ? event.person : ''))
      expect(people[0]).toMatch(/^[\w-]{22}$/)
      expect(people[0]).not.toBe(people[1])
    })

    it('gives the same person the same pseudonym with the same key, and another with another', async () => {
      const person = async (pseudonymKey?: Buffer) => {
        const { app, sink } = audited(
          STRICT,
          reading((view) => view.email),
          pseudonymKey && { pseudonymKey },
        )
        await request(app).get('/').set('x-app-id', APP)
        return sink.events().flatMap((event) => (event.kind === 'field' ? [event.person] : []))[0]
      }
      expect(await person()).toBe(await person())
      expect(await person()).not.toBe(await person(Buffer.alloc(32, 2)))
    })

    it('records the actor, as a pseudonym', async () => {
      const { app, sink } = audited(
        STRICT,
        reading((view) => view.email),
        { actor: () => 'agent-5' },
      )
      await request(app).get('/').set('x-app-id', APP)
      expect(sink.events().map(({ kind, actor }) => [kind, actor])).toEqual([
        ['field', expect.stringMatching(/^[\w-]{22}$/)],
        ['operation', expect.stringMatching(/^[\w-]{22}$/)],
      ])
    })

    it('records reads after the answer too', async () => {
      const { app, sink } = audited(STRICT, (req, res) => {
        const view = req.portcullis.audit.person('7', ALICE)
        res.on('close', () => setImmediate(() => view.name))
        res.json({})
      })
      await request(app).get('/').set('x-app-id', APP)
      await until('the read is recorded', async () => sink.events().length > 1)
      expect(sink.events().map(({ kind }) => kind)).toEqual(['operation', 'field'])
    })

    const refused: [string, unknown][] = [
      ['an object that inherits its fields', Object.create({ email: 'x' })],
      ['a function inside', { email: () => 'x' }],
      ['an array', [{ email: 'x' }]],
      ['a Map', new Map([['email', 'x']])],
      [
        'itself inside',
        (() => {
          const self: Record<string, unknown> = {}
          self['self'] = self
          return self
        })(),
      ],
    ]
    for (const [what, record] of refused) {
      it(`refuses ${what} as a record`, async () => {
        const { app } = audited(STRICT, (req, res) => {
          expect(() => req.portcullis.audit.person('7', record as object)).toThrow(TypeError)
          res.json({})
        })
        await request(app).get('/').set('x-app-id', APP).expect(200)
      })
    }

    it('cannot be changed, and returns copies', async () => {
      const { app } = audited(STRICT, (req, res) => {
        const view = req.portcullis.audit.person('7', ALICE) as typeof ALICE
        expect(() => {
          view.email = 'x'
        }).toThrow(TypeError)
        expect(() => Object.defineProperty(view, 'email', { value: 'x' })).toThrow(TypeError)
        view.tags.push('c')
        expect(view.tags).toEqual(['a', 'b'])
        res.json({})
      })
      await request(app).get('/').set('x-app-id', APP).expect(200)
    })

    it('is not available on a route without audit', async () => {
      const { app } = protectedApp(
        OPEN,
        (policies) => [ipWhitelist({ policies })],
        (req, res) => {
          expect(() => req.portcullis.audit).toThrow(/behind `auditAccess`/)
          res.json({})
        },
      )
      await request(app).get('/').set('x-app-id', APP).expect(200)
    })
  })

  describe('when the sink fails', () => {
    const failing = (
      write: () => void | Promise<void>,
      onSinkFailure: 'allow' | 'deny' = 'deny',
      options: Partial<AuditAccessOptions> = {},
    ) =>
      audited(
        { auditAccess: { mode: 'enforce', onSinkFailure } },
        (_req, res) => void res.set('x-of-handler', '1').json({ personal: 'data' }),
        { sink: { write }, sinkTimeout: 50, ...options },
      )
    const ways: [string, () => void | Promise<void>][] = [
      [
        'throws',
        () => {
          throw new Error('down')
        },
      ],
      ['rejects', async () => Promise.reject(new Error('down'))],
      ['hangs', () => new Promise(() => undefined)],
    ]
    for (const [what, write] of ways) {
      it(`sends 503 instead of the handler's answer when it ${what}`, async () => {
        const { app } = failing(write)
        const response = await request(app).get('/').set('x-app-id', APP)
        expect([response.status, response.body.code]).toEqual([503, 'AUDIT_UNAVAILABLE'])
        expect(response.headers['retry-after']).toMatch(/^[1-5]$/)
        expect(response.headers['x-of-handler']).toBeUndefined()
        expect(response.text).not.toContain('personal')
      })

      it(`sends the answer when it ${what} and the policy says allow`, async () => {
        const errors: Error[] = []
        const { app } = failing(write, 'allow', { onError: (error) => errors.push(error) })
        await request(app).get('/').set('x-app-id', APP).expect(200)
        await until('the failure is told', async () => errors.length > 0)
      })
    }

    it('refuses new requests while events wait, keeps the events, and recovers when the sink does', async () => {
      let down = true
      const kept: AuditEvent[] = []
      const { app, reached } = audited(
        { auditAccess: { mode: 'enforce', onSinkFailure: 'deny' } },
        reading((view) => view.email),
        {
          sink: {
            async write(events) {
              if (down) throw new Error('down')
              kept.push(...events)
            },
          },
        },
      )
      const call = () => request(app).get('/').set('x-app-id', APP)
      const instead = await call().expect(503)
      expect(reached).toHaveLength(1)
      const atTheDoor = await call().expect(503)
      expect(reached).toHaveLength(1)
      expect(kept).toEqual([])
      down = false
      let answered = await call()
      for (let tries = 0; answered.status !== 200 && tries < 500; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        answered = await call()
      }
      expect(answered.status).toBe(200)
      const of = (requestId: unknown) =>
        kept
          .filter((event) => event.requestId === requestId)
          .map((event) => [event.kind, 'outcome' in event ? event.outcome : 'field' in event && event.field])
      expect(of(instead.body.instance)).toEqual([
        ['field', 'email'],
        ['operation', 'answered'],
        ['outcome', 'refused'],
      ])
      expect(of(atTheDoor.body.instance)).toEqual([['operation', 'refused']])
      expect(new Set(kept.map(({ id }) => id)).size).toBe(kept.length)
    })

    it('does not change answers in report mode', async () => {
      const { app } = audited({ auditAccess: { mode: 'report' } }, (_req, res) => void res.json({ ok: 1 }), {
        sink: { write: async () => Promise.reject(new Error('down')) },
      })
      for (let index = 0; index < 3; index += 1)
        await request(app).get('/').set('x-app-id', APP).expect(200, { ok: 1 })
    })
  })

  it('records nothing if the policy says off, and still provides records', async () => {
    const { app, sink } = audited(
      { auditAccess: { mode: 'off' } },
      reading((view) => view.email),
    )
    await request(app).get('/').set('x-app-id', APP).expect(200)
    expect(sink.events()).toEqual([])
  })

  it('keeps a streamed answer complete and in order while events are in flight', async () => {
    const { app } = audited(
      STRICT,
      (req, res) => {
        const view = req.portcullis.audit.person('7', ALICE)
        res.write(`${view.email}\n`)
        res.write('x'.repeat(200_000))
        res.write(`\n${view.name}`)
        res.end('\nend')
      },
      { sink: { write: () => new Promise((resolve) => setTimeout(resolve, 5)) } },
    )
    await listening(app, async (origin) => {
      const text = await (await fetch(origin, { headers: { 'x-app-id': APP } })).text()
      expect(text).toBe(`alice@example.org\n${'x'.repeat(200_000)}\nAlice\nend`)
    })
  })

  it('records a request whose caller disconnects', async () => {
    const caller = new AbortController()
    const { app, sink } = audited(STRICT, () => caller.abort())
    await listening(app, async (origin) => {
      await expect(fetch(origin, { headers: { 'x-app-id': APP }, signal: caller.signal })).rejects.toThrow()
      await until('the request is recorded', async () => sink.events().length > 0)
      expect(sink.events()).toMatchObject([{ kind: 'operation', outcome: 'aborted' }])
      expect(sink.events()).toMatchObject([{ status: undefined }])
    })
  })
})
