import { describe, expect, it } from '@jest/globals'
import { createReturnUrlSet, type ReturnUrlSet } from '../../../src/match/return-url-set.ts'
import { parseReturnUrl, parseReturnUrlEntry } from '../../../src/match/return-url.ts'
import { readCorpus, title } from '../../corpus/read.ts'

type EntryText = string | { readonly exact: string }

interface Hostile {
  readonly class: string
  readonly url: string
  readonly refused: string
  readonly policy?: readonly EntryText[]
}

interface Rightful {
  readonly class: string
  readonly url: string
  readonly entry: string
  readonly href?: string
  readonly policy?: readonly EntryText[]
}

const CALLBACK: readonly EntryText[] = ['https://example.org/callback/']
const hostile = readCorpus<Hostile>('return-urls.hostile.txt')
const rightful = readCorpus<Rightful>('return-urls.rightful.txt')

function setOf(entries: readonly EntryText[]): ReturnUrlSet {
  return createReturnUrlSet(
    entries.map((text) => {
      const entry = parseReturnUrlEntry(text)
      if ('problem' in entry) throw new Error(`the corpus has a bad entry: ${entry.problem}`)
      return entry
    }),
  )
}

describe('a hostile return URL is refused', () => {
  it.each(hostile.map((line) => [line.class, title(line.url), line] as const))(
    '%s: %s',
    (_class, _url, line) => {
      const url = parseReturnUrl(line.url)
      if ('problem' in url) {
        expect(url.problem).toBe(line.refused)
      } else {
        expect(setOf(line.policy ?? CALLBACK).find(url)).toBeUndefined()
        expect(line.refused).toBe('no entry')
      }
    },
  )
})

describe('a rightful return URL is admitted', () => {
  it.each(rightful.map((line) => [line.class, title(line.url), line] as const))(
    '%s: %s',
    (_class, _url, line) => {
      const url = parseReturnUrl(line.url)
      if ('problem' in url) throw new Error(`refused: ${url.problem}`)
      expect(url.href).toBe(line.href ?? line.url)
      expect(url.origin + url.path + url.query).toBe(url.href)
      expect(setOf(line.policy ?? CALLBACK).find(url)).toBe(line.entry)
    },
  )
})

describe('the corpora', () => {
  it('hold no line twice', () => {
    for (const lines of [hostile, rightful]) {
      const keys = lines.map(({ url, policy }) => JSON.stringify([url, policy]))
      expect(new Set(keys).size).toBe(keys.length)
    }
  })

  it('only grow', () => {
    expect(hostile.length).toBeGreaterThanOrEqual(722)
    expect(rightful.length).toBeGreaterThanOrEqual(183)
  })
})
