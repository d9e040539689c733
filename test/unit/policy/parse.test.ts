import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { parsePolicy, PolicyError } from 'portcullis'
import type { PolicyIssue } from 'portcullis/store'

const complete = {
  appId: '0b7c4e1a-demo',
  name: 'Example shop',
  serverOnly: { mode: 'enforce', maxAge: 300, requireDigest: true, requireContentType: true },
  ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24', '2001:db8::/32'], deny: [], lists: ['office'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org', 'https://*.example.org'] },
  returnUrlGuard: {
    mode: 'report',
    urls: ['https://example.org/callback/', { exact: 'https://example.org/done' }],
  },
  regionPin: { mode: 'enforce', onMisdirected: 'reject' },
  auditAccess: { mode: 'enforce', onSinkFailure: 'deny' },
}

function issuesOf(document: unknown): readonly PolicyIssue[] {
  try {
    parsePolicy(document)
  } catch (error) {
    if (error instanceof PolicyError) return error.issues
    throw error
  }
  throw new Error('the document was taken')
}

describe('parsePolicy', () => {
  it('accepts hosts in any script, and returns them in ASCII', () => {
    const policy = parsePolicy({
      appId: 'a',
      domainProtect: {
        mode: 'enforce',
        domains: ['https://b\u00fccher.example', 'https://*.b\u00fccher.example'],
      },
      returnUrlGuard: {
        mode: 'enforce',
        urls: ['https://b\u00fccher.example/a/', { exact: 'https://b\u00fccher.example/?b' }],
      },
    })
    expect(policy.domainProtect?.domains).toEqual([
      'https://xn--bcher-kva.example',
      'https://*.xn--bcher-kva.example',
    ])
    expect(policy.returnUrlGuard?.urls).toEqual([
      'https://xn--bcher-kva.example/a/',
      { exact: 'https://xn--bcher-kva.example/?b' },
    ])
    expect(Object.isFrozen(policy.returnUrlGuard?.urls[1])).toBe(true)
  })

  it.each<[what: string, section: object, list: string, kept: readonly unknown[]]>([
    [
      'ranges',
      { ranges: ['10.0.0.1', '2001:DB8::1', '10.0.0.1/32', '2001:db8:0:0:0:0:0:1', '2001:db8::192.0.2.1'] },
      'ipWhitelist.ranges',
      ['10.0.0.1', '2001:db8::1', '2001:db8::c000:201'],
    ],
    ['names of lists', { lists: ['office', 'b', 'office'] }, 'ipWhitelist.lists', ['office', 'b']],
    [
      'domains',
      {
        domains: ['https://B\u00fccher.example', 'https://xn--bcher-kva.example', 'HTTPS://Example.ORG:443'],
      },
      'domainProtect.domains',
      ['https://xn--bcher-kva.example', 'https://example.org'],
    ],
    ['methods', { methods: ['GET', 'PUT', 'GET'] }, 'domainProtect.methods', ['GET', 'PUT']],
    [
      'names of headers',
      { headers: ['Content-Type', 'content-type'], exposedHeaders: ['ETag'] },
      'domainProtect.headers',
      ['content-type'],
    ],
    [
      'return URLs',
      {
        urls: [
          'https://Example.org',
          'https://example.org/',
          { exact: 'https://example.org' },
          { exact: "https://example.org/o'brien?q='" },
          { exact: 'msauth://package/2pwh%2FAb%3D' },
          'app://-',
          'MyApp:///x',
        ],
      },
      'returnUrlGuard.urls',
      [
        'https://example.org/',
        { exact: 'https://example.org/' },
        { exact: "https://example.org/o'brien?q=%27" },
        { exact: 'msauth://package/2pwh%2FAb%3D' },
        'app://-',
        'myapp:///x',
      ],
    ],
  ])('stores %s in canonical form, and only the first of equal ones', (_what, section, path, kept) => {
    const [name = '', list = ''] = path.split('.')
    const policy: object = parsePolicy({ appId: 'a', [name]: { mode: 'enforce', ...section } })
    expect((policy as Record<string, Record<string, unknown>>)[name]?.[list]).toEqual(kept)
    expect(parsePolicy(policy)).toEqual(policy)
  })

  it('returns a complete document unchanged', () => {
    expect(parsePolicy(complete)).toEqual(complete)
  })

  it('accepts the document in docs/policies.md, and refuses with its words', () => {
    const page = readFileSync(join(__dirname, '../../../docs/policies.md'), 'utf8')
    const shown = /```jsonc\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
    const document: unknown = JSON.parse(shown.replace(/\/\/ .*$/gm, '').replace(/,(?=\s*[}\]])/g, ''))
    expect(parsePolicy(document)).toEqual(document)
    const appId = 'example-shop'
    const refused = issuesOf({ appId, ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.5/24'] } })
    expect(page).toContain(new PolicyError(refused, 'policy', { appId }).message)
  })

  it('adds the defaults of a section, and omits missing sections', () => {
    expect(parsePolicy({ appId: 'a', serverOnly: { mode: 'report' }, auditAccess: { mode: 'off' } })).toEqual(
      {
        appId: 'a',
        serverOnly: { mode: 'report', maxAge: 300, requireDigest: true, requireContentType: true },
        auditAccess: { mode: 'off', onSinkFailure: 'deny' },
      },
    )
  })

  it('returns a frozen copy that is not affected by later changes of the document', () => {
    const document = structuredClone(complete)
    const policy = parsePolicy(document)
    document.ipWhitelist.ranges.push('0.0.0.0/0')
    expect(policy.ipWhitelist?.ranges).toEqual(['203.0.113.0/24', '2001:db8::/32'])
    expect(Object.isFrozen(policy.ipWhitelist?.ranges)).toBe(true)
  })

  const refused: [string, unknown, string, RegExp][] = [
    ['a missing app id', {}, 'appId', /is missing/],
    ['an app id with a space', { appId: 'a b' }, 'appId', /1-128 characters/],
    ['an app id with a line feed at its end', { appId: 'a\n' }, 'appId', /1-128 characters/],
    ['an app id of 129 characters', { appId: 'a'.repeat(129) }, 'appId', /1-128 characters/],
    ['no document', undefined, '', /is missing/],
    ['a text in place of a document', '{}', '', /expected an object/],
    ['an array in place of a document', [], '', /expected an object/],
    ['null', null, '', /expected an object, got null/],
    ['an unknown section', { appId: 'a', ipWhitelst: { mode: 'off' } }, 'ipWhitelst', /unknown key/],
    [
      'an unknown key in a section',
      { appId: 'a', serverOnly: { mode: 'off', maxage: 3 } },
      'serverOnly.maxage',
      /unknown key/,
    ],
    [
      'a section without a mode',
      { appId: 'a', serverOnly: {} },
      'serverOnly.mode',
      /is missing: expected one of enforce, report, off/,
    ],
    [
      'an unknown mode',
      { appId: 'a', serverOnly: { mode: 'on' } },
      'serverOnly.mode',
      /expected one of enforce, report, off, got "on"/,
    ],
    [
      'a section that is null',
      { appId: 'a', serverOnly: null },
      'serverOnly',
      /expected an object, got null/,
    ],
    [
      'a negative time',
      { appId: 'a', serverOnly: { mode: 'off', maxAge: -1 } },
      'serverOnly.maxAge',
      /expected at least 1 second, got -1/,
    ],
    [
      'a time that is a text',
      { appId: 'a', serverOnly: { mode: 'off', maxAge: '300' } },
      'serverOnly.maxAge',
      /got "300"/,
    ],
    [
      'a range that is a number',
      { appId: 'a', ipWhitelist: { mode: 'off', ranges: [1] } },
      'ipWhitelist.ranges[0]',
      /got 1/,
    ],
    [
      'ranges that are one text',
      { appId: 'a', ipWhitelist: { mode: 'off', ranges: '10.0.0.1' } },
      'ipWhitelist.ranges',
      /array/,
    ],
    [
      'an entry of a list that is null',
      { appId: 'a', returnUrlGuard: { mode: 'off', urls: [null] } },
      'returnUrlGuard.urls[0]',
      /a URL, or an object/,
    ],
    [
      'an unknown sink failure mode',
      { appId: 'a', auditAccess: { mode: 'off', onSinkFailure: 'ignore' } },
      'auditAccess.onSinkFailure',
      /deny, allow/,
    ],
  ]
  for (const [what, document, path, message] of refused) {
    it(`refuses ${what}, and says where`, () => {
      const issues = issuesOf(document)
      expect(issues.map((issue) => issue.path)).toContain(path)
      expect(issues.find((issue) => issue.path === path)?.message).toMatch(message)
    })
  }

  const corrected: [string, string, unknown, string][] = [
    [
      'host bits',
      'ipWhitelist.ranges[1]',
      { ipWhitelist: { mode: 'enforce', ranges: ['10.0.0.1', '203.0.113.5/24'] } },
      '203.0.113.0/24',
    ],
    [
      'a mapped address',
      'ipWhitelist.deny[0]',
      { ipWhitelist: { mode: 'enforce', deny: ['::ffff:10.0.0.1'] } },
      '10.0.0.1',
    ],
    [
      'a bare domain',
      'domainProtect.domains[0]',
      { domainProtect: { mode: 'enforce', domains: ['example.org'] } },
      'https://example.org',
    ],
    [
      'a trailing slash',
      'domainProtect.domains[0]',
      { domainProtect: { mode: 'enforce', domains: ['https://example.org/'] } },
      'https://example.org',
    ],
  ]
  for (const [what, path, sections, form] of corrected) {
    it(`refuses ${what} and suggests ${form}`, () => {
      expect(issuesOf({ appId: 'a', ...(sections as object) })).toEqual([
        expect.objectContaining({ path, corrected: form }),
      ])
    })
  }

  it.each([
    [{ domainProtect: { mode: 'enforce', domains: [/example/] } }, /got a value of type RegExp$/],
    [{ serverOnly: { mode: 'enforce', maxAge: 300_000 } }, /^expected at most 3600 seconds, got 300000$/],
    [{ serverOnly: { mode: 'enforce', maxAge: 0 } }, /^expected at least 1 second, got 0$/],
  ])('names the given value and the unit: %j', (sections, message) => {
    expect(issuesOf({ appId: 'a', ...sections })).toEqual([
      expect.objectContaining({ message: expect.stringMatching(message) }),
    ])
  })

  it.each([
    ['ipWhitelists', {}, 'unknown key: did you mean `ipWhitelist`?'],
    ['ipWhitelist.range', { ipWhitelist: { mode: 'off', range: [] } }, 'unknown key: did you mean `ranges`?'],
    ['ranges', { ranges: [] }, 'unknown key: it belongs in `ipWhitelist`'],
    [
      'ipWhitelist.urls',
      { ipWhitelist: { mode: 'off', urls: [] } },
      'unknown key: it belongs in `returnUrlGuard`',
    ],
    [
      'ipWhitelist.sources',
      { ipWhitelist: { mode: 'off', sources: [] } },
      'unknown key: the keys are mode, ranges, deny, lists, denyLists',
    ],
    [
      'serverOnly.mode',
      { serverOnly: { mode: 'enforced' } },
      'expected one of enforce, report, off, got "enforced"; did you mean `enforce`?',
    ],
    [
      'domainProtect.domains[0]',
      { domainProtect: { mode: 'off', domains: ['*'] } },
      'would admit every website: name each origin, like `https://example.org`, or `https://*.example.org` for all subdomains',
    ],
  ])('suggests what %s probably means', (path, sections, message) => {
    const document = { appId: 'a', ...sections, ...(path === 'ipWhitelists' ? { [path]: {} } : {}) }
    expect(issuesOf(document)).toEqual([expect.objectContaining({ path, message })])
  })

  it('reports all reasons at once, also in its message', () => {
    const document = {
      appId: 'a',
      serverOnly: { mode: 'on' },
      ipWhitelist: { mode: 'off', ranges: ['10.0.0.1/8'] },
    }
    expect(issuesOf(document)).toHaveLength(2)
    expect(() => parsePolicy(document)).toThrow(
      /`serverOnly.mode`.*`ipWhitelist.ranges\[0\]`.*write `10.0.0.0\/8`/,
    )
  })

  for (const text of [
    '{"appId":"a","__proto__":{"serverOnly":{"mode":"off"}}}',
    '{"appId":"a","constructor":{}}',
  ]) {
    it(`refuses ${text} and inherits nothing from it`, () => {
      expect(issuesOf(JSON.parse(text)).map(({ message }) => message)).toEqual(['unknown key'])
    })
  }

  it('ignores members on the prototype of the document', () => {
    const document: unknown = Object.create(
      { serverOnly: { mode: 'off' } },
      { appId: { value: 'a', enumerable: true } },
    )
    expect(parsePolicy(document)).toEqual({ appId: 'a' })
  })

  it('refuses a document of any depth without crashing', () => {
    const deep: unknown = JSON.parse(`{"appId":"a","name":${'['.repeat(50_000)}${']'.repeat(50_000)}}`)
    expect(() => parsePolicy(deep)).toThrow(PolicyError)
  })
})
