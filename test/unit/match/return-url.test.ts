import { describe, expect, it } from '@jest/globals'
import { parseReturnUrl, parseReturnUrlEntry } from '../../../src/match/return-url.ts'

describe('parseReturnUrl', () => {
  it('returns the canonical form and its parts', () => {
    expect(parseReturnUrl('HTTPS://Example.ORG:443/call%c3%a4/?q=%e2%82%ac')).toEqual({
      href: 'https://example.org/call%C3%A4/?q=%E2%82%AC',
      origin: 'https://example.org',
      path: '/call%C3%A4/',
      query: '?q=%E2%82%AC',
    })
  })

  it('reads a scheme without an authority', () => {
    expect(parseReturnUrl('com.example.app:/callback?code=x')).toEqual({
      href: 'com.example.app:/callback?code=x',
      origin: 'com.example.app:',
      path: '/callback',
      query: '?code=x',
    })
  })

  it('escapes what browsers leave in a query and Express escapes when it redirects', () => {
    const state = '?state={%22a%22:`1`}'
    expect(parseReturnUrl(`https://example.org/cb${state}`)).toMatchObject({
      href: 'https://example.org/cb?state=%7B%22a%22:%601%60%7D',
      query: '?state=%7B%22a%22:%601%60%7D',
    })
    const longest = `https://example.org/?${'{'.repeat(675)}`
    expect(parseReturnUrl(`${longest}xx`)).toHaveProperty('href.length', 2048)
    expect(parseReturnUrl(`${longest}xxx`)).toEqual({ problem: 'too long' })
  })

  const values = [
    undefined,
    null,
    7,
    true,
    {},
    [],
    ['https://example.org/'],
    { toString: () => 'https://example.org/' },
  ]
  it.each(values.map((value) => [value]))('refuses %p, which is not a string', (value) => {
    expect(parseReturnUrl(value)).toEqual({ problem: 'not a string' })
  })

  const first: [string, string][] = [
    ['not absolute', ''],
    ['too long', `javascript:\\${'x'.repeat(2048)}`],
    ['control character', 'https://a@example.org/\t\\'],
    ['backslash', 'javascript:\\'],
    ['scheme', 'javascript://a@example.org/#'],
    ['user information', 'https://a@exa%mple.org:x/#'],
    ['fragment', 'https://exa%mple.org:x/#'],
    ['host', 'https://exa%mple.org:x/../%'],
    ['port', 'https://example.org:x/../%'],
    ['character', 'https://example.org/{}/../'],
    ['encoding', 'https://example.org/../%'],
    ['dot segment', 'https://example.org/../%2f%00'],
    ['encoded separator', 'https://example.org/%2f%00?%'],
  ]
  it.each(first)('names `%s` first', (problem, text) => {
    expect(parseReturnUrl(text)).toEqual({ problem })
  })

  it('accepts at most 2,048 characters', () => {
    const longest = `https://example.org/${'x'.repeat(2028)}`
    expect(parseReturnUrl(longest)).toHaveProperty('href', longest)
    expect(parseReturnUrl(`${longest}x`)).toEqual({ problem: 'too long' })
  })
})

