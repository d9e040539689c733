import { request, validateHeaderValue, type IncomingMessage } from 'node:http'
import express from 'express'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  bodyParsers,
  createPolicySource,
  domainProtect,
  ipWhitelist,
  memoryNonces,
  memoryStore,
  regionPin,
  returnUrlGuard,
  serverOnly,
  type Decision,
} from 'portcullis'
import { signRequest } from 'portcullis/client'
import { hostileOrigins, hostileReturnUrls, rightfulReturnUrls } from 'portcullis/testing'
import { unsendableOrigins } from '../../../src/testing/corpus/index.ts'
import { startConsole, type Client, type ConsoleServer } from '../../support/console.ts'
import { ADDRESSES, NO_ADDRESSES } from '../../unit/match/ip.corpus.ts'

/** The common time of both, so that nothing is a second older for one of them. */
const NOW = Date.now()

const store = memoryStore()
let server: ConsoleServer
let ada: Client
let gateway: string
const decided = new Map<string, Decision[]>()

/** The console and the guards, on one server with one store. */
beforeAll(async () => {
  const app = express().set('trust proxy', 'loopback')
  const policies = createPolicySource({ store })
  const shared = {
    policies,
    logger: { warn: () => undefined },
    onDecision(decision: Decision, { req }: { req: Pick<IncomingMessage, 'headers'> }) {
      const name = String(req.headers['x-case'])
      decided.set(name, [...(decided.get(name) ?? []), decision])
    },
  } as const
  app.use(
    '/guarded',
    bodyParsers(),
    ipWhitelist(shared),
    domainProtect(shared),
    serverOnly({ ...shared, nonces: memoryNonces(), now: () => NOW }),
    regionPin({ ...shared, here: 'london', country: ({ headers }) => headers['x-country'] }),
    returnUrlGuard({ ...shared, returnUrl: (req: { body?: { url?: unknown } }) => req.body?.url }),
    (_req, res) => void res.end('in'),
  )
  server = await startConsole({ store, app, now: () => NOW })
  ada = await server.signIn()
  gateway = `${new URL(server.url).origin}/guarded`
})
afterAll(() => server.close())

interface Call {
  readonly headers?: Readonly<Record<string, string>>
  readonly address?: string
  readonly returnUrl?: string
  readonly country?: string
  /** The body, as JSON. */
  readonly body?: string
}

let calls = 0

/** The decisions of the guards for a real request, with each character of a header as one byte. */
async function sent(
  appId: string,
  { headers = {}, address, returnUrl, country, body = JSON.stringify({ url: returnUrl }) }: Call,
): Promise<readonly Decision[]> {
  const name = `case-${(calls += 1)}`
  const all = {
    'x-app-id': appId,
    'x-case': name,
    'content-type': 'application/json',
    ...headers,
    ...(address !== undefined && { 'x-forwarded-for': address }),
    ...(country !== undefined && { 'x-country': country }),
  }
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const call = request(gateway, { method: 'POST', headers: all })
    call.once('error', reject)
    call.once('response', (response) => response.resume().once('end', () => resolve(response.statusCode)))
    call.end(body)
  })
  const decisions = decided.get(name) ?? []
  expect(status === 200).toBe(decisions.every(({ effect }) => effect === 'allow'))
  return decisions
}

/** The decisions of the console for the same request. */
async function tried(appId: string, { headers = {}, ...call }: Call) {
  const { status, body } = await ada.ask('POST', `apps/${appId}/trial`, {
    method: 'POST',
    url: gateway,
    headers: { ...headers, ...(call.body !== undefined && { 'content-type': 'application/json' }) },
    here: 'london',
    ...call,
  })
  return {
    status,
    decisions: body.inForce?.decisions as readonly Decision[] | undefined,
    issues: body.issues,
  }
}

const KEY = {
  id: 'key-1',
  algorithm: 'hmac-sha256',
  secret: Buffer.alloc(32, 'key').toString('base64'),
} as const

const apps = new Map<string, Promise<string>>()

/** Creates an app with this section and the other guards off. */
function appWith(section: object): Promise<string> {
  const text = JSON.stringify(section)
  const known = apps.get(text) ?? makeApp(`app-${apps.size}`, section)
  apps.set(text, known)
  return known
}

