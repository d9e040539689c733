import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { AuditEvent } from '../../../src/audit/event.ts'
import { parseEvent, serialiseEvent } from '../../../src/audit/line.ts'
import { compileModels } from '../../../src/audit/models.ts'
import { createPseudonyms } from '../../../src/audit/event.ts'
import { createAuditSession } from '../../../src/audit/session.ts'

const pseudonymise = createPseudonyms(Buffer.alloc(32, 1))
const models = compileModels('models', { user: { person: 'id', open: ['id'] }, ünïcode: { person: 'id' } })

function recorded(purpose?: string, model = 'user') {
  const audit = createAuditSession({ requestId: 'r'.repeat(200), now: () => 1_000, models })
  const log = audit.attach({
    who: () => ({ appId: 'a'.repeat(128), actorKind: 'staff' }),
    pseudonymise,
    keep: () => undefined,
  })
  const rows = <T extends object>(list: readonly T[]) =>
    audit.rows(model, list, purpose === undefined ? {} : { purpose })
  return { rows, audit, take: () => log.take() }
}

/** The number of reads of each field of each person, from the written events. */
function countsOf(events: readonly AuditEvent[]): Map<string, number> {
  const counts = new Map<string, number>()
  const add = (person: string, field: string, reads: number): void => {
    const key = `${person} ${field}`
    if (reads > 0) counts.set(key, (counts.get(key) ?? 0) + reads)
  }
  for (const given of events) {
    const line = serialiseEvent(given)
    expect(line.length).toBeLessThanOrEqual(8_192)
    const event = parseEvent(line)
    expect(event?.truncated).toBeUndefined()
    if (event?.kind === 'field') add(event.person, event.field, event.reads)
    if (event?.kind === 'list') {
      for (const [person, ...reads] of event.persons) {
        expect(reads).toHaveLength(event.fields.length)
        for (const [at, field] of event.fields.entries()) add(person, field, reads[at] ?? 0)
      }
    }
  }
  return counts
}

describe('the reads of a list of rows', () => {
  it('are one event for a hundred people, and one per field for a single person', () => {
    const { rows, take } = recorded()
    const people = Array.from({ length: 100 }, (_, id) => ({
      id: `user-${id}`,
      email: `${id}@example.org`,
      name: 'N',
    }))
    for (const { email, name } of rows(people)) expect([email, name]).toHaveLength(2)
    const [event, ...others] = take()
    expect(others).toEqual([])
    expect(event).toMatchObject({ kind: 'list', record: 'user', fields: ['email', 'name'] })
    expect(event?.kind === 'list' && event.persons.length).toBe(100)
    void rows([{ id: '1', email: 'x', name: 'y' }]).map(({ email, name }) => [email, name])
    expect(take().map(({ kind }) => kind)).toEqual(['field', 'field'])
  })

  it('for different purposes are listed separately', () => {
    const { audit, take } = recorded()
    const people = [
      { id: '1', email: 'x' },
      { id: '2', email: 'y' },
    ]
    for (const purpose of ['support', 'billing'])
      for (const { email } of audit.rows('user', people, { purpose })) expect(email).toHaveLength(1)
    expect(take()).toMatchObject([
      { kind: 'list', purpose: 'support' },
      { kind: 'list', purpose: 'billing' },
    ])
  })

  it('are all in events that fit into their lines, whatever is read', () => {
    const names = fc.constantFrom('email', 'name', 'prénom', 'a'.repeat(64), '住所', 'x@y', 'phone')
    const reads = fc.array(fc.tuple(fc.nat(400), names), { maxLength: 900 })
    const purposes = fc.option(fc.constantFrom('support', 'ü'.repeat(256)), { nil: undefined })
    fc.assert(
      fc.property(reads, purposes, fc.constantFrom('user', 'ünïcode'), (list, purpose, model) => {
        const { rows, take } = recorded(purpose, model)
        const people = Array.from({ length: 401 }, (_, id) => ({
          id,
          email: 1,
          name: 2,
          prénom: 3,
          ['a'.repeat(64)]: 4,
          住所: 5,
          'x@y': 6,
          phone: 7,
        }))
        const views = rows(people)
        const expected = new Map<string, number>()
        for (const [person, name] of list) {
          void views[person]?.[name]
          const key = `${pseudonymise('person', String(person))} ${name === 'x@y' ? '*' : name}`
          expected.set(key, (expected.get(key) ?? 0) + 1)
        }
        expect(countsOf(take())).toEqual(expected)
      }),
      { numRuns: 40 },
    )
  })

  it('and actions with very many people cause several events, none of which is truncated', () => {
    const { audit, take } = recorded()
    const people = Array.from({ length: 2_000 }, (_, id) => `person-${id}`)
    audit.exported(people, { record: 'user', fields: Array.from({ length: 60 }, (_, id) => `field${id}`) })
    const events = take()
    expect(new Set(events.flatMap((event) => (event.kind === 'action' ? event.persons : []))).size).toBe(
      2_000,
    )
    for (const event of events) expect(parseEvent(serialiseEvent(event))).toEqual(event)
    expect(events.length).toBeLessThan(20)
  })
})
