import { describe, expect, it } from '@jest/globals'
import { parseIp } from '../../../src/match/ip.ts'
import { parseReturnUrl } from '../../../src/match/return-url.ts'
import { compilePolicy, type CompiledPolicy } from '../../../src/policy/compile.ts'
import { readPolicy } from '../../../src/policy/parse.ts'

const mode = 'enforce'
const RANGES = ['192.0.2.0/24']
const DOMAINS = ['https://example.org']
const URLS = ['https://example.org/callback/']

const read = (ranges = RANGES, deny: string[] = [], domains = DOMAINS, urls = URLS) =>
  readPolicy({
    appId: 'a',
    ipWhitelist: { mode, ranges, deny },
    domainProtect: { mode, domains },
    returnUrlGuard: { mode, urls },
  })

/** What the matchers of a policy admit. */
function admitted({ ipWhitelist, domainProtect, returnUrlGuard }: CompiledPolicy) {
  const address = parseIp('192.0.2.7')
  const url = parseReturnUrl('https://example.org/callback/x')
  if (address === undefined || 'problem' in url) throw new TypeError('neither is wrong')
  return {
    range: ipWhitelist?.ranges.find(address),
    denied: ipWhitelist?.deny.find(address),
    domain: domainProtect?.domains.find('https://example.org'),
    url: returnUrlGuard?.urls.find(url),
  }
}

const ALL = { range: '192.0.2.0/24', denied: undefined, domain: DOMAINS[0], url: URLS[0] }

describe('a policy that replaces another one', () => {
  const before = compilePolicy(read())

  it('reuses the matchers of the previous one whose entries are the same', () => {
    const after = compilePolicy(read(), undefined, before)
    expect(after).not.toBe(before)
    expect(after.ipWhitelist?.ranges).toBe(before.ipWhitelist?.ranges)
    expect(after.ipWhitelist?.deny).toBe(before.ipWhitelist?.deny)
    expect(after.domainProtect?.domains).toBe(before.domainProtect?.domains)
    expect(after.returnUrlGuard?.urls).toBe(before.returnUrlGuard?.urls)
    expect(admitted(after)).toEqual(ALL)
  })

  it.each([
    ['a range', read(['192.0.2.8']), { ...ALL, range: undefined }],
    ['a range that it denies', read(RANGES, ['192.0.2.7']), { ...ALL, denied: '192.0.2.7' }],
    ['a domain', read(RANGES, [], ['https://other.example']), { ...ALL, domain: undefined }],
    ['a return URL', read(RANGES, [], DOMAINS, ['https://example.org/x/']), { ...ALL, url: undefined }],
    ['no entry at all', read([], [], [], []), { denied: undefined }],
  ])('judges by its own entries if they differ: %s', (_what, document, expected) => {
    expect(admitted(compilePolicy(document, undefined, before))).toEqual(expected)
  })
})
