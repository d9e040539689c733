import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createOriginSet, type OriginSet } from '../../../src/match/origin-set.ts'
import { originIndexKeys, parseOrigin, parseOriginEntry } from '../../../src/match/origin.ts'
import { runs } from '../../support/runs.ts'

function setOf(...entries: string[]): OriginSet {
  return createOriginSet(
    entries.map((text) => {
      const entry = parseOriginEntry(text)
      if ('problem' in entry) throw new Error(`${text}: ${entry.problem}`)
      return entry
    }),
  )
}

describe('createOriginSet', () => {
  it('admits nothing if it is empty, not even null', () => {
    const set = setOf()
    expect(set.size).toBe(0)
    expect(set.find('https://example.org')).toBeUndefined()
    expect(set.find('null')).toBeUndefined()
  })

  it('admits null if it is an entry', () => {
    expect(setOf('null').find('null')).toBe('null')
    expect(setOf('https://*.example.org').find('null')).toBeUndefined()
  })

  it('contains exactly the text of an entry without a wildcard', () => {
    const set = setOf('https://example.org', 'https://*.example.org')
    expect(set.holds('https://example.org')).toBe(true)
    for (const text of [
      'https://EXAMPLE.org',
      'https://example.org/',
      'https://a.example.org',
      'https://*.example.org',
    ]) {
      expect(set.holds(text)).toBe(false)
    }
  })

  const below = [
    'https://a.example.org',
    'https://a.b.example.org',
    'https://_x.example.org',
    'https://xn--4ca.example.org',
  ]
  it.each(below)('admits %s with a wildcard', (origin) => {
    expect(setOf('https://*.example.org').find(origin)).toBe('https://*.example.org')
  })

  it('returns the narrowest entry', () => {
    const set = setOf('https://*.example.org', 'https://*.b.example.org', 'https://a.b.example.org')
    expect(set.size).toBe(3)
    expect(set.find('https://a.b.example.org')).toBe('https://a.b.example.org')
    expect(set.find('https://c.b.example.org')).toBe('https://*.b.example.org')
    expect(set.find('https://c.example.org')).toBe('https://*.example.org')
  })

  it('never lets a wildcard span a public suffix', () => {
    const set = setOf('https://*.amazonaws.com')
    expect(set.find('https://console.amazonaws.com')).toBe('https://*.amazonaws.com')
    expect(set.find('https://bucket.s3.amazonaws.com')).toBeUndefined()
  })
})

describe('a set of origins', () => {
  const base = fc
    .tuple(
      fc.constantFrom('', 'a.', 'b.', 'a.b.', 'aa.'),
      fc.constantFrom('example.org', 'a.example', 'example.co.uk'),
    )
    .map((labels) => labels.join(''))
  const scheme = fc.constantFrom('https://', 'http://')
  const port = fc.constantFrom('', '', ':8443')
  const star = fc.constantFrom('', '*.')
  const entry = fc.tuple(scheme, star, base, port).map((parts) => parts.join(''))
  const request = fc
    .tuple(scheme, fc.constantFrom('', 'a.', 'b.', 'x.a.', '_.', 'x'), base, port)
    .map((parts) => parts.join(''))

  /** The rule: same scheme, same port, and a strict subdomain. None of these bases has a public suffix below it. */
  function admits(text: string, origin: string): boolean {
    if (!text.includes('*')) return text === origin
    const [start = '', end = ''] = text.split('*')
    return origin.startsWith(start) && origin.endsWith(end) && origin.length > start.length + end.length
  }

  it('admits what one of its entries admits, and returns such an entry', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), request, (texts, origin) => {
        const found = setOf(...texts).find(origin)
        expect(found !== undefined).toBe(texts.some((text) => admits(text, origin)))
        if (found !== undefined) expect(texts.filter((text) => admits(text, origin))).toContain(found)
      }),
      { numRuns: runs(2000) },
    )
  })

  it('finds the first of the keys that a store searches', () => {
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 8 }), request, (texts, origin) => {
        expect(setOf(...texts).find(origin)).toBe(originIndexKeys(origin).find((key) => texts.includes(key)))
      }),
      { numRuns: runs(1000) },
    )
  })

  it('admits no origin with appended text', () => {
    const set = setOf('https://example.org', 'https://*.example.org', 'null')
    const junk = fc.oneof(
      fc.string({ minLength: 1 }),
      fc.string({ unit: 'binary', minLength: 1 }),
      fc.constantFrom(
        '.',
        '/',
        '?',
        '#',
        '\\',
        '@',
        ':',
        ':8443',
        '.evil.example',
        ',https://example.org',
        '\t',
        '%00',
        ' ',
      ),
    )
    const start = fc.constantFrom('https://example.org', 'https://a.example.org', 'null')
    fc.assert(
      fc.property(start, junk, (text, more) => {
        fc.pre(more !== ':443')
        const origin = parseOrigin(text + more)
        expect(origin === undefined ? undefined : set.find(origin)).toBeUndefined()
      }),
      { numRuns: runs(1000) },
    )
  })
})
