import { describe, expect, it } from '@jest/globals'
import { createReturnUrlSet, type ReturnUrlSet } from '../../../src/match/return-url-set.ts'
import {
  parseExactUrl,
  parseReturnUrl,
  parseReturnUrlEntry,
  type ReturnUrl,
} from '../../../src/match/return-url.ts'

function setOf(...entries: (string | { exact: string })[]): ReturnUrlSet {
  return createReturnUrlSet(
    entries.map((text) => {
      const entry = parseReturnUrlEntry(text)
      if ('problem' in entry) throw new Error(entry.problem)
      return entry
    }),
  )
}

function find(set: ReturnUrlSet, text: string): string | undefined {
  const url = parseReturnUrl(text)
  if ('problem' in url) throw new Error(url.problem)
  return set.find(url)
}

function slashedUrl(text: string): ReturnUrl {
  return parseExactUrl(text) as ReturnUrl
}

describe('createReturnUrlSet', () => {
  it('admits nothing if it is empty', () => {
    const set = setOf()
    expect(set.size).toBe(0)
    expect(find(set, 'https://example.org/')).toBeUndefined()
  })

  it('counts its entries', () => {
    expect(setOf('https://example.org/', { exact: 'https://example.org/' }).size).toBe(2)
  })

  it('returns the exact entry, or else the longest prefix', () => {
    const set = setOf(
      'https://example.org/',
      'https://example.org/a',
      'https://example.org/a/',
      'https://example.org/a/b',
      { exact: 'https://example.org/a/b?x' },
    )
    expect(find(set, 'https://example.org/ab')).toBe('https://example.org/')
    expect(find(set, 'https://example.org/a')).toBe('https://example.org/a')
    expect(find(set, 'https://example.org/a/c')).toBe('https://example.org/a/')
    expect(find(set, 'https://example.org/a/b/c')).toBe('https://example.org/a/b')
    expect(find(set, 'https://example.org/a/b?x')).toBe('https://example.org/a/b?x')
  })

  it('prefers the entry with the same port to the one with any port', () => {
    const set = setOf('http://127.0.0.1:*/', 'http://127.0.0.1:8080/')
    expect(find(set, 'http://127.0.0.1:8080/x')).toBe('http://127.0.0.1:8080/')
    expect(find(set, 'http://127.0.0.1:8081/x')).toBe('http://127.0.0.1:*/')
  })

  it('distinguishes loopback addresses', () => {
    expect(find(setOf('http://[::1]:*/'), 'http://127.0.0.1:8080/')).toBeUndefined()
    expect(find(setOf('http://127.0.0.1:*/'), 'http://[::1]:8080/')).toBeUndefined()
  })

  it('finds entries among many that share a thousand segments', () => {
    const start = `https://example.org/${'a/'.repeat(1000)}`
    const many = Array.from({ length: 20 }, (_, index) => `${start}${index}`)
    const set = setOf(...many, { exact: start })
    expect(find(set, start)).toBe(start)
    expect(find(set, `${start}7`)).toBe(many[7])
    expect(find(set, `${start}7/x`)).toBe(many[7])
    expect(find(set, `${start}77`)).toBeUndefined()
    expect(find(set, start.slice(0, -2))).toBeUndefined()
  })

  it('does not admit a page because of its folder, however many entries are below it', () => {
    const folder = 'https://example.org/cb/'
    const below = Array.from({ length: 20 }, (_, index) => `${folder}${index}`)
    for (const entries of [[folder], [folder, ...below]]) {
      const set = setOf(...entries)
      expect(find(set, 'https://example.org/cb')).toBeUndefined()
      expect(find(set, folder)).toBe(folder)
      expect(find(set, `${folder}x`)).toBe(folder)
    }
  })

  it('admits an entry with encoded slashes only with the same bytes, and with any port if it says so', () => {
    const slashed = 'https://example.org/a%2Fb'
    const set = setOf('https://example.org/c', { exact: slashed }, { exact: 'http://[::1]:*/x%2fy?z' })
    const findSlashed = (text: string): string | undefined => {
      const url = parseExactUrl(text)
      if ('problem' in url) throw new Error(url.problem)
      return set.findSlashed(url)
    }
    expect(findSlashed(slashed)).toBe(slashed)
    expect(findSlashed('HTTPS://Example.org:443/a%2Fb')).toBe(slashed)
    expect(findSlashed('http://[::1]:81/x%2fy?z')).toBe('http://[::1]:*/x%2fy?z')
    for (const text of ['a%2fb', 'a/b', 'a%2Fb/', 'a%2Fb?', 'a%252Fb'])
      expect([text, findSlashed(`https://example.org/${text}`)]).toEqual([text, undefined])
    expect(setOf('https://example.org/a').findSlashed({ ...slashedUrl(slashed) })).toBeUndefined()
  })

  it('is not confused by names of object members', () => {
    const set = setOf('https://example.org/a')
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect(find(set, `https://example.org/${name}`)).toBeUndefined()
      expect(find(set, `https://example.org/a/${name}`)).toBe('https://example.org/a')
    }
  })

  it('counts its bytes: those of the texts, and of shared segments', () => {
    const deep = (host: (index: number) => string): ReturnUrlSet =>
      setOf(
        ...Array.from({ length: 10 }, (_, index) => `https://${host(index)}/${'a/'.repeat(900)}${index}/`),
      )
    const apart = deep((index) => `${index}.example.org`).bytes
    expect(setOf().bytes).toBe(0)
    expect(apart).toBeGreaterThan(10 * 1_800)
    expect(apart).toBeLessThan(10 * 2_200)
    // A separate step for each segment.
    expect(deep(() => 'example.org').bytes).toBeGreaterThan(apart + 900 * 200)
  })
})