async function makeApp(appId: string, section: object): Promise<string> {
  const off = { mode: 'off' } as const
  const others = {
    ipWhitelist: off,
    domainProtect: off,
    serverOnly: off,
    regionPin: off,
    returnUrlGuard: off,
  }
  await store.write(
    { policy: { appId, ...others, ...section }, keys: 'serverOnly' in section ? [KEY] : [] },
    0,
  )
  return appId
}

const AT_ONCE = 16

/** Sends and tries each call, and compares the complete decision of one guard. */
async function compare(
  guard: Decision['guard'],
  cases: readonly (readonly [section: object, call: Call])[],
): Promise<{ allowed: number; denied: number }> {
  const found = { allowed: 0, denied: 0 }
  const one = (decisions: readonly Decision[] = []) => {
    const decision = decisions.find((other) => other.guard === guard)
    // The diagnosis of signatures is limited to twenty per second, and does not affect the decision.
    const { components: _, mistake: __, ...evidence } = decision?.evidence ?? {}
    return decision && { ...decision, evidence }
  }
  const both = async ([section, call]: (typeof cases)[number]): Promise<void> => {
    const appId = await appWith(section)
    const [real, trial] = await Promise.all([sent(appId, call), tried(appId, call)])
    expect([call, trial.status, one(trial.decisions)]).toEqual([call, 200, one(real)])
    found[one(real)?.effect === 'allow' ? 'allowed' : 'denied'] += 1
  }
  for (let index = 0; index < cases.length; index += AT_ONCE)
    await Promise.all(cases.slice(index, index + AT_ONCE).map(both))
  return found
}

const JSON_TYPE = { 'content-type': 'application/json' }

const urls = (entries: readonly unknown[]) => ({ returnUrlGuard: { mode: 'enforce', urls: entries } })
const domains = (entries: readonly string[]) => ({ domainProtect: { mode: 'enforce', domains: entries } })

