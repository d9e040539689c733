import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import type { AuditEvent } from '../../../src/audit/event.ts'
import type { ReadLog } from '../../../src/audit/read-log.ts'
import { createAuditSession, type RecordedSession } from '../../../src/audit/session.ts'
import { PurposeRequired } from '../../../src/errors.ts'

function session(
  who: () => { appId?: string; actor?: string } = () => ({ appId: 'app-1' }),
): RecordedSession & ReadLog {
  let time = 0
  let id = 0
  const audit = createAuditSession({
    requestId: 'request-1',
    now: () => (time += 1_000),
    newId: () => `event-${(id += 1)}`,
  })
  const log = audit.attach({ who, pseudonymise, keep: () => undefined })
  return Object.assign(audit, {
    take: () => log.take(),
    finish: (late: (events: AuditEvent[]) => void) => log.finish(late),
    silence: () => log.silence(),
  })
}

const pseudonymise = (kind: string, value: string): string => `${kind}(${value.length})`

const alice = { email: 'alice@example.org', name: 'Alice', address: { city: 'Oxford' } }

const brief = (events: readonly AuditEvent[]) =>
  events.map((event) => event.kind === 'field' && [event.person, event.field, event.reads])

describe('createAuditSession', () => {
  it('creates one event per person and field, with a count and the time of the first read', () => {
    const audit = session(() => ({ appId: 'app-1', actor: 'somebody' }))
    const view = audit.person('7', alice, { record: 'user', purpose: 'support' })
    expect([view.email, view.name, view.email, view.email]).toHaveLength(4)
    expect(audit.take()).toEqual([
      {
        kind: 'field',
        version: 1,
        id: 'event-1',
        time: '1970-01-01T00:00:01.000Z',
        requestId: 'request-1',
        appId: 'app-1',
        actor: 'somebody',
        person: 'person(1)',
        field: 'email',
        reads: 3,
        record: 'user',
        purpose: 'support',
      },
      expect.objectContaining({ id: 'event-2', time: '1970-01-01T00:00:02.000Z', field: 'name', reads: 1 }),
    ])
  })

  it('counts two views of one person together, and other people, records and purposes separately', () => {
    const audit = session()
    void audit.person('7', alice).email
    void audit.person('7', { ...alice }).email
    void audit.person('88', alice).email
    void audit.person('7', alice, { purpose: 'support' }).email
    void audit.person('7', alice, { record: 'support' }).email
    expect(brief(audit.take())).toEqual([
      ['person(1)', 'email', 2],
      ['person(2)', 'email', 1],
      ['person(1)', 'email', 1],
      ['person(1)', 'email', 1],
    ])
  })

  it('creates no event if nothing was read', () => {
    const audit = session()
    Object.keys(audit.person('7', alice).address)
    expect(audit.take()).toEqual([])
  })

  it('returns every event once; reading a field again creates another one', () => {
    const audit = session()
    const view = audit.person('7', alice)
    void view.email
    expect(brief(audit.take())).toEqual([['person(1)', 'email', 1]])
    expect(audit.take()).toEqual([])
    void [view.email, view.address.city]
    expect(brief(audit.take())).toEqual([
      ['person(1)', 'email', 1],
      ['person(1)', 'address.city', 1],
    ])
  })

  it('determines the actor when events are taken', () => {
    let actor = 'nobody'
    const audit = session(() => ({ actor }))
    void audit.person('7', alice).email
    actor = 'signed in'
    expect(audit.take()).toMatchObject([{ actor: 'signed in' }])
  })

  it('records later reads by itself after the request has ended, those of one tick together', async () => {
    const audit = session()
    const late: AuditEvent[][] = []
    const view = audit.person('7', alice)
    void view.name
    audit.finish((events) => late.push(events))
    void [view.email, view.email]
    expect(late).toEqual([])
    await Promise.resolve()
    void view.email
    await Promise.resolve()
    await Promise.resolve()
    expect(late.map(brief)).toEqual([
      [
        ['person(1)', 'name', 1],
        ['person(1)', 'email', 2],
      ],
      [['person(1)', 'email', 1]],
    ])
    expect(audit.take()).toEqual([])
  })

  it('records nothing when it is silent, and still returns views', () => {
    const audit = session()
    audit.silence()
    expect(audit.person('7', alice).email).toBe('alice@example.org')
    expect(audit.take()).toEqual([])
  })

  it('discards reads from before it was silent', () => {
    const audit = session()
    void audit.person('7', alice).email
    audit.silence()
    expect(audit.take()).toEqual([])
  })

  it('gives every log all reads, whether it was opened before or after them, with its own count', () => {
    const audit = session()
    const view = audit.person('7', alice)
    void [view.email, view.email]
    const second = audit.attach({ who: () => ({ appId: 'app-2' }), pseudonymise, keep: () => undefined })
    void view.email
    expect(brief(audit.take())).toEqual([['person(1)', 'email', 3]])
    void view.name
    expect(brief(second.take())).toEqual([
      ['person(1)', 'email', 3],
      ['person(1)', 'name', 1],
    ])
    expect(brief(audit.take())).toEqual([['person(1)', 'name', 1]])
    expect([audit.take(), second.take()]).toEqual([[], []])
  })

  it('can silence a single log', () => {
    const audit = session()
    const second = audit.attach({ who: () => ({ appId: 'app-2' }), pseudonymise, keep: () => undefined })
    audit.silence()
    void audit.person('7', alice).email
    expect(audit.take()).toEqual([])
    expect(second.take()).toMatchObject([{ appId: 'app-2', field: 'email' }])
  })

  it('shows neither people nor values when printed', () => {
    const audit = session()
    void audit.person('person-7', alice).email
    expect(inspect(audit, { depth: 9, showHidden: true })).not.toMatch(/person-7|alice/)
  })

  for (const id of ['', undefined, 7, null]) {
    it(`refuses ${String(id) || 'an empty text'} as the id of a person`, () => {
      expect(() => session().person(id as string, alice)).toThrow(TypeError)
    })
  }

  it('sets the purpose of later reads that have none', () => {
    const audit = session()
    const view = audit.person('7', alice)
    void view.email
    audit.because('support')
    void view.email
    void audit.person('7', alice, { purpose: 'billing' }).email
    expect(audit.take().map((event) => event.kind === 'field' && event.purpose)).toEqual([
      undefined,
      'support',
      'billing',
    ])
  })

  for (const purpose of ['', ' ', 'x'.repeat(257), 7, null]) {
    it(`refuses ${JSON.stringify(purpose)?.slice(0, 9)} as a purpose`, () => {
      expect(() => session().because(purpose as string)).toThrow(TypeError)
      expect(() => session().person('7', alice, { purpose: purpose as string })).toThrow(TypeError)
    })
  }

  it('records actions other than reading, in one call each', () => {
    const audit = session()
    audit.created('7', { record: 'user', fields: ['email', 'address.city', 'alice@example.org'] })
    audit.updated('7', { purpose: 'support' })
    audit.deleted(['7', '88'])
    audit.exported(['7', '88'], { record: 'user', fields: ['email'] })
    audit.signedIn('7')
    audit.signedIn('7', { succeeded: false })
    const common = { kind: 'action', version: 1, requestId: 'request-1', appId: 'app-1' }
    const rest = { id: expect.any(String), time: expect.any(String) }
    expect(audit.take()).toEqual([
      {
        ...common,
        ...rest,
        action: 'create',
        persons: ['person(1)'],
        record: 'user',
        fields: ['email', 'address.city', '*.org'],
      },
      { ...common, ...rest, action: 'update', persons: ['person(1)'], purpose: 'support' },
      { ...common, ...rest, action: 'delete', persons: ['person(1)', 'person(2)'] },
      {
        ...common,
        ...rest,
        action: 'export',
        persons: ['person(1)', 'person(2)'],
        record: 'user',
        fields: ['email'],
      },
      { ...common, ...rest, action: 'sign-in', persons: ['person(1)'], succeeded: true },
      { ...common, ...rest, action: 'sign-in', persons: ['person(1)'], succeeded: false },
    ])
    expect(() => audit.deleted('')).toThrow(TypeError)
    expect(() => audit.deleted(['7', 8 as never])).toThrow(TypeError)
  })

  it('also gives the actions to a log that is opened later', () => {
    const audit = session()
    audit.deleted('7')
    const second = audit.attach({ who: () => ({}), pseudonymise, keep: () => undefined })
    expect(second.take()).toMatchObject([{ action: 'delete' }])
  })

  it('stores everything at once with `flush`, and rejects if the sink does', async () => {
    const kept: AuditEvent[] = []
    const audit = createAuditSession({ requestId: 'request-1', now: () => 0 })
    let failure: Error | undefined
    audit.attach({
      who: () => ({}),
      pseudonymise,
      keep(events) {
        kept.push(...events)
        return failure === undefined ? undefined : Promise.reject(failure)
      },
    })
    void audit.person('7', alice).email
    await audit.flush()
    expect(brief(kept)).toEqual([['person(1)', 'email', 1]])
    await audit.flush()
    expect(kept).toHaveLength(1)
    failure = new Error('not kept')
    audit.deleted('7')
    await expect(audit.flush()).rejects.toThrow('not kept')
  })
})

