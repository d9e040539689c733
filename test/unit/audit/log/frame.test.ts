import { createSecretKey } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  isMadeBy,
  lastOf,
  linesOf,
  linkOf,
  makeFrame,
  NO_LINK,
  openFrame,
  readFrame,
  type Frame,
} from '../../../../src/audit/log/frame.ts'
import { peopleOfLines } from '../../../../src/audit/log/people-of-lines.ts'
import { serialiseEvent } from '../../../../src/audit/line.ts'
import { UnreadableError } from '../../../../src/errors.ts'
import { fieldEvent, operationEvent } from '../events.ts'

const aWriter = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)
const aLine = fc.string({ unit: fc.constantFrom(...' !"#{}:,abcXYZ012'), maxLength: 40 })
const frames = fc
  .record({
    writer: aWriter,
    first: fc.integer({ min: 1, max: 2 ** 50 }),
    previous: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    lines: fc.array(aLine, { minLength: 1, maxLength: 40 }),
    hasKey: fc.boolean(),
  })
  .map(({ hasKey, ...parts }) => ({
    ...parts,
    key: hasKey ? createSecretKey(Buffer.alloc(32, 7)) : undefined,
  }))

/** Whether all statements of a frame about itself are true. */
function isWhole(bytes: Buffer): boolean {
  try {
    const { frame, root } = openFrame(bytes)
    return root.equals(frame.root)
  } catch (error) {
    if (error instanceof UnreadableError) return false
    throw error
  }
}

describe('a frame', () => {
  it('is read back unchanged', () => {
    fc.assert(
      fc.property(frames, (parts) => {
        const made = makeFrame(parts)
        expect(readFrame(made.bytes)).toEqual(made)
        expect(linesOf(made.bytes)).toEqual(parts.lines)
        expect(lastOf(made)).toBe(parts.first + parts.lines.length - 1)
        expect(isWhole(made.bytes)).toBe(true)
      }),
    )
  })

  it('with a changed bit is unreadable, or has another link, or a root that does not match its events', () => {
    fc.assert(
      fc.property(frames, fc.nat(), (parts, where) => {
        const made = makeFrame(parts)
        const bytes = Buffer.from(made.bytes)
        const bit = where % (bytes.length * 8)
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const isFound = (): boolean => {
          if (!isWhole(bytes)) return true
          const read = readFrame(bytes)
          if (!read.link.equals(made.link)) return true
          return parts.key !== undefined && !isMadeBy(read, parts.key)
        }
        // The unused bits at the end of a deflated body have no meaning: the events are the same.
        expect(isFound() || linesOf(bytes).join('\n') === parts.lines.join('\n')).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })

  it('that is truncated or has trailing bytes is unreadable', () => {
    fc.assert(
      fc.property(frames, fc.nat(), (parts, where) => {
        const { bytes } = makeFrame(parts)
        expect(isWhole(bytes.subarray(0, where % bytes.length))).toBe(false)
        expect(isWhole(Buffer.concat([bytes, Buffer.from('x')]))).toBe(false)
      }),
    )
  })

  it.each([
    ['another length of its body', 'length'],
    ['another number of events', 'count'],
  ] as const)('that says %s is unreadable, though its events are what they were', (_what, part) => {
    for (const lines of [['a', 'b'], Array.from({ length: 9 }, () => 'same')]) {
      const { bytes } = makeFrame({ writer: 'w', first: 1, previous: NO_LINK, lines })
      const at = 4 + (part === 'count' ? 8 : 8 + 4 + 32 + 32)
      const said = bytes.readUInt32BE(at)
      for (const other of [said - 1, said + 1]) {
        const changed = Buffer.from(bytes)
        changed.writeUInt32BE(other, at)
        expect(() => linesOf(changed)).toThrow(UnreadableError)
      }
    }
  })

  it('reads any bytes or refuses them with `UnreadableError`', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        isWhole(Buffer.from([0xf1, ...bytes]))
      }),
    )
  })

  it('is compressed if it has at least eight events', () => {
    const lines = (count: number): string[] => Array.from({ length: count }, () => 'a'.repeat(100))
    const size = (count: number): number =>
      makeFrame({ writer: 'w', first: 1, previous: NO_LINK, lines: lines(count) }).bytes.length
    expect(size(7)).toBeGreaterThan(700)
    expect(size(8)).toBeLessThan(200)
  })

  it('has a link that depends on writer, number, count, previous frame and content', () => {
    const one = { writer: 'w', first: 1, count: 2, previous: NO_LINK, root: Buffer.alloc(32, 1) }
    const others: Partial<Frame>[] = [
      { writer: 'v' },
      { writer: 'ww' },
      { first: 2 },
      { count: 3 },
      { previous: Buffer.alloc(32, 2) },
      { root: Buffer.alloc(32, 3) },
    ]
    const links = [one, ...others.map((other) => ({ ...one, ...other }))].map((each) =>
      linkOf(each).toString('hex'),
    )
    expect(new Set(links).size).toBe(7)
    // Computed by another program, because everybody must be able to recompute signed values.
    expect(links[0]).toBe('2a5e499f0cf3f8f2f9c0e997918a3806223a89d7f536d701b5bb7384ed0e89c3')
  })

  it('reveals the id of its key', () => {
    const [key, other] = [createSecretKey(Buffer.alloc(32, 1)), createSecretKey(Buffer.alloc(32, 2))]
    const parts = { writer: 'w', first: 1, previous: NO_LINK, lines: ['a'] }
    expect(isMadeBy(makeFrame({ ...parts, key }), key)).toBe(true)
    expect(isMadeBy(makeFrame({ ...parts, key: other }), key)).toBe(false)
    expect(isMadeBy(makeFrame(parts), key)).toBe(false)
  })

  it('that decompresses to far more than declared is refused before it is decompressed', () => {
    const lines = Array.from({ length: 8 }, () => ' '.repeat(100_000))
    const { bytes } = makeFrame({ writer: 'w', first: 1, previous: NO_LINK, lines })
    const lying = Buffer.from(bytes)
    lying.writeUInt32BE(10, 3 + 1 + 8 + 4 + 64)
    expect(() => linesOf(lying)).toThrow(UnreadableError)
  })
})

describe('peopleOfLines', () => {
  it('finds each person once, in fields, lists and actions', () => {
    const lines = [
      serialiseEvent(fieldEvent('1', { person: 'alice' })),
      serialiseEvent(fieldEvent('2', { person: 'alice', purpose: '"person":"nobody"' })),
      serialiseEvent(operationEvent('3')),
      '{"kind":"list","fields":["email"],"persons":[["bob",1],["carol",2]]}',
      '{"kind":"action","persons":["dora"]}',
    ]
    expect(peopleOfLines(lines)).toEqual(['alice', 'bob', 'carol', 'dora'])
  })
})
