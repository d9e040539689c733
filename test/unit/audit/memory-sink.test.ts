import { describe, expect, it } from '@jest/globals'
import { memoryAuditSink } from '../../../src/audit/memory-sink.ts'
import { ConfigError } from '../../../src/errors.ts'
import { fieldEvent } from './events.ts'

describe('memoryAuditSink', () => {
  const ids = (sink: ReturnType<typeof memoryAuditSink>) => sink.events().map(({ id }) => id)

  it('keeps the newest events, oldest first', () => {
    const sink = memoryAuditSink({ max: 3 })
    for (let index = 1; index <= 20; index += 1) {
      sink.write([fieldEvent(`${index}a`), fieldEvent(`${index}b`)])
      expect(sink.events().length).toBeLessThanOrEqual(3)
    }
    expect(ids(sink)).toEqual(['19b', '20a', '20b'])
  })

  it('accepts more events at once than it keeps', () => {
    const sink = memoryAuditSink()
    sink.write(Array.from({ length: 200_000 }, (_, index) => fieldEvent(String(index))))
    expect([sink.events().length, ids(sink).at(-1)]).toEqual([10_000, '199999'])
  })

  it('returns a list that does not change, and can be emptied', () => {
    const sink = memoryAuditSink()
    sink.write([fieldEvent('1')])
    const before = sink.events()
    sink.write([fieldEvent('2')])
    sink.clear()
    expect([before.length, sink.events().length]).toEqual([1, 0])
  })

  for (const options of [{ max: 0 }, { max: 1.5 }, { max: '3' }, { maximum: 3 }]) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      expect(() => memoryAuditSink(options as object)).toThrow(ConfigError)
    })
  }
})