describe('an actor who needs a purpose', () => {
  const needy = (why?: () => string | undefined) => {
    const audit = createAuditSession({
      requestId: 'request-1',
      now: () => 0,
      needsPurpose: () => true,
      ...(why && { why }),
    })
    const log = audit.attach({ who: () => ({}), pseudonymise, keep: () => undefined })
    return { audit, log }
  }

  it('is refused every field and action without one, and nothing is recorded', () => {
    const { audit, log } = needy()
    const view = audit.person('7', alice)
    for (const access of [
      () => view.email,
      () => view.address.city,
      () => JSON.stringify(view),
      () => audit.exported('7'),
      () => audit.updated('7'),
    ]) {
      expect(access).toThrow(PurposeRequired)
      expect(access).toThrow(expect.objectContaining({ status: 403, code: 'PURPOSE_REQUIRED' }))
    }
    expect(log.take()).toEqual([])
    audit.signedIn('7')
    expect(log.take()).toHaveLength(1)
  })

  it('can read with one, wherever it was set', () => {
    const { audit, log } = needy(() => 'from the header')
    void audit.person('7', alice).email
    void audit.person('7', alice, { purpose: 'own' }).email
    audit.because('said in the handler')
    void audit.person('7', alice).email
    expect(log.take().map((event) => event.kind === 'field' && event.purpose)).toEqual([
      'from the header',
      'own',
      'said in the handler',
    ])
  })

  it('gets nothing for an invalid purpose', () => {
    for (const why of ['', '   ', 'x'.repeat(300), 7, ['a']])
      expect(() => needy(() => why as string).audit.person('7', alice).email).toThrow(PurposeRequired)
  })
})
