import { describe, expect, it } from '@jest/globals'
import { createOriginSet } from '../../../src/match/origin-set.ts'
import { parseOrigin, parseOriginEntry } from '../../../src/match/origin.ts'
import { readCorpus, title } from '../../corpus/read.ts'

interface Hostile {
  readonly class: string
  readonly origin: string
  readonly refused: 'unreadable' | 'no entry'
  readonly policy?: readonly string[]
}

const hostile = readCorpus<Hostile>('origins.hostile.txt')

describe('a hostile origin is refused', () => {
  it.each(hostile.map((line) => [line.class, title(line.origin), line] as const))(
    '%s: %s',
    (_class, _text, line) => {
      const entries = (line.policy ?? ['https://example.org']).map((text) => {
        const entry = parseOriginEntry(text)
        if ('problem' in entry) throw new Error(`the corpus has a bad entry: ${entry.problem}`)
        return entry
      })
      const origin = parseOrigin(line.origin)
      expect(origin === undefined ? 'unreadable' : 'no entry').toBe(line.refused)
      if (origin !== undefined) expect(createOriginSet(entries).find(origin)).toBeUndefined()
    },
  )

  it('in a corpus that only grows and holds no line twice', () => {
    const keys = hostile.map(({ origin, policy }) => JSON.stringify([origin, policy]))
    expect(new Set(keys).size).toBe(keys.length)
    expect(hostile.length).toBeGreaterThanOrEqual(329)
  })
})
