import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createReturnUrlSet, type ReturnUrlSet } from '../../../src/match/return-url-set.ts'
import {
  parseReturnUrl,
  parseReturnUrlEntry,
  type ReturnUrl,
  type ReturnUrlEntry,
} from '../../../src/match/return-url.ts'
import { bothFindInside } from './foreign-readers.ts'
import { TOKENS } from './mutations.ts'
import { hostileReturnUrls, rightfulReturnUrls } from 'portcullis/testing'
import { runs } from '../../support/runs.ts'

const ENTRY = 'https://example.org/callback/'
const callback = createReturnUrlSet([entryOf(ENTRY)])
const rightful = rightfulReturnUrls.filter(({ policy }) => policy[0] === ENTRY).map(({ url }) => url)
const hostile = hostileReturnUrls.map(({ url }) => url)

function entryOf(text: string | { exact: string }): ReturnUrlEntry {
  const entry = parseReturnUrlEntry(text)
  if ('problem' in entry) throw new Error(entry.problem)
  return entry
}

/** The URL that the guard passes on for a text, or `undefined` if it refuses. */
function admitted(text: unknown, set: ReturnUrlSet = callback): ReturnUrl | undefined {
  const url = parseReturnUrl(text)
  return 'problem' in url || set.find(url) === undefined ? undefined : url
}

const token = fc.oneof(
  fc.constantFrom(...TOKENS),
  fc.string({ minLength: 1, maxLength: 3 }),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 2 }),
)

interface Change {
  readonly at: number
  readonly remove: number
  readonly insert: string
}

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  remove: fc.constantFrom(0, 0, 0, 1, 2, 8),
  insert: fc.oneof(fc.constant(''), token, token, token),
})

function mutate(text: string, changes: readonly Change[]): string {
  return changes.reduce((changed, { at, remove, insert }) => {
    const start = Math.floor(at * (changed.length + 1))
    return changed.slice(0, start) + insert + changed.slice(start + remove)
  }, text)
}

const mutated = fc
  .tuple(
    // Few of them are valid, and most changes make them invalid.
    fc.oneof(fc.constantFrom(...rightful), fc.constantFrom(...hostile.filter(({ length }) => length < 300))),
    fc.array(change, { maxLength: 4 }),
  )
  .map(([text, changes]) => mutate(text, changes))

