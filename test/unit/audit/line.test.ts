import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import type { AuditEvent } from '../../../src/audit/event.ts'
import { parseEvent, serialiseEvent } from '../../../src/audit/line.ts'
import { allow, deny, sharedAllowances, type Decision, type Evidence } from '../../../src/decision.ts'
import { fieldEvent, operationEvent, outcomeEvent } from './events.ts'
import { runs } from '../../support/runs.ts'

const PRINTABLE = /^[\x20-\x7e]+$/
const decision = allow('ipWhitelist', 'enforce', 'in the list', {
  entry: '203.0.113.0/24',
  hops: 1,
  direct: true,
})

describe('serialiseEvent', () => {
  const whole: [string, AuditEvent][] = [
    ['a field event', fieldEvent('1', { record: 'user', purpose: 'support', actor: 'somebody' })],
    [
      'an operation event',
      operationEvent('2', { decisions: [decision, deny('serverOnly', 'report', 'SIGNATURE_REQUIRED', 'x')] }),
    ],
    ['an event that was cut before', fieldEvent('3', { truncated: true })],
    ['an outcome event', outcomeEvent('5')],
    ['an outcome event without an answer', (({ status: _status, ...rest }) => rest)(outcomeEvent('6'))],
    [
      'an operation without an answer, an app or a place',
      {
        kind: 'operation',
        version: 1,
        id: '4',
        time: 't',
        requestId: 'r',
        operation: 'GET /',
        outcome: 'aborted',
        decisions: [],
      },
    ],
  ]
  for (const [what, event] of whole) {
    it(`writes ${what} so that parsing restores it`, () => {
      expect(parseEvent(serialiseEvent(event))).toEqual(event)
    })
  }

  it('fits into 8,192 bytes even if every text is long and each of its characters takes six bytes', () => {
    const text = '\u2028'.repeat(1_000)
    const longest = allow('ipWhitelist', 'enforce', text, { [text]: text, entry: text })
    const line = serialiseEvent({
      kind: 'operation',
      version: 1,
      id: text,
      time: text,
      requestId: text,
      appId: text,
      actor: text,
      operation: text,
      outcome: 'answered',
      address: text,
      region: { here: text, jurisdiction: text },
      decisions: Array.from({ length: 100 }, () => longest),
    })
    expect(line.length).toBeLessThanOrEqual(8_192)
    expect(parseEvent(line)).toMatchObject({ kind: 'operation', truncated: true })
  })

  const hostile = [
    'line\r\nfeed',
    '\u001b[31mred',
    'nul\0',
    'del\x7f\x9b',
    'separators\u2028\u2029',
    'lone \ud800 surrogate \udc00',
    'right to left \u202e',
    'plain "quotes" and \\',
    'only "quotes"',
    'only \\',
    '</script>',
    '😀é',
  ]
  for (const text of hostile) {
    it(`writes ${JSON.stringify(text)} as one line of printable ASCII that means the same`, () => {
      const event = operationEvent('1', {
        operation: text,
        decisions: [allow('regionPin', 'enforce', text, { [text]: text })],
      })
      const line = serialiseEvent(event)
      expect(line).toMatch(PRINTABLE)
      expect(parseEvent(line)).toEqual(event)
    })
  }

  it('truncates a long text and marks it', () => {
    const event = parseEvent(
      serialiseEvent(fieldEvent('1', { field: 'x'.repeat(257), purpose: 'y'.repeat(256) })),
    )
    expect(event).toMatchObject({ field: `${'x'.repeat(255)}…`, purpose: 'y'.repeat(256), truncated: true })
  })

  it('omits evidence before decisions, and decisions before the rest', () => {
    const long = 'é'.repeat(256)
    const many = (count: number, evidence: Evidence): Decision[] =>
      Array.from({ length: count }, () => allow('ipWhitelist', 'enforce', 'd', evidence))
    const first = parseEvent(serialiseEvent(operationEvent('1', { decisions: many(6, { entry: long }) })))
    expect(first).toMatchObject({
      truncated: true,
      decisions: Array.from({ length: 6 }, () => ({ detail: 'd', evidence: {} })),
    })
    const second = parseEvent(serialiseEvent(operationEvent('1', { decisions: many(500, {}) })))
    expect(second).toMatchObject({ truncated: true, operation: 'GET /auth/v2/me', status: 200 })
  })

  it('is at most 8,192 bytes of printable ASCII, and can be parsed, whatever the event contains', () => {
    const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.constant('\u2028'.repeat(300)))
    const evidence = fc.dictionary(text, fc.oneof(text, fc.double(), fc.boolean()), { maxKeys: 40 })
    const decisions = fc.array(
      fc.tuple(text, evidence).map(([detail, found]) => allow('regionPin', 'enforce', detail, found)),
      { maxLength: 20 },
    )
    const event = fc
      .record({
        id: text,
        time: text,
        requestId: text,
        appId: text,
        actor: text,
        operation: text,
        address: text,
        decisions,
      })
      .map(({ id, ...members }) =>
        operationEvent(id, { ...members, region: { here: members.time, jurisdiction: id } }),
      )
    fc.assert(
      fc.property(event, (given) => {
        const line = serialiseEvent(given)
        expect(line.length).toBeLessThanOrEqual(8_192)
        expect(line).toMatch(PRINTABLE)
        expect(parseEvent(line)).toMatchObject({ kind: 'operation', status: 200 })
      }),
      { numRuns: runs(300) },
    )
  })

  it('writes only the members of an event, and calls no method', () => {
    const trap = () => {
      throw new Error('called')
    }
    const odd = {
      ...fieldEvent('1', { field: { toJSON: trap } as unknown as string }),
      secret: 'value',
      toJSON: trap,
    } as AuditEvent
    expect(JSON.parse(serialiseEvent(odd))).not.toHaveProperty('secret')
    const evidence = JSON.parse('{"__proto__":"kept","toJSON":"kept"}') as Evidence
    const line = serialiseEvent(
      operationEvent('1', {
        decisions: [allow('regionPin', 'enforce', '', { ...evidence, big: 1n as never, no: NaN })],
      }),
    )
    expect(line).toContain('"evidence":{"__proto__":"kept","toJSON":"kept"}')
  })
})

