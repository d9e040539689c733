import { describe, expect, it } from '@jest/globals'
import type { AuditEvent } from '../../../../src/audit/event.ts'
import { FrameMaker } from '../../../../src/audit/log/frame-maker.ts'
import { linesOf } from '../../../../src/audit/log/frame.ts'
import type { FrameToStore } from '../../../../src/audit/log/frame-store.ts'
import { peopleOfLines } from '../../../../src/audit/log/people-of-lines.ts'
import { fieldEvent, operationEvent, outcomeEvent } from '../events.ts'

const common = { version: 1, time: '2026-11-24T12:00:00.000Z', requestId: 'r', appId: 'a' } as const
const many = Array.from({ length: 2_000 }, (_, index) => `person-${index}`)

const rows: readonly [what: string, event: AuditEvent, people: readonly string[]][] = [
  ['a read field', fieldEvent('1'), ['pseudonym']],
  ['an operation of a person', operationEvent('1', { person: 'somebody' }), ['somebody']],
  ['an operation of nobody', operationEvent('1'), []],
  ['an outcome', outcomeEvent('1'), []],
  ['a leak', { ...common, kind: 'leak', id: '1', person: 'x', field: 'email' }, ['x']],
  [
    'a list',
    { ...common, kind: 'list', id: '1', fields: ['email'], persons: many.slice(0, 2).map((p) => [p, 1]) },
    many.slice(0, 2),
  ],
  ['an action', { ...common, kind: 'action', id: '1', action: 'update', persons: ['x', 'y'] }, ['x', 'y']],
  // The line has only the first persons, and the index must not have more.
  [
    'a list that is too long',
    { ...common, kind: 'list', id: '1', fields: ['email'], persons: many.map((p) => [p, 1]) },
    many.slice(0, 100),
  ],
  ['a person whose name no index can have', fieldEvent('1', { person: 'a"b c' }), []],
]

describe('a frame', () => {
  it.each(rows)('of %s names its people, as reading its lines does', (_what, event, people) => {
    const maker = new FrameMaker('w', undefined)
    // Events before it are in another frame.
    maker.add(fieldEvent('0', { person: 'earlier' }))
    const made: FrameToStore[] = []
    const take = (frame: FrameToStore): unknown => made.push(frame)
    maker.make(() => false, take)
    maker.add(event)
    maker.add(event)
    maker.make(() => false, take)
    expect(made.map((frame) => frame.people)).toEqual([['earlier'], people])
    expect(peopleOfLines(linesOf(made[1]?.bytes ?? Buffer.alloc(0)))).toEqual(people)
  })
})
