import { describe, expect, it } from '@jest/globals'
import type { IncomingMessage } from 'node:http'
import { createPolicySource, memoryStore, type GuardName, type PolicySource } from 'portcullis'
import { judgePreflight, judgeUnnamedPreflight } from '../../../src/http/preflight.ts'
import { NodeFacts } from '../../../src/http/request/facts.ts'
import { compilePolicy } from '../../../src/policy/compile.ts'
import { readPolicy } from '../../../src/policy/parse.ts'

const OURS = 'https://example.org'

function factsOf(method: string, origin: string): NodeFacts {
  const headers = { origin, 'access-control-request-method': 'PUT' }
  return new NodeFacts({
    method,
    url: '/',
    headers,
    rawHeaders: [],
    socket: {},
  } as unknown as IncomingMessage)
}

describe('a preflight that a guard passes to domainProtect', () => {
  const judged = (guard: GuardName, mode: string, domains: string, facts = factsOf('OPTIONS', OURS)) => {
    const document = { appId: 'a', [guard]: { mode }, domainProtect: { mode: domains, domains: [OURS] } }
    return judgePreflight(guard, compilePolicy(readPolicy(document)), facts)
  }

  it('is answered if both enforce', () => {
    const answer = judged('serverOnly', 'enforce', 'enforce')
    expect(answer).toMatchObject({
      preflight: true,
      decision: { code: 'ALLOWED' },
      outcome: { origin: OURS },
    })
    const refused = judged('serverOnly', 'enforce', 'enforce', factsOf('OPTIONS', 'https://evil.example'))
    expect(refused).toMatchObject({ preflight: true, decision: { code: 'ORIGIN_NOT_ALLOWED' } })
  })

  it.each([
    ['the guard only reports', 'report', 'enforce'],
    ['the guard is off', 'off', 'enforce'],
    ['domainProtect only reports', 'enforce', 'report'],
    ['domainProtect is off', 'enforce', 'off'],
  ])('is judged by the guard itself if %s', (_what, mode, domains) => {
    expect(judged('serverOnly', mode, domains)).toBeUndefined()
  })

  it('does not include requests with another method', () => {
    expect(judged('serverOnly', 'enforce', 'enforce', factsOf('POST', OURS))).toBeUndefined()
  })
})

describe('a preflight that names no app', () => {
  const policyOf = (appId: string, domains: readonly string[], more: object = {}) => ({
    policy: { appId, domainProtect: { mode: 'enforce' as const, domains, ...more } },
  })
  const source = createPolicySource({
    store: memoryStore([
      policyOf('one', [OURS], { methods: ['PUT'], maxAge: 60 }),
      policyOf('two', [OURS, 'https://two.example'], { methods: ['GET'], maxAge: 600 }),
      { policy: { appId: 'three' } },
    ]),
  })
  const all: PolicySource = {
    ...source,
    appsByOrigin: async () => {
      const apps = await Promise.all(['one', 'three'].map((appId) => source.load(appId)))
      return apps.filter((app) => app !== null)
    },
  }
  const broken: PolicySource = { ...source, appsByOrigin: async () => Promise.reject(new Error('down')) }

  it('is answered with what any of the apps grants its origin', async () => {
    const { decision, outcome } = await judgeUnnamedPreflight(source, OURS)
    expect(decision).toMatchObject({ effect: 'allow', code: 'ALLOWED', evidence: { apps: 2, entry: OURS } })
    expect(outcome).toMatchObject({ origin: OURS, settings: { methods: ['PUT', 'GET'], maxAge: 60 } })
  })

  it.each<[what: string, policies: PolicySource, origin: string, code: string]>([
    ['is of no app', source, 'https://evil.example', 'ORIGIN_NOT_ALLOWED'],
    ['is spelled as no browser does', source, 'https://EXAMPLE.org', 'ORIGIN_NOT_ALLOWED'],
    ['names a default port', source, `${OURS}:443`, 'ORIGIN_NOT_ALLOWED'],
    ['is no origin', source, 'example.org', 'ORIGIN_NOT_ALLOWED'],
    ['is of no app, though a source finds some', all, 'https://evil.example', 'ORIGIN_NOT_ALLOWED'],
    ['cannot be looked for', broken, OURS, 'POLICY_UNAVAILABLE'],
  ])('is refused, and granted nothing, if its origin %s', async (_what, policies, origin, code) => {
    const { decision, outcome, preflight } = await judgeUnnamedPreflight(policies, origin)
    expect(decision).toMatchObject({ effect: 'deny', mode: 'enforce', code })
    expect([outcome, preflight]).toEqual([undefined, true])
  })

  it('reports that the store could not find apps if it could not', async () => {
    const { decision } = await judgeUnnamedPreflight(broken, OURS)
    expect(decision.detail).toBe('the store could not look up apps by origin')
  })
})
