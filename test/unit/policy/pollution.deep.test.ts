import { afterEach, describe, expect, it } from '@jest/globals'
import {
  diffPolicies,
  explain,
  formatList,
  lintList,
  lintPolicy,
  memoryStore,
  createPolicySource,
  parseList,
  parsePolicy,
  scorePolicy,
  type RequestDescription,
  type PolicyInput,
} from 'portcullis'
import { compileJurisdictions, DEFAULT_JURISDICTIONS } from '../../../src/jurisdiction/jurisdictions.ts'
import { parseIpRange } from '../../../src/match/ip.ts'
import { parseOrigin, parseOriginEntry } from '../../../src/match/origin.ts'
import { parseReturnUrl, parseReturnUrlEntry } from '../../../src/match/return-url.ts'
import { compilePolicy } from '../../../src/policy/compile.ts'
import { policyShape } from '../../../src/policy/schema.ts'
import { readSources } from '../house/sources.ts'

/** The members of every option, entry and result in the sources: the names after `readonly` in interfaces. */
const membersInSources = readSources().flatMap(({ text }) =>
  [...text.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name = '']) => name),
)
const KEYS = policyShape().keys
const keys = [...new Set([...[...KEYS.values()].flat(), ...KEYS.keys(), ...membersInSources])]
  .filter((name) => name !== '' && !(name in Object.prototype))
  .toSorted()

const prototype = Object.prototype as Record<string, unknown>
/** Values that an attacker may set: possible values of the keys. */
const POISONS: readonly unknown[] = ['europe', true, ['0.0.0.0/0'], { mode: 'off' }]

afterEach(() => {
  for (const name of keys) delete prototype[name]
})

const document: PolicyInput = {
  appId: 'shop',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24', '203.0.113.0/24'], deny: ['203.0.113.9'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  returnUrlGuard: { mode: 'report', urls: ['https://example.org/cb/', { exact: 'app:/x' }] },
  regionPin: { mode: 'enforce' },
}
const bare = { appId: 'bare' }

const requests: readonly RequestDescription[] = [
  { url: 'https://api.example.com/login' },
  {
    url: 'https://api.example.com/login',
    headers: { origin: 'https://example.org' },
    address: '203.0.113.7',
    returnUrl: 'https://example.org/cb/x',
    country: 'DE',
    here: 'london',
    now: 0,
  },
  {
    url: 'https://api.example.com/login',
    headers: { origin: 'https://evil.example' },
    address: '203.0.113.9',
    returnUrl: 'https://evil.example/',
    country: undefined,
    here: 'london',
    now: 0,
  },
]

const list = '203.0.113.0/24\n2001:DB8::1 # a note\n'

/** All decisions, parsed values and findings, as one text. */
function everything(): string {
  const jurisdictions = compileJurisdictions(DEFAULT_JURISDICTIONS, 'j')
  const texts = ['https://example.org', 'nonsense', '://', 'https://a@b.example', 'https://x.example:99999']
  const entries = [...parseList(list, 'text')]
  const compiled = compilePolicy(parsePolicy(document))
  return JSON.stringify([
    [document, bare].map((one) => [parsePolicy(one), lintPolicy(one), scorePolicy(one)]),
    [document, bare].map((one) => requests.map((request) => explain(one, { ...request, now: 0 }).decisions)),
    [diffPolicies(bare, { ...document, appId: 'bare' }), diffPolicies(undefined, bare)],
    [compiled.domainProtect?.cors, compiled.domainProtect?.server, compiled.regionPin, compiled.serverOnly],
    ['DE', 'US', undefined, 'ZZ'].map((country) => jurisdictions.locate(country)),
    texts.map((text) => [parseOrigin(text) ?? null, parseOriginEntry(text), parseReturnUrl(text)]),
    texts.map((text) => [parseReturnUrlEntry(text), parseIpRange(text)]),
    [lintList(entries), [...formatList(entries, 'text')], [...formatList(entries, 'csv')]],
    // The text may differ, because zod uses `Object.prototype.path` as a path. The document must still be refused.
    refusal(() => parsePolicy({ ...document, extra: 1 })) === 'taken',
  ])
}

const batches = (names: readonly string[], size: number): string[][] =>
  Array.from({ length: Math.ceil(names.length / size) }, (_, at) => names.slice(at * size, (at + 1) * size))

function refusal(build: () => unknown): string {
  try {
    build()
    return 'taken'
  } catch (error) {
    return String(error)
  }
}

describe('a polluted Object.prototype', () => {
  it('is tested with enough names', () => {
    expect(keys).toEqual(
      expect.arrayContaining(['fallback', 'credentials', 'origin', 'deny', 'problem', 'note']),
    )
    expect(keys.length).toBeGreaterThan(200)
  })

  it('changes no policy, finding, list or decision, whatever name it gets', () => {
    const clean = everything()
    /** The harm that these polluted names cause, if any. */
    const harm = (names: readonly string[], poison: unknown): string | undefined => {
      for (const name of names) prototype[name] = poison
      let now = ''
      const outcome = refusal(() => void (now = everything()))
      for (const name of names) delete prototype[name]
      if (outcome !== 'taken') return outcome
      return now === clean ? undefined : 'another decision'
    }
    // Many at once, and individually only if they cause harm: this finds the same faults in a tenth of the time.
    const changed = batches(keys, 20).flatMap((names) =>
      POISONS.filter((poison) => harm(names, poison) !== undefined).flatMap((poison) =>
        names.flatMap((name) => {
          const done = harm([name], poison)
          return done === undefined ? [] : [`${name}: ${done}`]
        }),
      ),
    )
    expect([...new Set(changed)]).toEqual([])
    // Control: a planted fault is detected.
    expect(harm(['secret', 'toJSON', 'title'], () => 'europe')).toBe('another decision')
  })

  it('does not add members to a compiled policy', () => {
    const compiled = compilePolicy(parsePolicy(document))
    for (const [section, members] of KEYS) {
      const own = section === '' ? compiled : compiled[section as keyof typeof compiled]
      if (section === 'auditAccess') expect(own).toBeUndefined()
      const renamed = {
        name: 'appId',
        // No guard reads them.
        expect: 'appId',
        $schema: 'appId',
        methods: 'cors',
        headers: 'cors',
        exposedHeaders: 'cors',
        credentials: 'cors',
      }
      for (const member of section === 'auditAccess' ? [] : members) {
        const kept =
          section === 'domainProtect' && member === 'maxAge' ? 'cors' : (renamed[member as 'name'] ?? member)
        expect([section, member, Object.hasOwn(own as object, kept)]).toEqual([section, member, true])
      }
    }
  })

  it.each(['policy', 'keys', 'store', 'fallback', 'credentials'])(
    'affects no policy of a store: %s',
    async (name) => {
      const store = memoryStore([{ policy: document }])
      const source = createPolicySource({ store })
      prototype[name] = 'europe'
      try {
        const app = await source.load('shop')
        expect(app?.policy.regionPin?.fallback).toBeUndefined()
        expect(app?.policy.domainProtect?.cors.credentials).toBeUndefined()
      } finally {
        delete prototype[name]
      }
    },
  )
})