describe('serialiseEvent, of an outcome event', () => {
  it('writes its own members and no others', () => {
    const event = { ...outcomeEvent('1'), secret: 'x', operation: 'GET /', decisions: [decision] }
    expect(parseEvent(serialiseEvent(event))).toEqual(outcomeEvent('1'))
  })

  it('omits a number that JSON cannot represent', () => {
    for (const number of [Number.NaN, Infinity, -Infinity]) {
      const event = parseEvent(serialiseEvent(operationEvent('1', { status: number, revision: number })))
      expect(event).toMatchObject({ kind: 'operation', id: '1' })
      expect(Object.keys(event ?? {})).not.toContain('status')
      expect(Object.keys(event ?? {})).not.toContain('revision')
    }
  })
})

describe('parseEvent', () => {
  for (const line of [
    '',
    'x',
    'null',
    '7',
    '[]',
    '{}',
    '{"version":2,"kind":"field","id":"1"}',
    '{"version":1,"kind":"other","id":"1"}',
    '{"version":1,"kind":"field"}',
  ]) {
    it(`does not accept ${JSON.stringify(line)} as an event`, () => expect(parseEvent(line)).toBeUndefined())
  }
})

describe('the line of a decision shared by many requests', () => {
  it('is the same as that of a decision made for its request', () => {
    const shared = sharedAllowances('ipWhitelist', 'in a range', ['entry', 'source'])
    const once = operationEvent('1', { decisions: [shared('enforce', 'é\n"', 'socket')] })
    const evidence = { entry: 'é\n"', source: 'socket' }
    const own = operationEvent('1', { decisions: [allow('ipWhitelist', 'enforce', 'in a range', evidence)] })
    for (let times = 0; times < 2; times += 1) expect(serialiseEvent(once)).toBe(serialiseEvent(own))
  })

  it('is not mistaken for that of another request whose last decision is the same', () => {
    const last = sharedAllowances('serverOnly', 'signed', ['entry'])('enforce', 'last')
    const makeFirst = sharedAllowances('ipWhitelist', 'in a range', ['entry'])
    for (const entry of ['10.0.0.0/8', '192.0.2.0/24', '10.0.0.0/8']) {
      const decisions = [makeFirst('enforce', entry), last]
      expect(parseEvent(serialiseEvent(operationEvent('1', { decisions })))).toMatchObject({ decisions })
    }
  })

  it('is not cached for a decision that can still change', () => {
    const decision = allow('ipWhitelist', 'enforce', 'before', { entry: 'a' })
    const event = operationEvent('1', { decisions: [decision] })
    expect(serialiseEvent(event)).toContain('"before"')
    Object.assign(decision, { detail: 'after' })
    expect(serialiseEvent(event)).toContain('"after"')
  })

  it('is marked as truncated each time that it is', () => {
    const long = 'x'.repeat(300)
    const shared = sharedAllowances('ipWhitelist', long, ['entry'])('enforce', long)
    for (let times = 0; times < 2; times += 1)
      expect(parseEvent(serialiseEvent(operationEvent('1', { decisions: [shared] })))).toMatchObject({
        truncated: true,
      })
  })

  it('caches one decision per mode and values, and at most a thousand', () => {
    const make = sharedAllowances('ipWhitelist', 'in a range', ['entry', 'source'])
    const first = make('enforce', 'a', 'b')
    expect(make('enforce', 'a', 'b')).toBe(first)
    expect(make('report', 'a', 'b')).not.toBe(first)
    expect(make('enforce', 'a', 'c').evidence).toEqual({ entry: 'a', source: 'c' })
    expect(make('enforce', 'a').evidence).toEqual({ entry: 'a' })
    for (let count = 0; count < 1_000; count += 1) make('enforce', String(count))
    expect(make('enforce', 'a', 'b')).not.toBe(first)
    expect(make('enforce', 'a', 'b')).toEqual(first)
  })
})
