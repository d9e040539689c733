import { describe, expect, it } from '@jest/globals'
import { parseList, PolicyError } from 'portcullis'
import type { ListFormat } from 'portcullis/store'
import { createWorkMeter, growth } from '../../support/work.ts'

/** All reasons of a refusal, as one text. */
function refusal(text: string, format: ListFormat): string {
  try {
    for (const _ of parseList(text, format));
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    return error.issues.map(({ path, message, corrected }) => [path, message, corrected].join(' | ')).join()
  }
  return ''
}

/** A flat string from bytes, because a concatenated string is copied when it is first read. */
const flat = (text: string): string => Buffer.from(text).toString('latin1')

describe('hostile texts', () => {
  const texts: [string, ListFormat, (size: number) => string][] = [
    ['one line of text', 'text', (size) => 'x'.repeat(size)],
    ['one comment', 'text', (size) => `192.0.2.1 # ${'x'.repeat(size)}`],
    ['one object in a comment', 'text', (size) => `192.0.2.1 # {"note": "${'x'.repeat(size)}"}`],
    ['one object that does not end', 'text', (size) => `192.0.2.1 # ${'{"a":'.repeat(size / 5)}`],
    ['a long prefix', 'text', (size) => `192.0.2.0/${'2'.repeat(size)}`],
    ['spaces', 'text', (size) => `192.0.2.1${' '.repeat(size)}x`],
    ['NULs', 'text', (size) => '\u0000'.repeat(size)],
    ['lines without a range', 'text', (size) => 'x\n'.repeat(size / 2)],
    ['commas', 'csv', (size) => ','.repeat(size)],
    ['commas behind a quote', 'csv', (size) => `"192.0.2.1"${','.repeat(size)}`],
    ['quotes', 'csv', (size) => `192.0.2.1,${'"'.repeat(size)}`],
    ['a quote that does not close', 'csv', (size) => `192.0.2.1,"${'x\n'.repeat(size / 2)}`],
    ['one name of a column', 'csv', (size) => 'x'.repeat(size)],
    ['one name of a member', 'json', (size) => `[{"${'x'.repeat(size)}": 1}]`],
    ['depth', 'json', (size) => `${'['.repeat(size / 100)}${']'.repeat(size / 100)}`],
  ]
  for (const [what, from, make] of texts) {
    it(`refuses ten million characters of ${what} with a short message`, () => {
      const reasons = refusal(flat(make(10_000_000)), from)
      expect(reasons).not.toBe('')
      expect(reasons.length).toBeLessThan(10_000)
    })

    it(`reads ${what} a bounded number of times`, () => {
      const prepare = (size: number): (() => unknown) => {
        const text = flat(make(size))
        return () => refusal(text, from)
      }
      expect(growth(prepare, { from: 50_000, to: 500_000 })).toBeLessThan(12)
    })
  }

  it('yields the first entry without reading the rest of the text', () => {
    const text = flat('192.0.2.1\n'.repeat(1_000_000))
    const meter = createWorkMeter()
    for (const from of ['text', 'csv'] as const) {
      const list = parseList(text, from)
      const first = meter.measure(() => list.next())
      let more = 0
      const all = meter.measure(() => {
        while (list.next().done !== true) more += 1
      })
      expect(more).toBe(999_999)
      expect(first).toBeLessThan(all / 5)
    }
    meter.close()
  })
})
