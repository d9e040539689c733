import { setTimeout as later } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import request from 'supertest'
import {
  auditAccess,
  createPolicySource,
  memoryAuditSink,
  memoryStore,
  type AuditAccessOptions,
  type PersonalModels,
  type Mode,
} from 'portcullis'
import type { AuditSink } from 'portcullis/audit'
import { APP } from '../../support/protected-app.ts'

const MODELS: PersonalModels = { user: { person: 'id', open: ['id'], secret: ['passwordHash'] } }
const USERS = [
  { id: 7, email: 'alice@example.org', city: 'Oxford', passwordHash: 'HASH' },
  { id: 8, email: 'bob@example.org', city: 'Cambridge', passwordHash: 'HASH' },
]

function audited(options: Partial<AuditAccessOptions> = {}, mode: Mode = 'enforce') {
  const sink = memoryAuditSink()
  const store = memoryStore([{ policy: { appId: APP, auditAccess: { mode } } }])
  const audit = auditAccess({ policies: createPolicySource({ store }), sink, models: MODELS, ...options })
  const app = express()
  app.set('env', 'test')
  app.use(audit as RequestHandler)
  const get = (handler: RequestHandler) => {
    app.use(handler)
    return request(app).get('/').set('x-app-id', APP)
  }
  const brief = () =>
    sink.events().flatMap((event) => {
      if (event.kind === 'field') return [`${event.record} ${event.field}`]
      return event.kind === 'operation' || event.kind === 'outcome' ? [] : [event.kind]
    })
  return { audit, get, sink, brief }
}

describe('database rows in a request', () => {
  it('are wrapped through the handler of auditAccess, without access to the request', async () => {
    const { audit, get, brief } = audited()
    const deepInside = async () => {
      await later(1)
      return audit.rows('user', USERS[0])
    }
    await get(async (_req, res) => void res.json({ email: (await deepInside())?.email })).expect(200)
    expect(brief()).toEqual(['user email'])
  })

  it('of concurrent requests are recorded for their own request', async () => {
    const { audit, get, sink } = audited({ requestId: (req) => req.headers['x-id'] as string })
    const agent = get(async (_req, res) => {
      await later(2)
      const row = audit.rows('user', USERS[0])
      await later(2)
      res.json(row?.email)
    })
    await agent.set('x-id', 'id-0').expect(200)
    const { app } = agent as unknown as { app: express.Express }
    await Promise.all(
      Array.from({ length: 20 }, (_, id) =>
        request(app)
          .get('/')
          .set({ 'x-app-id': APP, 'x-id': `id-${id}` })
          .expect(200),
      ),
    )
    const fields = sink.events().filter(({ kind }) => kind === 'field')
    expect(fields.map(({ requestId }) => requestId).toSorted()).toEqual(
      ['id-0', ...Array.from({ length: 20 }, (_, id) => `id-${id}`)].toSorted(),
    )
  })

  it('cause one event per list, which is stored before the first byte', async () => {
    const kept: string[] = []
    let answered = false
    const sink: AuditSink = {
      async write(events) {
        await later(20)
        expect(answered).toBe(false)
        kept.push(...events.map(({ kind }) => kind))
      },
    }
    const { get } = audited({ sink })
    const { body } = await get((req, res) => void res.json(req.portcullis.audit.rows('user', USERS))).expect(
      200,
    )
    answered = true
    expect(kept).toEqual(['list', 'operation'])
    expect(body).toEqual(USERS.map(({ passwordHash: _hash, ...user }) => user))
  })

  it('are not available without models, or outside a request', async () => {
    const { audit, get } = audited({ models: undefined })
    expect(() => audit.rows('user', USERS)).toThrow(/outside a request and outside a job/)
    await get((_req, res) => {
      expect(() => audit.current()).toThrow(/`models`/)
      res.end()
    }).expect(200)
  })

  it('are recorded by `run` without a request', async () => {
    const { audit, sink } = audited()
    await audit.run({ actor: 'mailer', why: 'newsletter' }, () =>
      audit.rows('user', USERS).map(({ email }) => email),
    )
    expect(sink.events()).toMatchObject([
      { kind: 'list', fields: ['email'], purpose: 'newsletter', actorKind: 'system', persons: [{}, {}] },
    ])
  })

  it('and actions are recorded before the answer, or immediately by `flush`', async () => {
    const { get, sink } = audited()
    await get(async (req, res) => {
      req.portcullis.audit.deleted('7', { record: 'user' })
      expect(sink.events()).toEqual([])
      await req.portcullis.audit.flush()
      expect(sink.events()).toMatchObject([{ kind: 'action', action: 'delete', record: 'user' }])
      req.portcullis.audit.signedIn('7')
      res.end()
    }).expect(200)
    expect(sink.events().map(({ kind }) => kind)).toEqual(['action', 'action', 'operation'])
  })
})

describe('a member of staff', () => {
  const staff = { actor: () => ({ id: 'ada', kind: 'staff' as const }) }
  const readsEmail: RequestHandler = (req, res) =>
    void res.json({ email: req.portcullis.audit.rows('user', USERS[0])?.email })

  it('gets 403 and no fields without a purpose', async () => {
    const { get, brief, sink } = audited(staff)
    const { text } = await get(readsEmail).expect(403)
    expect(text).not.toContain('alice')
    expect(brief()).toEqual([])
    expect(sink.events()).toMatchObject([{ kind: 'operation', status: 403, actorKind: 'staff' }])
  })

  it('can read with the purpose from the option, which is recorded', async () => {
    const { get, sink } = audited({ ...staff, why: (req) => req.headers['x-purpose'] as string })
    await get(readsEmail).set('x-purpose', 'ticket 12').expect(200)
    expect(sink.events()[0]).toMatchObject({ field: 'email', purpose: 'ticket 12', actorKind: 'staff' })
  })

  const unreadable: Readonly<Record<string, () => unknown>> = {
    'that throws': () => {
      throw new Error('x')
    },
    'that returns a promise': () => Promise.resolve('ada'),
    'with another kind': () => ({ id: 'ada', kind: 'Staff' }),
    'with an id that is none': () => ({ id: 7, kind: 'user' }),
    'that is a number': () => 7,
  }
  for (const [what, actor] of Object.entries(unreadable))
    it(`may be the caller with an \`actor\` ${what}, so a purpose is required`, async () => {
      const { get } = audited({ actor: actor as never })
      await get(readsEmail).expect(403)
    })

  const others: Readonly<Record<string, () => unknown>> = {
    'a user': () => ({ id: 'ada', kind: 'user' as const }),
    'an actor without a kind': () => ({ id: 'ada' }),
    'a text': () => 'ada',
    nobody: () => undefined,
  }
  for (const [what, actor] of Object.entries(others))
    it(`is not ${what}, who reads without a purpose`, async () => {
      const { get } = audited({ actor: actor as never })
      await get(readsEmail).expect(200)
    })

  for (const mode of ['report', 'off'] as const)
    it(`is not refused in \`${mode}\` mode`, async () => {
      const { get } = audited(staff, mode)
      await get(readsEmail).expect(200)
    })
})