describe('every admitted URL', () => {
  it('is inside the entry for two independent parsers, as sent and in canonical form', () => {
    let count = 0
    fc.assert(
      fc.property(mutated, (text) => {
        const url = admitted(text)
        if (url === undefined) return
        count += 1
        expect([text, bothFindInside(text, [ENTRY])]).toEqual([text, true])
        expect(bothFindInside(url.href, [ENTRY])).toBe(true)
      }),
      { numRuns: runs(8000) },
    )
    // The property is meaningful only if enough mutations are still valid.
    expect(count).toBeGreaterThan(runs(200))
  })

  it('is passed on in a form that we and the URL standard read unchanged', () => {
    fc.assert(
      fc.property(mutated, (text) => {
        const url = parseReturnUrl(text)
        if ('problem' in url) return
        expect(parseReturnUrl(url.href)).toEqual(url)
        expect(new URL(url.href).href).toBe(url.href)
        const href = new URL(text).href
          .replace(/[`{}]/g, encodeURIComponent)
          .replace(/'(?=[^?]*$)/g, (quote) => (text.includes('?') ? '%27' : quote))
        expect(href.toLowerCase()).toBe(url.href.toLowerCase())
      }),
      { numRuns: runs(4000) },
    )
  })
})

describe('no URL is admitted', () => {
  it('with anything appended to the host', () => {
    const junk = fc.oneof(
      token,
      fc.array(token, { maxLength: 4 }).map((tokens) => tokens.join('')),
    )
    const rest = fc.constantFrom('/callback/', '/', '', '/callback/x?y')
    fc.assert(
      fc.property(junk, rest, (text, end) => {
        fc.pre(text !== '' && !text.startsWith('/') && !text.startsWith(':443'))
        expect(admitted(`https://example.org${text}${end}`)).toBeUndefined()
      }),
      { numRuns: runs(4000) },
    )
  })

  it('with anything put before the host', () => {
    fc.assert(
      fc.property(fc.array(token, { minLength: 1, maxLength: 4 }), (tokens) => {
        fc.pre(tokens.join('') !== '')
        expect(admitted(`https://${tokens.join('')}example.org/callback/`)).toBeUndefined()
      }),
      { numRuns: runs(2500) },
    )
  })

  it('that climbs out of its folder, in any spelling', () => {
    const dot = fc.constantFrom('.', '%2e', '%2E', '%252e', '%25252E', '%ef%bc%8e')
    const slash = fc.constantFrom('/', '%2f', '%252F', '%5c', '\\', '%255C', '%ef%bc%8f')
    const parameter = fc.constantFrom('', '', '', ';', ';x=y', '%3b', '%253bx', '%20')
    const below = fc.constantFrom('', 'x', 'x/y', 'a%20b')
    fc.assert(
      fc.property(below, slash, dot, dot, parameter, slash, (...parts) => {
        expect(admitted(ENTRY + parts.join('') + 'admin')).toBeUndefined()
      }),
      { numRuns: runs(2500) },
    )
  })
})

describe('for every well-formed URL and every policy', () => {
  // The accepted grammar: RFC 3986 without its odd cases, each of which has a name in ReturnUrlProblem.
  const anyCase = (text: string): fc.Arbitrary<string> =>
    fc
      .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
      .map((upper) =>
        [...text].map((letter, at) => (upper[at] === true ? letter.toUpperCase() : letter)).join(''),
      )
  const hosts = [
    'example.org',
    'a.example',
    '1.a_b.example',
    'localhost',
    'xn--bcher-kva.example',
    '192.0.2.1',
    '[::1]',
  ]
  const place = fc.oneof(
    fc.tuple(
      fc.constantFrom('https', 'http').chain(anyCase),
      fc.constant('://'),
      fc.constantFrom(...hosts).chain(anyCase),
      fc.constantFrom('', '', ':443', ':80', ':1', ':8443', ':65535'),
    ),
    fc.tuple(
      fc.constantFrom('myapp', 'com.example.app', 'a+b-c.d').chain(anyCase),
      fc.constant('://'),
      fc.constantFrom('callback', 'a.b'),
    ),
    fc.tuple(fc.constantFrom('com.example.app', 'myapp').chain(anyCase), fc.constant(':')),
  )
  const plain = fc.constantFrom(..."abzAZ09-_~!$&'()*+,=:@".split(''))
  const character = fc.oneof(
    { weight: 6, arbitrary: plain },
    // Any character that may be escaped: printable, not a separator, and not normalised to one.
    fc.constantFrom(
      '%20',
      '%41',
      '%7e',
      '%7E',
      '%25-',
      '%22',
      '%3f',
      '%23',
      '%c3%a4',
      '%E6%97%A5',
      '%f0%9f%98%80',
      'e%CC%81',
    ),
  )
  const name = fc
    .tuple(
      fc.constantFrom('', '', '.', '..', 'x;', '...'),
      fc.array(character, { minLength: 1, maxLength: 4 }),
    )
    .map(([start, characters]) => start + characters.join(''))
    // Dots before a space, or before a character that decodes to `?` or `#`, count as dot segments.
    .filter(
      (text) =>
        !/^\.{1,2}(?:$|[;?#])/.test(
          decodeURIComponent(text)
            .trim()
            .replace(/\s+(?=[;?#]|$)/, ''),
        ),
    )
  const path = fc
    .array(fc.oneof(fc.constantFrom('a', 'b', 'callback', ''), name), { minLength: 1, maxLength: 4 })
    .map((names) => `/${names.join('/')}`)
  const query = fc.oneof(
    fc.constantFrom('', '?', '?a=b', '?x[]={1}|^`'),
    fc
      .array(fc.oneof(character, fc.constantFrom('/', '?', '[', ']', '{', '}', '|', '^', '`', ';')), {
        maxLength: 5,
      })
      .map((all) => `?${all.join('')}`),
  )
  const url = fc
    .tuple(place, path, query)
    .filter(([start, end]) => start.length > 2 || !end.startsWith('//'))
    .map(([start, end, data]) => start.join('') + end + data)
  /** In our canonical form, which other properties test. The path of an entry must not contain a `*`. */
  const entry = fc
    .tuple(url, fc.constantFrom('prefix', 'prefix', 'exact', 'any port'))
    .map(([text, kind]) => ({ ...(parseReturnUrl(text) as ReturnUrl), kind }))
    .filter((one) => !one.path.includes('*'))
    .map(({ kind, href, origin, path: end }) => {
      if (kind === 'exact') return { exact: href }
      return kind === 'any port' ? `http://[::1]:*${end === '' ? '/' : end}` : origin + end
    })

  it('is accepted by the parser', () => {
    fc.assert(
      fc.property(url, (text) => {
        expect([text, parseReturnUrl(text)]).toEqual([
          text,
          expect.objectContaining({ href: expect.any(String) }),
        ])
      }),
      { numRuns: runs(4000) },
    )
  })

  it('is admitted exactly if two independent parsers find it inside an entry', () => {
    const admittedOf = { true: 0, false: 0 }
    /** URLs that often continue at or near the end of an entry. */
    const near = fc.tuple(
      fc.array(entry, { minLength: 1, maxLength: 6 }),
      url,
      fc.constantFrom('', '/', 'x', '/x', '?', '?x', '/x?y', ';x', '%20', '/../'),
      fc.nat(9),
    )
    fc.assert(
      fc.property(near, ([entries, other, end, pick]) => {
        const chosen = entries[pick]
        const start = typeof chosen === 'object' ? chosen.exact : chosen
        const text = start === undefined ? other : start.replace(':*', ':8080') + end
        const well = parseReturnUrl(text)
        if ('problem' in well) return
        const found = admitted(text, createReturnUrlSet(entries.map(entryOf))) !== undefined
        admittedOf[found ? 'true' : 'false'] += 1
        expect([text, entries, found]).toEqual([text, entries, bothFindInside(text, entries)])
      }),
      { numRuns: runs(4000) },
    )
    expect(Math.min(admittedOf.true, admittedOf.false)).toBeGreaterThan(runs(200))
  })
})

describe('nothing throws', () => {
  it('for any return URL', () => {
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.string({ unit: 'binary' }), fc.webUrl(), token), (value) => {
        const url = parseReturnUrl(value)
        if (!('problem' in url)) expect(callback.find(url)).toBeUndefined()
      }),
      { numRuns: runs(2500) },
    )
  })

  it('for any entry, and every suggestion is a valid entry', () => {
    const text = fc.oneof(
      mutated,
      fc.string({ unit: 'binary' }),
      fc.webUrl({ withFragments: true, withQueryParameters: true }),
    )
    fc.assert(
      fc.property(text, fc.boolean(), (entry, exact) => {
        const read = parseReturnUrlEntry(exact ? { exact: entry } : entry)
        if ('text' in read) {
          expect(parseReturnUrlEntry(exact ? { exact: read.text } : read.text)).toEqual(read)
        } else if (read.corrected !== undefined) {
          const { corrected } = read
          const suggested = corrected.startsWith('{')
            ? (JSON.parse(corrected) as { exact: string })
            : corrected
          const again = parseReturnUrlEntry(exact ? { exact: corrected } : suggested)
          expect(again).not.toHaveProperty('problem')
        }
      }),
      { numRuns: runs(2500) },
    )
  })
})

describe('a set of return URLs', () => {
  const path = fc
    .array(fc.constantFrom('', 'a', 'b', 'ab'), { maxLength: 4 })
    .map((names) => `/${names.join('/')}`)
  const origin = fc.constantFrom(
    'https://example.org',
    'https://a.example',
    'myapp://a',
    'http://127.0.0.1',
    'com.example.app:',
  )
  const text = fc
    .tuple(origin, path)
    .map(([start, end]) => start + end)
    .filter((whole) => !whole.startsWith('com.example.app://'))

  // An origin with few entries is stored differently from one with many.
  it.each([
    ['at many origins', text, 12],
    ['at one origin', path.map((end) => `https://example.org${end}`), 30],
    ['below one segment', fc.oneof(fc.constant(''), path).map((end) => `https://example.org/cb${end}`), 40],
  ])('agrees with a search through all entries, %s', (_where, url, maxLength) => {
    const entry = fc.oneof(
      url,
      url.map((exact) => ({ exact })),
      url.map((start) => ({ exact: `${start}?a` })),
    )
    fc.assert(
      fc.property(
        fc.array(entry, { maxLength }),
        url,
        fc.constantFrom('', '?', '?a'),
        (texts, start, query) => {
          const given = parseReturnUrl(start + query)
          if ('problem' in given) throw new Error(given.problem)
          const exact = texts.filter((one) => typeof one === 'object' && one.exact === given.href)
          const prefixes = texts
            .filter((one) => typeof one === 'string')
            .filter((one) => start === one || start.startsWith(one.endsWith('/') ? one : `${one}/`))
            .sort((one, other) => other.length - one.length)
          const expected = exact.length > 0 ? given.href : prefixes[0]
          expect(createReturnUrlSet(texts.map(entryOf)).find(given)).toBe(expected)
        },
      ),
      { numRuns: runs(2500) },
    )
  })
})
