import { describe, expect, it } from '@jest/globals'
import { createPolicySource, memoryStore, type PolicyInput } from 'portcullis'
import { signRequest } from 'portcullis/client'
import { allow, deny } from '../../../src/decision.ts'
import { decideDomainProtect } from '../../../src/guards/domain-protect.ts'
import { decideIpWhitelist } from '../../../src/guards/ip-whitelist.ts'
import { decideServerOnly } from '../../../src/guards/server-only.ts'
import type { GuardRequest } from '../../../src/http/handler.ts'
import { judge, type JudgeSettings, type Question } from '../../../src/http/judge.ts'
import { JudgedRequest } from '../../../src/http/judged-request.ts'
import type { RequestFacts } from '../../../src/http/request/facts.ts'
import { readBodyParameter, readQueryParameter } from '../../../src/http/request/parameters.ts'
import { parsePeer } from '../../../src/match/client-address.ts'
import { parseOrigin } from '../../../src/match/origin.ts'
import { httpMessageSignatures } from '../../../src/signature/http-message-signatures.ts'
import { APP, KEY } from '../../support/protected-app.ts'

/** Another reader of facts, for a Fetch `Request` as in Hono, Deno or a worker, with a separate address. */
function fetchFacts(request: Request, peer: string, bytes: Uint8Array | undefined): RequestFacts {
  const url = new URL(request.url)
  const header = (name: string): string | undefined => request.headers.get(name) ?? undefined
  const origin = header('origin')
  const preflight =
    request.method === 'OPTIONS' &&
    origin !== undefined &&
    header('access-control-request-method') !== undefined
  const target = url.pathname + url.search
  const body = bytes === undefined ? ({ kind: 'none' } as const) : ({ kind: 'bytes', bytes } as const)
  const ownOrigin = parseOrigin(url.origin)
  return {
    method: request.method,
    receivedMethod: request.method,
    target,
    origin,
    xOrigin: header('x-origin'),
    fetchMetadata: header('sec-fetch-site') === undefined ? undefined : 'sec-fetch-site',
    fetchSite: header('sec-fetch-site'),
    fetchMode: header('sec-fetch-mode'),
    refererOrigin: undefined,
    requestedHeaders: header('access-control-request-headers'),
    preflight,
    browserEvidence: preflight ? 'preflight' : origin === undefined ? header('sec-fetch-site') : 'origin',
    ownOrigin,
    ownOriginBy: () => ownOrigin,
    proxied: false,
    headersComplete: true,
    address: () => {
      const address = parsePeer(peer)
      return address && { address, source: 'socket', hops: 0 }
    },
    message: () => ({
      method: request.method,
      authority: url.host,
      target,
      scheme: url.protocol === 'https:' ? 'https' : 'http',
      header: (name) => [header(name) ?? []].flat(),
      body,
    }),
    parameter: (place) =>
      'query' in place
        ? readQueryParameter(target, place.query)
        : readBodyParameter(body, header('content-type'), place.body.split('.')),
  }
}

