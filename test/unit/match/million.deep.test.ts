import { describe, expect, it } from '@jest/globals'
import { hostileOrigins, hostileReturnUrls, rightfulReturnUrls } from 'portcullis/testing'
import { createOriginSet } from '../../../src/match/origin-set.ts'
import { parseOrigin, parseOriginEntry, type OriginEntry } from '../../../src/match/origin.ts'
import { createReturnUrlSet } from '../../../src/match/return-url-set.ts'
import { parseReturnUrl, parseReturnUrlEntry, type ReturnUrlEntry } from '../../../src/match/return-url.ts'
import { bothFindInside, readByRfc3986, readByWhatwg } from './foreign-readers.ts'
import { createChance, mutate } from './mutations.ts'

const MILLION = 1_000_000
/** The timeout on a busy machine, in milliseconds. */
const PATIENCE = 120_000
const short = (text: string): boolean => text.length < 300

describe('a million mutations of return URLs', () => {
  const urls = [
    ['https://example.org/callback/', 'https://example.org/app', 'https://sub.example.org:8443/a/b/'],
    ['http://127.0.0.1:*/callback/', 'http://[::1]:*/callback/', 'http://192.0.2.1/callback/'],
    ['com.example.app:/callback', 'myapp://callback/x', 'https://xn--bcher-kva.example/'],
    [{ exact: 'https://example.org/done' }, { exact: 'https://example.org/done/?tenant=a' }],
  ].flat()
  const set = createReturnUrlSet(urls.map((entry) => parseReturnUrlEntry(entry) as ReturnUrlEntry))
  const texts = [...hostileReturnUrls, ...rightfulReturnUrls, ...rightfulReturnUrls, ...rightfulReturnUrls]
    .map(({ url }) => url)
    .filter(short)

  it(
    'are admitted only if two independent parsers find them inside an entry, and never throw',
    () => {
      const chance = createChance(20_261_127)
      const wrong: string[] = []
      let admitted = 0
      for (let count = 0; count < MILLION; count += 1) {
        const text = mutate(texts, chance)
        const url = parseReturnUrl(text)
        if ('problem' in url || set.find(url) === undefined) continue
        admitted += 1
        if (!bothFindInside(text, urls) || !bothFindInside(url.href, urls)) wrong.push(text)
      }
      expect(wrong).toEqual([])
      // The test is meaningful only if many mutations are still valid.
      expect(admitted).toBeGreaterThan(20_000)
    },
    PATIENCE,
  )

  it('would expose a guard that compares only the beginning of the text', () => {
    const chance = createChance(20_261_127)
    let wrong = 0
    for (let count = 0; count < 50_000; count += 1) {
      const text = mutate(texts, chance)
      const entry = 'https://example.org/callback'
      if (text.startsWith(entry) && !bothFindInside(text, [entry])) wrong += 1
    }
    expect(wrong).toBeGreaterThan(1_000)
  })
})

describe('a million mutations of origins', () => {
  const domains = [
    ['https://example.org', 'https://*.example.org', 'https://*.a.example:8443', 'http://localhost:3000'],
    ['http://127.0.0.1', 'http://[::1]:8080', 'capacitor://localhost', 'https://xn--bcher-kva.example'],
  ].flat()
  const set = createOriginSet(domains.map((text) => parseOriginEntry(text) as OriginEntry))
  const rightful = [
    ...domains,
    'https://a.example.org',
    'https://a.b.example.org',
    'https://x.a.example:8443',
  ]
  const texts = [
    ...hostileOrigins.map(({ origin }) => origin).filter(short),
    ...Array.from({ length: 20 }, () => rightful.map((text) => text.replace('*', 'www'))).flat(),
  ]

  /** The rule: same scheme, same port, and the same host or a subdomain. */
  function admits(domain: string, text: string): boolean {
    return [readByWhatwg, readByRfc3986].every((read) => {
      const [entry, origin] = [read(domain.replace('*.', '')), read(text)]
      if (entry === undefined || origin === undefined || origin.path.length > 1 || origin.query !== '')
        return false
      const sameHost = domain.includes('*')
        ? origin.host.endsWith(`.${entry.host}`)
        : origin.host === entry.host
      return sameHost && origin.scheme === entry.scheme && origin.port === entry.port
    })
  }

  it(
    'are admitted only if two independent parsers find them under an entry, and never throw',
    () => {
      const chance = createChance(20_261_128)
      const wrong: string[] = []
      let admitted = 0
      for (let count = 0; count < MILLION; count += 1) {
        const text = mutate(texts, chance)
        const origin = parseOrigin(text)
        if (set.holds(text) && origin !== text) wrong.push(text)
        const entry = origin === undefined ? undefined : set.find(origin)
        if (origin === undefined || entry === undefined) continue
        admitted += 1
        const serialised = !/[/?#]$/.test(text)
        if (!serialised || !admits(entry, text) || !admits(entry, origin)) wrong.push(text)
      }
      expect(wrong).toEqual([])
      expect(admitted).toBeGreaterThan(20_000)
    },
    PATIENCE,
  )
})