describe('parseReturnUrlEntry', () => {
  const taken: (string | { exact: string })[] = [
    'https://example.org/',
    'https://example.org/callback',
    'https://example.org/callback/',
    'https://example.org:8443/callback/',
    'https://example.org/a%20b/%C3%A4',
    'http://localhost:3000/callback',
    'https://[2001:db8::1]/',
    'http://127.0.0.1:*/callback/',
    'http://[::1]:*/',
    'com.example.app:/callback',
    'myapp://callback',
    'myapp://callback/x',
    { exact: 'https://example.org/done' },
    { exact: 'https://example.org/done?tenant=a&q=*' },
    { exact: 'http://127.0.0.1:*/done?x' },
  ]
  it.each(taken.map((entry) => [entry]))('takes %j as it is', (entry) => {
    const exact = typeof entry === 'object'
    expect(parseReturnUrlEntry(entry)).toMatchObject({
      text: exact ? entry.exact : entry,
      kind: exact ? 'exact' : 'prefix',
    })
  })

  it('accepts a host in any script, and returns it in ASCII', () => {
    expect(parseReturnUrlEntry('https://b\u00fccher.example:8443/a/')).toMatchObject({
      text: 'https://xn--bcher-kva.example:8443/a/',
      origin: 'https://xn--bcher-kva.example:8443',
    })
    expect(parseReturnUrlEntry({ exact: 'https://b\u00fccher.example/?a' })).toMatchObject({
      text: 'https://xn--bcher-kva.example/?a',
    })
    expect(parseReturnUrl('https://b\u00fccher.example/a/')).toEqual({ problem: 'not ASCII' })
  })

  const spelled: [string | { exact: string }, string][] = [
    ['https://example.org', 'https://example.org/'],
    ['HTTPS://Example.org/Callback', 'https://example.org/Callback'],
    ['https://example.org:443/callback/', 'https://example.org/callback/'],
    ['https://example.org/%c3%a4', 'https://example.org/%C3%A4'],
    [{ exact: 'https://example.org' }, 'https://example.org/'],
    [{ exact: 'https://example.org/cb?q={x}' }, 'https://example.org/cb?q=%7Bx%7D'],
    [{ exact: 'https://EXAMPLE.org/cb?q=%c3%a4' }, 'https://example.org/cb?q=%C3%A4'],
    ['http://127.0.0.1:*', 'http://127.0.0.1:*/'],
    ['http://[0:0:0:0:0:0:0:1]:*/callback/', 'http://[::1]:*/callback/'],
    ['MyApp://callback', 'myapp://callback'],
    ["https://example.org/cb/o'brien", "https://example.org/cb/o'brien"],
    [{ exact: "https://example.org/cb?q=O'Brien" }, 'https://example.org/cb?q=O%27Brien'],
    ['HTTP://127.0.0.1:*', 'http://127.0.0.1:*/'],
    ['app://-', 'app://-'],
    ['myapp:///x', 'myapp:///x'],
    [{ exact: 'msauth://package/2pwh%2FAb%3D' }, 'msauth://package/2pwh%2FAb%3D'],
    [{ exact: 'https://Example.org/a%2fb' }, 'https://example.org/a%2fb'],
  ]
  it.each(spelled)('accepts %j as %s, because both mean the same', (entry, canonical) => {
    const again = typeof entry === 'string' ? canonical : { exact: canonical }
    expect(parseReturnUrlEntry(entry)).toMatchObject({ text: canonical })
    expect(parseReturnUrlEntry(again)).toEqual(parseReturnUrlEntry(entry))
  })

  const corrected: [string | { exact: string }, string][] = [
    ['example.org', 'https://example.org/'],
    ['example.org/callback', 'https://example.org/callback'],
    ['localhost:3000/callback', 'http://localhost:3000/callback'],
    ['127.0.0.1:3000/callback', 'http://127.0.0.1:3000/callback'],
    ['[::1]:3000/callback', 'http://[::1]:3000/callback'],
    ['//example.org/callback', 'https://example.org/callback'],
    ['https:/example.org/callback', 'https://example.org/callback'],
    ['https//example.org/callback', 'https://example.org/callback'],
    ['"https://example.org/callback"', 'https://example.org/callback'],
    ['https://example.org/callback*', 'https://example.org/callback'],
    ['https://example.org/callback/**', 'https://example.org/callback/'],
    ['myapp://Callback', 'myapp://callback'],
    ['https://example.org:08443/', 'https://example.org:8443/'],
    ['https://b\u00fccher.example/\u00e4', 'https://xn--bcher-kva.example/%C3%A4'],
    ['https://example.org/callback/#', 'https://example.org/callback/'],
    ['https://example.org/callback/*', 'https://example.org/callback/'],
    [' https://example.org/ ', 'https://example.org/'],
    ['https://example.org/cb?tenant=a', '{"exact":"https://example.org/cb?tenant=a"}'],
    ['https://EXAMPLE.org?tenant=a', '{"exact":"https://example.org/?tenant=a"}'],
    ['https://example.org/cb?', '{"exact":"https://example.org/cb?"}'],
  ]
  it.each(corrected)('refuses %j and suggests %s', (entry, suggestion) => {
    expect(parseReturnUrlEntry(entry)).toEqual({ problem: expect.any(String), corrected: suggestion })
  })

  const refused = [
    ['', '*', 'h', 'https:', 'https://', 'https://*', '//example.org/', '/callback', '.*'],
    ['^https://example.org/'],
    ['https://*.example.org/', 'https://example.org:*/', 'https://example.org/*/x', 'https://example.*/'],
    ['http://localhost:*/', 'http://127.0.0.2:*/', 'https://127.0.0.1:*/', 'http://[::]:*/'],
    ['http://127.0.0.1:*x/', 'http://127.0.0.1:**/', 'http://127.0.0.1.evil.example:*/'],
    ['http://a@127.0.0.1:*/'],
    ['https://a@example.org/', 'https://@example.org/', 'https://example.org\\x/', 'https://example.org./'],
    ['javascript:alert(1)', 'javascript://example.org/', 'data:text/html,x', 'blob:https://example.org/'],
    ['file:///x'],
    ['https://example.org/%2e%2e/x', 'https://example.org/%'],
    ['https://example.org/a%2f%2e%2e%2fb', 'https://example.org/a%252f..%252fb', 'https://example.org/a%5cb'],
    ['https://example.org/a%255cb', 'https://example.org/a%2fb%00', 'https://example.org/a%2fb%250a'],
    ['https://example.org/a%2f%ef%bc%8e%ef%bc%8e', 'https://example.org/a%2fb%ef%bc%8fc'],
    ['https://exa\tmple.org/'],
    ['https://a.example/ https://b.example/', 'https://a.example/,https://b.example/ ', 'myapp://Callback'],
    ['myapp:x'],
  ].flat()
  it.each(refused.map((text) => [text]))('refuses %j', (text) => {
    expect(parseReturnUrlEntry(text)).toHaveProperty('problem')
    expect(parseReturnUrlEntry({ exact: text })).toHaveProperty('problem')
  })

  const EVERYWHERE =
    'would admit every website: name each URL, like `https://example.org/callback`, or each path that all of them begin with'
  const WILDCARD = 'has a wildcard: only the port of an http loopback address may be `*`'
  const SEVERAL = 'holds several entries'
  const advised: [string, string][] = [
    ['*', EVERYWHERE],
    ['https://*', EVERYWHERE],
    ['https://*/callback', EVERYWHERE],
    ['https://*.example.org/', WILDCARD],
    ['myapp://*', WILDCARD],
    ['http://localhost:*/callback', `${WILDCARD}, and \`localhost\` is a name`],
    ['http://localhost:*', `${WILDCARD}, and \`localhost\` is a name`],
    [
      'https://a.example/ https://b.example/',
      `${SEVERAL}: write \`https://a.example/\` and \`https://b.example/\` as separate entries`,
    ],
    ['https://a.example/ https://b.example:x/', SEVERAL],
    ['https://a.example/ https://b.example/a/../b', SEVERAL],
    [['a', 'b', 'c', 'd', 'e'].map((name) => `https://${name}.example`).join(' '), SEVERAL],
    ['/callback', 'is not a whole URL: write it with its scheme and host'],
  ]
  it.each(advised)('refuses %j, and says how to write it', (text, problem) => {
    expect(parseReturnUrlEntry(text)).toEqual({ problem })
    expect(parseReturnUrlEntry({ exact: text })).toEqual({ problem })
  })

  it('suggests nothing if the meaning is ambiguous', () => {
    for (const text of [
      'https://a@b.example/',
      'https://example.org\\@b.example/',
      'https://b.example/%2e%2e/',
      'https://b.example/%2e%2e/*',
      'https://example.org/app/..*',
      'https://example.org/app/.*',
      'https://example.org/app/../b/',
      'https://example.org/#/callback',
      'https://a.example/cb?x https://b.example/',
      '^https://example.org/app/..*$',
      'https://example.org:*/callback',
      'myapp:callback',
      'oauth/callback',
      'https://example.org/*/x',
      'https://example.org/callback/*?x=1',
      'http://127.0.0.1:**/',
      'javascript:alert(1)',
    ]) {
      expect(parseReturnUrlEntry(text)).not.toHaveProperty('corrected')
    }
  })

  it('refuses encoded slashes in a prefix, and suggests the exact entry', () => {
    expect(parseReturnUrlEntry('https://example.org/a%2Fb')).toEqual({
      problem: 'is not a return URL: it contains an encoded slash or backslash',
      corrected: '{"exact":"https://example.org/a%2Fb"}',
    })
  })
})
