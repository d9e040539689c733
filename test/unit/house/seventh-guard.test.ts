import { describe, expect, it } from '@jest/globals'
import request from 'supertest'
import { createPolicySource, memoryAuditSink, memoryStore, type Decision, type PolicyInput } from 'portcullis'
import express from 'express'
import { allow, deny, type GuardName } from '../../../src/decision.ts'
import { explainBy } from '../../../src/explain/explain.ts'
import type { Guard } from '../../../src/guards/guard.ts'
import GUARDS from '../../../src/http/guards.ts'
import { auditAccessMount } from '../../../src/http/audit-access.ts'
import type { JudgedRequest } from '../../../src/http/judged-request.ts'
import { ipWhitelistMount } from '../../../src/http/ip-whitelist.ts'
import { chain, mount } from '../../../src/http/shell.ts'
import type { Mount } from '../../../src/http/step.ts'
import { policyShape } from '../../../src/policy/schema.ts'
import { GUARD_NAMES, RULES } from '../../../src/policy/sections.ts'

/** A guard that the package does not have: it checks whether the app serves on this day. */
const OPENING = 'openingDays' as GuardName

interface DayFacts {
  readonly day: number
}

/** The day up to which the request could have been served. */
interface DayOutcome {
  readonly lastDay: number
}

const decideOpeningDays: Guard<DayFacts, DayOutcome> = (_policy, { day }) =>
  day < 6
    ? { decision: allow(OPENING, 'enforce', 'a working day', { day }), outcome: { lastDay: 5 } }
    : { decision: deny(OPENING, 'enforce', 'REGION_UNKNOWN', 'not a working day', { day }) }

/** Reads its facts from a header in which the caller names the day. */
const dayOf = ({ req }: JudgedRequest): DayFacts => ({ day: Number(req.headers['x-day']) })

const noted: number[] = []
const openingDays: Mount<DayFacts, DayOutcome> = {
  name: OPENING,
  guard: decideOpeningDays,
  facts: dayOf,
  note: ({ outcome }) => void (outcome === undefined || noted.push(outcome.lastDay)),
  write: (_answer, _context, res) => {
    res.setHeader('X-Opening', 'asked')
    return false
  },
}

const POLICY: PolicyInput = {
  appId: 'a',
  auditAccess: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.0/8', '::1'] },
}

/** An app with the audit, an existing guard, and the seventh guard. */
function serving() {
  const policies = createPolicySource({ store: memoryStore([{ policy: POLICY }]) })
  const sink = memoryAuditSink()
  const told: Decision[] = []
  const onDecision = (decision: Decision): void => void told.push(decision)
  const options = { policies, onDecision }
  const app = express()
  app.use(
    chain(
      'seven',
      [auditAccessMount({ ...options, sink }, 'test'), ipWhitelistMount(options, 'test'), openingDays],
      options,
    ),
  )
  app.use((_req, res) => void res.send('served'))
  return { app, sink, told, policies }
}

describe('a seventh guard', () => {
  it('runs in a chain, and appears in the audit and in `onDecision`', async () => {
    const { app, sink, told } = serving()
    const served = await request(app).get('/').set('x-app-id', 'a').set('x-day', '3')
    expect([served.status, served.text, served.headers['x-opening']]).toEqual([200, 'served', 'asked'])
    expect(told.map(({ guard, code }) => `${guard} ${code}`)).toEqual([
      'auditAccess ALLOWED',
      'ipWhitelist ALLOWED',
      'openingDays ALLOWED',
    ])
    expect(noted).toEqual([5])
    const [event] = sink.events()
    expect(event).toMatchObject({
      decisions: [{}, {}, { guard: 'openingDays', effect: 'allow', evidence: { day: 3 } }],
    })
  })

  it('refuses with a problem document, which is in the audit too', async () => {
    const { app, sink, told } = serving()
    const refused = await request(app).get('/').set('x-app-id', 'a').set('x-day', '7')
    expect([refused.status, refused.body.code]).toEqual([403, 'REGION_UNKNOWN'])
    expect(told.at(-1)).toMatchObject({ guard: 'openingDays', detail: 'not a working day' })
    expect(sink.events()).toEqual([
      expect.objectContaining({
        decisions: [
          expect.anything(),
          expect.anything(),
          expect.objectContaining({ guard: 'openingDays', code: 'REGION_UNKNOWN' }),
        ],
      }),
    ])
  })

  it('can be mounted individually like any guard, and identifies the app of each request', async () => {
    const { policies } = serving()
    const app = express()
    app.use(mount(openingDays, { policies }))
    app.use((_req, res) => void res.send('served'))
    expect((await request(app).get('/').set('x-app-id', 'a').set('x-day', '1')).status).toBe(200)
    expect((await request(app).get('/').set('x-app-id', 'b').set('x-day', '1')).body.code).toBe('APP_UNKNOWN')
    expect((await request(app).get('/')).body.code).toBe('APP_UNIDENTIFIED')
  })

  it('appears in `explain` with one more row', () => {
    const questions = [...Object.values(GUARDS).map(({ described }) => described), () => openingDays]
    const explained = (day: string) =>
      explainBy(questions, POLICY, {
        url: 'https://a.example/',
        address: '127.0.0.1',
        headers: { 'x-day': day },
      })
    expect(explained('3').decisions.at(-1)).toMatchObject({ guard: 'openingDays', effect: 'allow' })
    expect(explained('7')).toMatchObject({ passes: false })
    expect(explained('7').decisions.at(-1)).toMatchObject({ guard: 'openingDays', code: 'REGION_UNKNOWN' })
  })
})

describe('the tables of guards', () => {
  it('have a row for each guard, and no others', () => {
    const names = [...GUARD_NAMES].toSorted()
    expect(Object.keys(GUARDS).toSorted()).toEqual(names)
    expect(Object.keys(RULES).toSorted()).toEqual(names)
    const sections = Object.keys(policyShape().schema.shape).filter(
      (key) => !['$schema', 'appId', 'name', 'expect'].includes(key),
    )
    expect(sections.toSorted()).toEqual(names)
  })

  it('give 100 points in total', () => {
    expect(Object.values(RULES).reduce((sum, { points }) => sum + points, 0)).toBe(100)
  })
})