describe('a trial in the console gives the same decision as the guards over HTTP', () => {
  it('for every hostile return URL', async () => {
    const cases = hostileReturnUrls.map(({ policy, url }) => [urls(policy), { returnUrl: url }] as const)
    expect(await compare('returnUrlGuard', cases)).toEqual({ allowed: 0, denied: hostileReturnUrls.length })
  })

  it('for every rightful return URL', async () => {
    const cases = rightfulReturnUrls.map(({ policy, url }) => [urls(policy), { returnUrl: url }] as const)
    expect(await compare('returnUrlGuard', cases)).toEqual({ allowed: rightfulReturnUrls.length, denied: 0 })
  })

  it('for every hostile origin', async () => {
    const cases = hostileOrigins.map(
      ({ policy, origin }) => [domains(policy), { headers: { origin } }] as const,
    )
    expect(await compare('domainProtect', cases)).toEqual({ allowed: 0, denied: hostileOrigins.length })
  })

  it('for origins with other characters, and refuses those that cannot be sent', async () => {
    const [sendable, others] = [
      unsendableOrigins.filter(({ origin }) => isSendable(origin)),
      unsendableOrigins.filter(({ origin }) => !isSendable(origin)),
    ]
    const cases = sendable.map(({ policy, origin }) => [domains(policy), { headers: { origin } }] as const)
    const { allowed, denied } = await compare('domainProtect', cases)
    // Spaces around an origin are lost in transit, which makes it valid.
    expect([allowed > 0, denied > 0, allowed + denied]).toEqual([true, true, sendable.length])
    expect(others.length).toBeGreaterThan(20)
    for (const { policy, origin } of others) {
      const { status, issues } = await tried(await appWith(domains(policy)), { headers: { origin } })
      expect([origin, status, issues?.[0]?.path]).toEqual([origin, 400, 'headers.origin'])
    }
  })

  it('and refuses two headers whose names differ only in case, as the guards do', async () => {
    const [good, evil] = ['https://example.org', 'https://evil.example']
    for (const headers of [
      { origin: evil, Origin: good },
      { Origin: good, origin: evil },
      { 'X-Origin': good, 'x-origin': good },
    ]) {
      const appId = await appWith(domains([good]))
      const { status, issues } = await tried(appId, { headers })
      const [, second] = Object.keys(headers)
      expect([headers, status, issues]).toEqual([
        headers,
        400,
        [{ path: `headers.${second}`, message: expect.stringContaining('must appear once') }],
      ])
    }
  })

  it('for each mixture of Origin, X-Origin and Fetch Metadata', async () => {
    const [origins, sites] = [
      [undefined, 'https://example.org', 'https://evil.example', 'null'],
      [undefined, 'none', 'same-origin', 'same-site', 'cross-site', 'odd'],
    ]
    const calls = origins.flatMap((origin) =>
      origins.flatMap((xOrigin) =>
        sites.flatMap((site) =>
          [undefined, 'navigate', 'cors'].map((mode) => ({
            headers: {
              ...(origin !== undefined && { origin }),
              ...(xOrigin !== undefined && { 'x-origin': xOrigin }),
              ...(site !== undefined && { 'sec-fetch-site': site }),
              ...(mode !== undefined && { 'sec-fetch-mode': mode }),
            },
          })),
        ),
      ),
    )
    const cases = calls.map((call) => [domains(['https://example.org']), call] as const)
    const { allowed, denied } = await compare('domainProtect', cases)
    expect([allowed > 0, denied > 0, allowed + denied]).toEqual([true, true, cases.length])
  })

  it('for valid and invalid signatures', async () => {
    const sign = async (body: string, key: object = {}, headers: Readonly<Record<string, string>> = {}) => {
      const message = { method: 'POST', url: gateway, headers: { ...JSON_TYPE, ...headers }, body }
      const all = await signRequest(message, { keyId: KEY.id, secret: KEY.secret, now: () => NOW, ...key })
      return { headers: Object.fromEntries(Object.entries(all)), body }
    }
    const good = await sign('{"a":1}')
    const calls: readonly Call[] = [
      good,
      await sign('{}', { keyId: 'key-2' }),
      await sign('{}', { secret: Buffer.alloc(32, 'other').toString('base64') }),
      { ...(await sign('{"a":1}')), body: '{"a":2}' },
      await sign('{}', { now: () => NOW - 3_600_000 }),
      await sign('{}', {}, { origin: 'https://example.org' }),
      await sign('{}', {}, { 'x-origin': 'https://example.org' }),
      { ...(await sign('{}')), headers: { 'signature-input': 'sig1=(' } },
      { body: '{}' },
    ]
    const cases = calls.map((call) => [{ serverOnly: { mode: 'enforce' } }, call] as const)
    expect(await compare('serverOnly', cases)).toEqual({ allowed: 2, denied: calls.length - 2 })
  })

  it('for people of all countries', async () => {
    const countries = ['DE', 'de', 'FRA', 'US', 'XX', '', 'DE, US', undefined]
    const cases = countries.flatMap((country) =>
      [{}, { fallback: 'world' }].map((more) => {
        const section = { regionPin: { mode: 'enforce', onMisdirected: 'reject', ...more } }
        return [section, country === undefined ? {} : { country }] as const
      }),
    )
    const { allowed, denied } = await compare('regionPin', cases)
    expect([allowed > 0, denied > 0, allowed + denied]).toEqual([true, true, cases.length])
  })

  it('for every spelling of an address, and for texts that are not addresses', async () => {
    const section = (range: string) => ({ ipWhitelist: { mode: 'enforce', ranges: [range] } })
    const good = ADDRESSES.flatMap(([address, , canonical]) => [
      [section(canonical), { address }] as const,
      [section('198.51.100.0/24'), { address }] as const,
    ])
    expect(await compare('ipWhitelist', good)).toEqual({
      allowed: ADDRESSES.length,
      denied: ADDRESSES.length,
    })
    // Text that a list of proxies would split or trim does not arrive unchanged.
    const bad = NO_ADDRESSES.filter((text) => isSendable(text) && text === text.trim() && !/^$|,/.test(text))
    expect(bad.length).toBeGreaterThan(50)
    const cases = bad.map((address) => [section('0.0.0.0/0'), { address }] as const)
    expect(await compare('ipWhitelist', cases)).toEqual({ allowed: 0, denied: bad.length })
  })
})

function isSendable(text: string): boolean {
  try {
    validateHeaderValue('origin', text)
    return true
  } catch {
    return false
  }
}
