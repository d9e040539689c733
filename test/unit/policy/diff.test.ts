import { describe, expect, it } from '@jest/globals'
import { diffPolicies, PolicyError } from 'portcullis'

const app = (sections: object = {}): object => ({ appId: 'a', ...sections })

describe('diffPolicies', () => {
  const cases: [string, unknown, unknown, object[]][] = [
    ['the same document', app({ name: 'x' }), app({ name: 'x' }), []],
    [
      'a list in another order, and a default that is written out',
      app({ ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.1', '192.0.2.2'] } }),
      app({ ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.2', '192.0.2.1'], deny: [] } }),
      [],
    ],
    [
      'entries that came and went',
      app({ domainProtect: { mode: 'enforce', domains: ['https://a.example', 'https://b.example'] } }),
      app({ domainProtect: { mode: 'enforce', domains: ['https://b.example', 'https://c.example'] } }),
      [{ path: 'domainProtect.domains', removed: ['https://a.example'], added: ['https://c.example'] }],
    ],
    [
      'what pages may do across origins',
      app({ domainProtect: { mode: 'enforce', methods: ['GET', 'PUT'], maxAge: 60 } }),
      app({ domainProtect: { mode: 'enforce', methods: ['PUT', 'POST'], maxAge: 60, credentials: true } }),
      [
        { path: 'domainProtect.methods', removed: ['GET'], added: ['POST'] },
        { path: 'domainProtect.credentials', removed: [], added: [true] },
      ],
    ],
    [
      'entries that are objects',
      app({ returnUrlGuard: { mode: 'enforce', urls: [{ exact: 'https://a.example/x' }] } }),
      app({ returnUrlGuard: { mode: 'enforce', urls: ['https://a.example/x/'] } }),
      [
        {
          path: 'returnUrlGuard.urls',
          removed: [{ exact: 'https://a.example/x' }],
          added: ['https://a.example/x/'],
        },
      ],
    ],
    [
      'a mode',
      app({ auditAccess: { mode: 'report' } }),
      app({ auditAccess: { mode: 'enforce' } }),
      [{ path: 'auditAccess.mode', removed: ['report'], added: ['enforce'] }],
    ],
    [
      'a section that came',
      app(),
      app({ serverOnly: { mode: 'enforce' } }),
      [
        {
          path: 'serverOnly',
          removed: [],
          added: [{ mode: 'enforce', maxAge: 300, requireDigest: true, requireContentType: true }],
        },
      ],
    ],
    ['a name that went', app({ name: 'x' }), app(), [{ path: 'name', removed: ['x'], added: [] }]],
    ['an app that came', undefined, app(), [{ path: 'appId', removed: [], added: ['a'] }]],
    ['no app at all', undefined, undefined, []],
  ]
  for (const [what, before, after, changes] of cases) {
    it(`reports ${what}`, () => {
      const diff = diffPolicies(before, after)
      expect(JSON.parse(JSON.stringify(diff))).toEqual(changes)
    })
  }

  it('refuses a document that is not a policy', () => {
    expect(() => diffPolicies(app(), { appId: 'a', ipWhitelst: {} })).toThrow(PolicyError)
  })
})