const POLICY: PolicyInput = {
  appId: APP,
  ipWhitelist: { mode: 'enforce', ranges: ['198.51.100.0/24'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  serverOnly: { mode: 'enforce' },
}

const policies = createPolicySource({ store: memoryStore([{ policy: POLICY, keys: [KEY] }]) })

const settings: JudgeSettings = {
  policies,
  appId: (req) => (req as unknown as Request).headers.get('x-app-id') ?? undefined,
  optionTimeout: 1_000,
  stranger: undefined,
}

const address: Question<Parameters<typeof decideIpWhitelist>[1], undefined> = {
  name: 'ipWhitelist',
  guard: decideIpWhitelist,
  facts: ({ facts }) => ({ address: facts.address(undefined), now: 0 }),
}

const domain: Question<RequestFacts, unknown> = {
  name: 'domainProtect',
  guard: decideDomainProtect,
  facts: ({ facts }) => facts,
}

const server: Question<Parameters<typeof decideServerOnly>[1], unknown> = {
  name: 'serverOnly',
  guard: decideServerOnly,
  facts: ({ facts }, { appId, keys }) => ({
    browserEvidence: facts.browserEvidence,
    headersComplete: true,
    message: facts.message(),
    scheme: httpMessageSignatures(),
    appId,
    keys,
    now: Date.now(),
  }),
}

async function codes(request: Request, peer: string, bytes?: Uint8Array): Promise<string[]> {
  const judged = new JudgedRequest(request as unknown as GuardRequest, fetchFacts(request, peer, bytes))
  const answers = []
  for (const question of [address, domain, server])
    answers.push(await judge(question as Question<unknown, unknown>, judged, settings))
  return answers.map(({ decision }) => decision.code)
}

describe('judge', () => {
  it('judges a Fetch Request with the same guards, without a response', async () => {
    const headers = { 'x-app-id': APP, 'x-origin': 'https://example.org', 'content-type': 'application/json' }
    const given = { method: 'POST', url: 'https://gateway.example/connect?a=1', headers, body: '{"a":1}' }
    const unsigned = new Request(given.url, given)
    const signed = new Request(given.url, {
      ...given,
      headers: await signRequest(given, { keyId: KEY.id, secret: KEY.secret }),
    })
    const bytes = new TextEncoder().encode('{"a":1}')
    expect(await codes(signed, '198.51.100.7', bytes)).toEqual(['ALLOWED', 'ALLOWED', 'ALLOWED'])
    expect(await codes(signed, '203.0.113.7', bytes)).toEqual(['ADDRESS_NOT_ALLOWED', 'ALLOWED', 'ALLOWED'])
    expect(await codes(signed, '198.51.100.7', new TextEncoder().encode('{"a":2}'))).toEqual([
      'ALLOWED',
      'ALLOWED',
      'DIGEST_MISMATCH',
    ])
    expect(await codes(unsigned, '198.51.100.7', bytes)).toEqual(['ALLOWED', 'ALLOWED', 'SIGNATURE_REQUIRED'])
  })

  it('answers without a promise if the app is in memory and nothing is asynchronous', async () => {
    await policies.load(APP)
    const request = new Request('https://gateway.example/', { headers: { 'x-app-id': APP } })
    const judged = new JudgedRequest(
      request as unknown as GuardRequest,
      fetchFacts(request, '198.51.100.7', undefined),
    )
    expect(judge(address, judged, settings)).not.toBeInstanceOf(Promise)
  })

  const failing: [string, () => never | Promise<never>][] = [
    ['throws', () => { throw new Error('a fault') }],
    ['rejects', () => Promise.reject(new Error('a fault'))],
  ] // prettier-ignore
  for (const [what, facts] of failing) {
    it(`refuses, and never throws or rejects, if a reader of facts ${what}`, async () => {
      const request = new Request('https://gateway.example/', { headers: { 'x-app-id': APP } })
      const judged = new JudgedRequest(
        request as unknown as GuardRequest,
        fetchFacts(request, '::1', undefined),
      )
      const { decision } = await judge({ ...address, facts }, judged, settings)
      expect([decision.effect, decision.mode, decision.code]).toEqual([
        'deny',
        'enforce',
        'POLICY_UNAVAILABLE',
      ])
    })
  }

  it('refuses if a guard or a claim fails', async () => {
    const request = new Request('https://gateway.example/', { headers: { 'x-app-id': APP } })
    const judged = new JudgedRequest(
      request as unknown as GuardRequest,
      fetchFacts(request, '198.51.100.7', undefined),
    )
    const broken = (): never => {
      throw new Error('a fault')
    }
    const claiming = {
      ...address,
      guard: () => ({ decision: allow('ipWhitelist', 'enforce', ''), outcome: 'claimed' }),
    }
    const answers = [
      await judge({ ...address, guard: broken }, judged, settings),
      await judge({ ...claiming, claim: broken }, judged, settings),
      await judge({ ...claiming, claim: () => Promise.reject(new Error('a fault')) }, judged, settings),
    ]
    expect(answers.map(({ decision }) => decision.code)).toEqual(Array(3).fill('POLICY_UNAVAILABLE'))
  })

  it('discards the outcome if its claim was refused', async () => {
    const request = new Request('https://gateway.example/', { headers: { 'x-app-id': APP } })
    const judged = new JudgedRequest(
      request as unknown as GuardRequest,
      fetchFacts(request, '198.51.100.7', undefined),
    )
    const answer = await judge(
      {
        ...address,
        guard: () => ({ decision: allow('ipWhitelist', 'enforce', ''), outcome: 'secret' }),
        claim: () => deny('ipWhitelist', 'enforce', 'SIGNATURE_REPLAYED', ''),
      },
      judged,
      settings,
    )
    expect(answer).toEqual({ decision: deny('ipWhitelist', 'enforce', 'SIGNATURE_REPLAYED', '') })
  })
})
