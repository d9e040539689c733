import { describe, expect, it } from '@jest/globals'
import type { Express, RequestHandler } from 'express'
import request from 'supertest'
import {
  httpMessageSignatures,
  memoryAuditSink,
  memoryNonces,
  protect,
  type AuditAccessOptions,
  type DomainProtectOptions,
  type GuardName,
  type IpWhitelistOptions,
  type ProtectOptions,
  type Refusal,
  type RegionPinOptions,
  type ReturnUrlGuardOptions,
  type ServerOnlyOptions,
  type SharedOptions,
  type SignatureScheme,
} from 'portcullis'
import { signRequest } from 'portcullis/client'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'

const GUARDS: readonly GuardName[] = [
  'auditAccess',
  'regionPin',
  'ipWhitelist',
  'domainProtect',
  'serverOnly',
  'returnUrlGuard',
]

/** All six guards are off, so that only the guard enabled by a test has an effect. */
const OFF = Object.fromEntries(GUARDS.map((name) => [name, { mode: 'off' }]))

/** An app with `protect()` and these options. */
function behind(sections: object, options: Partial<ProtectOptions> = {}, handler?: RequestHandler) {
  const given = {
    sink: memoryAuditSink(),
    nonces: memoryNonces(),
    here: 'london',
    country: () => 'DE',
    returnUrl: { query: 'return_url' },
  }
  const guards = (policies: ProtectOptions['policies']) => [protect({ ...given, policies, ...options })]
  return protectedApp({ ...OFF, ...sections }, guards, handler)
}

const get = (app: Express, path = '/', headers: Record<string, string> = {}) =>
  request(app)
    .get(path)
    .set({ 'x-app-id': APP, ...headers })

/** Sends a GET signed with the app's key, at this time and for this authority. */
function signed(
  app: Express,
  authority?: string,
): Promise<{ status: number; headers: Headers; body: unknown }> {
  return listening(app, async (origin) => {
    const url = authority === undefined ? `${origin}/` : `http://${authority}/`
    const headers = await signRequest(
      { method: 'GET', url, headers: { 'x-app-id': APP } },
      { keyId: KEY.id, secret: KEY.secret },
    )
    const response = await fetch(origin, { headers })
    return { status: response.status, headers: response.headers, body: await response.json() }
  })
}

const answerLength: RequestHandler = (req, res) => {
  let length = 0
  req.on('data', (chunk: Buffer) => (length += chunk.length)).on('end', () => res.end(String(length)))
}

/** A test that fails if `protect()` does not pass the option to the guard. */
type Probe = () => Promise<void>

/** The options of each guard. The compiler requires a test for each option. */
interface Options {
  auditAccess: AuditAccessOptions
  regionPin: RegionPinOptions
  ipWhitelist: IpWhitelistOptions
  domainProtect: DomainProtectOptions
  serverOnly: ServerOnlyOptions
  returnUrlGuard: ReturnUrlGuardOptions
}
type Probes = { [Name in GuardName]: Record<Exclude<keyof Options[Name], keyof SharedOptions>, Probe> } & {
  'every guard': Record<keyof SharedOptions, Probe>
}

const ENFORCE = { mode: 'enforce' }
const SIGNED = { serverOnly: ENFORCE }
const operationsIn = (sink: ReturnType<typeof memoryAuditSink>) =>
  sink.events().flatMap((event) => (event.kind === 'operation' ? [event] : []))
const failing = { write: async () => Promise.reject(new Error('down')) }
const behindProxy = { trustedProxies: ['127.0.0.0/8'], header: 'x-forwarded-for' } as const

async function recordedBy(options: Partial<ProtectOptions>, headers: Record<string, string> = {}) {
  const sink = memoryAuditSink()
  await get(behind({ auditAccess: ENFORCE }, { sink, ...options }).app, '/', headers).expect(200)
  const [operation] = operationsIn(sink)
  if (operation === undefined) throw new Error('no operation was recorded')
  return operation
}

/** The reported numbers of lost events while the sink failed. */
async function losses(maxBacklog: number | undefined): Promise<number[]> {
  const seen: number[] = []
  const { app } = behind(
    { auditAccess: { ...ENFORCE, onSinkFailure: 'allow' } },
    { sink: failing, maxBacklog, onError: (_error, { lost }) => void seen.push(lost) },
  )
  for (let count = 0; count < 5; count += 1) await get(app).expect(200)
  await new Promise((resolve) => setTimeout(resolve, 50))
  return seen
}

const probes: Probes = {
  'every guard': {
    async policies() {
      await get(behind({}).app).expect(200)
      await get(behind({}).app, '/', { 'x-app-id': 'nobody' }).expect(401)
    },
    async appId() {
      // Each guard reads the app id itself, so a guard without the option would refuse.
      const { app } = behind({}, { appId: (req) => String(req.headers['x-tenant']) })
      await request(app).get('/').set('x-tenant', APP).expect(200)
    },
    async onDecision() {
      const told: string[] = []
      const { app } = behind({}, { onDecision: ({ guard }) => void told.push(guard) })
      await get(app).expect(200)
      expect(told).toEqual(GUARDS)
    },
    async logger() {
      const told: string[] = []
      const { app } = behind({ regionPin: undefined }, { logger: ({ guard }) => void told.push(guard) })
      await get(app).expect(403)
      expect(told).toEqual(['regionPin'])
    },
    async optionTimeout() {
      const never = () => new Promise<string>(() => undefined)
      await get(behind({}, { appId: never, optionTimeout: 5 }).app).expect(503)
    },
    async onDeny() {
      for (const name of GUARDS) {
        const onDeny: SharedOptions['onDeny'] = (decision, _req, res) => {
          res.statusCode = 418
          res.end(decision.guard)
        }
        const { app } = behind({ [name]: undefined }, { onDeny })
        const { status, text } = await get(app).buffer(true)
        expect([name, status, text]).toEqual([name, 418, name])
      }
    },
    async onReport() {
      const reporting: Record<GuardName, object> = {
        auditAccess: { onSinkFailure: 'deny' },
        regionPin: {},
        ipWhitelist: { ranges: ['203.0.113.0/24'] },
        domainProtect: { domains: ['https://example.org'] },
        serverOnly: {},
        returnUrlGuard: { urls: ['https://example.org/'] },
      }
      for (const [name, section] of Object.entries(reporting)) {
        const reported: Refusal[] = []
        const { app } = behind(
          { [name]: { mode: 'report', ...section } },
          { onReport: (decision) => void reported.push(decision), sink: failing, country: () => 'US' },
        )
        // The audit refuses from the second request on, because the first one detects the failing sink.
        for (let count = 0; count < 3; count += 1) await get(app).expect(200)
        expect([name, new Set(reported.map(({ guard }) => guard))]).toEqual([name, new Set([name])])
      }
    },
    async requestId() {
      const { app } = behind({ returnUrlGuard: undefined }, { requestId: () => 'id-1' })
      expect((await get(app)).headers['x-request-id']).toBe('id-1')
    },
  },
  auditAccess: {
    async sink() {
      expect((await recordedBy({})).appId).toBe(APP)
    },
    async pseudonymKey() {
      const actorBy = async (fill: number) =>
        (await recordedBy({ pseudonymKey: Buffer.alloc(32, fill), actor: () => 'ada' })).actor
      expect(await actorBy(1)).toBe(await actorBy(1))
      expect(await actorBy(1)).not.toBe(await actorBy(2))
    },
    async actor() {
      expect((await recordedBy({})).actor).toBeUndefined()
      expect((await recordedBy({ actor: () => 'ada' })).actor).toEqual(expect.any(String))
    },
    async why() {
      const purposeBy = async (options: Partial<ProtectOptions>) => {
        const sink = memoryAuditSink()
        const { app } = behind(
          { auditAccess: ENFORCE },
          { ...options, sink },
          (req, res) => void res.json(req.portcullis.audit.person('7', { email: 'a@example.org' })),
        )
        await get(app).expect(200)
        return sink.events().flatMap((event) => (event.kind === 'field' ? [event.purpose] : []))
      }
      expect(await purposeBy({})).toEqual([undefined])
      expect(await purposeBy({ why: () => 'support' })).toEqual(['support'])
    },
    async judgements() {
      expect(((await recordedBy({})) as { judged?: string }).judged).toBeUndefined()
      const kept = await recordedBy({ judgements: { key: new Uint8Array(32) } })
      expect((kept as { judged?: string }).judged).toMatch(/^v1:/)
    },
    async models() {
      expect(() => behind({}, { models: { user: { persn: 'id' } as never } })).toThrow(
        /protect\.models\.user: .*`person`/,
      )
    },
    async leakGuard() {
      expect(() => behind({}, { leakGuard: 'throw' as never })).toThrow(/protect\.leakGuard/)
    },
    async leakShare() {
      expect(() => behind({}, { leakShare: 2 })).toThrow(/protect\.leakShare/)
    },
    async operation() {
      expect((await recordedBy({ operation: () => 'sign in' })).operation).toBe('sign in')
    },
    async sinkTimeout() {
      const never = { write: () => new Promise<void>(() => undefined) }
      const errors: unknown[] = []
      const { app } = behind(
        { auditAccess: { ...ENFORCE, onSinkFailure: 'deny' } },
        { sink: never, sinkTimeout: 1, onError: (error) => void errors.push(error) },
      )
      await get(app).expect(503)
      expect(String(errors[0])).toMatch(/\b1 ms/)
    },
    async maxBacklog() {
      expect(Math.max(...(await losses(0)))).toBeGreaterThan(0)
      expect(Math.max(...(await losses(undefined)))).toBe(0)
    },
    async onError() {
      expect((await losses(undefined)).length).toBeGreaterThan(0)
    },
    async clientAddress() {
      const pseudonymKey = Buffer.alloc(32, 1)
      const addressOf = async (address: string, clientAddress?: AuditAccessOptions['clientAddress']) =>
        (await recordedBy({ pseudonymKey, clientAddress }, { 'x-forwarded-for': address })).address
      expect(await addressOf('203.0.113.1', behindProxy)).not.toBe(
        await addressOf('203.0.113.2', behindProxy),
      )
      expect(await addressOf('203.0.113.1')).toBe(await addressOf('203.0.113.2'))
    },
  },
  regionPin: {
    async here() {
      await get(behind({ regionPin: ENFORCE }, { here: 'london' }).app).expect(200)
      await get(behind({ regionPin: ENFORCE }, { here: 'dallas' }).app).expect(421)
    },
    async country() {
      await get(behind({ regionPin: ENFORCE }, { country: () => 'US' }).app).expect(421)
    },
    async jurisdictions() {
      const jurisdictions = {
        europe: { locations: ['oslo'], countries: ['NO'] },
        world: { locations: ['dallas'], countries: '*' },
      } as const
      const { app } = behind({ regionPin: ENFORCE }, { here: 'oslo', country: () => 'NO', jurisdictions })
      await get(app).expect(200)
    },
    async bases() {
      const options = { here: 'dallas', bases: { frankfurt: 'https://fra.example' } }
      const { app } = behind({ regionPin: { ...ENFORCE, onMisdirected: 'redirect' } }, options)
      await get(app, '/me').expect(307).expect('Location', 'https://fra.example/me?portcullis-hop=1')
    },
    async handOver() {
      const options = { here: 'dallas', handOver: (location: string) => ({ 'fly-replay': location }) }
      const { app } = behind({ regionPin: { ...ENFORCE, onMisdirected: 'handOver' } }, options)
      await get(app).expect(421).expect('fly-replay', 'london')
    },
    async personId() {
      await get(behind({ regionPin: ENFORCE }, { personId: () => 'world_1' }).app).expect(421)
      await get(
        behind({ regionPin: ENFORCE }, { personId: () => 'europe_1', country: undefined }).app,
      ).expect(200)
    },
    async store() {
      const asked: string[] = []
      const store = { in: (jurisdiction: string) => asked.push(jurisdiction) as never }
      await get(behind({ regionPin: ENFORCE }, { store }).app).expect(200)
      expect(asked).toEqual(['europe'])
    },
    async now() {
      let asked = 0
      await get(behind({ regionPin: ENFORCE }, { now: () => (asked += 1) }).app).expect(200)
      // The clock only warns about the end of a location: when mounted, and every hundred requests.
      expect(asked).toBe(1)
    },
  },
  ipWhitelist: {
    async clientAddress() {
      const sections = { ipWhitelist: { ...ENFORCE, ranges: ['203.0.113.7'] } }
      const forwarded = { 'x-forwarded-for': '203.0.113.7' }
      await get(behind(sections, { clientAddress: behindProxy }).app, '/', forwarded).expect(200)
      await get(behind(sections).app, '/', forwarded).expect(403)
    },
  },
  domainProtect: {
    async authority() {
      const sections = { domainProtect: { ...ENFORCE, domains: ['https://api.example'] } }
      const own = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' }
      await get(behind(sections).app, '/', own).expect(403)
      await get(behind(sections, { authority: 'https://api.example' }).app, '/', own).expect(200)
      const listed = behind(sections, {
        authority: (req) => `https://${String(req.headers['x-forwarded-host'])}`,
      })
      await get(listed.app, '/', { ...own, 'x-forwarded-host': 'api.example' }).expect(200)
    },
    async referer() {
      const sections = { domainProtect: { ...ENFORCE, domains: ['http://api.example'] } }
      const own = { host: 'api.example', referer: 'http://api.example/page' }
      await get(behind(sections).app, '/', own).expect(403)
      await get(behind(sections, { referer: true }).app, '/', own).expect(200)
    },
  },
  serverOnly: {
    async nonces() {
      expect((await signed(behind(SIGNED).app)).status).toBe(200)
      const used = { claim: () => false }
      expect(await signed(behind(SIGNED, { nonces: used }).app)).toMatchObject({
        status: 401,
        body: { code: 'SIGNATURE_REPLAYED' },
      })
    },
    async authority() {
      const authority = 'https://api.example'
      expect((await signed(behind(SIGNED, { authority }).app, 'api.example')).status).toBe(200)
      expect((await signed(behind(SIGNED).app, 'api.example')).status).toBe(401)
    },
    async pathPrefix() {
      const by = async (pathPrefix?: string) =>
        (await signed(behind(SIGNED, { authority: 'http://api.example', pathPrefix }).app, 'api.example/api'))
          .status
      expect([await by('/api'), await by()]).toEqual([200, 401])
    },
    async streamed() {
      const body = Buffer.from('of no type that is parsed')
      const send = (streamed: boolean) =>
        listening(behind(SIGNED, { streamed }, answerLength).app, async (url) => {
          const headers = { 'x-app-id': APP, 'content-type': 'application/octet-stream' }
          const message = { method: 'POST', url: `${url}/`, headers, body }
          const all = await signRequest(message, { keyId: KEY.id, secret: KEY.secret })
          const response = await fetch(url, { method: 'POST', headers: all, body })
          return [response.status, await response.text()]
        })
      expect(await send(true)).toEqual([200, String(body.length)])
      expect(await send(false)).toMatchObject([401, expect.stringContaining('DIGEST_MISMATCH')])
    },
    async explainMismatch() {
      const { body } = await signed(behind(SIGNED, { explainMismatch: true }).app, 'other.example')
      expect(JSON.stringify(body)).toContain('@authority')
      const silent = await signed(behind(SIGNED).app, 'other.example')
      expect(JSON.stringify(silent.body)).not.toContain('@authority')
    },
    async scheme() {
      const nobody: SignatureScheme = {
        name: 'nobody',
        verify: () => ({ ok: false, code: 'SIGNATURE_EXPIRED', detail: 'never' }),
      }
      expect((await signed(behind(SIGNED, { scheme: httpMessageSignatures() }).app)).status).toBe(200)
      expect(await signed(behind(SIGNED, { scheme: nobody }).app)).toMatchObject({
        status: 401,
        body: { code: 'SIGNATURE_EXPIRED' },
      })
    },
    async nonceTimeout() {
      const slow = { claim: () => new Promise<boolean>((settle) => setTimeout(settle, 500, true)) }
      expect((await signed(behind(SIGNED, { nonces: slow, nonceTimeout: 60_000 }).app)).status).toBe(200)
      expect((await signed(behind(SIGNED, { nonces: slow, nonceTimeout: 1 }).app)).status).toBe(503)
    },
    async keyExpiryWarning() {
      const notAfter = new Date(Date.now() + 20 * 86_400_000).toISOString()
      const headerBy = async (keyExpiryWarning: number | undefined) => {
        const { app, store } = behind(SIGNED, { keyExpiryWarning })
        await store.write({ policy: { appId: APP, ...OFF, ...SIGNED }, keys: [{ ...KEY, notAfter }] }, 1)
        return (await signed(app)).headers.get('portcullis-key-expires')
      }
      expect([await headerBy(undefined), await headerBy(30)]).toEqual([null, notAfter])
    },
    async now() {
      const { status, body } = await signed(behind(SIGNED, { now: () => Date.now() + 3_600_000 }).app)
      expect([status, (body as { code: string }).code]).toEqual([401, 'SIGNATURE_EXPIRED'])
    },
  },
  returnUrlGuard: {
    async returnUrl() {
      const sections = { returnUrlGuard: { ...ENFORCE, urls: ['https://example.org/'] } }
      const { app } = behind(sections, { returnUrl: { query: 'next' } })
      await get(app, '/?next=https://example.org/').expect(200)
      await get(app, '/?return_url=https://example.org/').expect(400)
    },
    async relativeTo() {
      const sections = { returnUrlGuard: { ...ENFORCE, urls: ['https://here.example/'] } }
      await get(behind(sections, { relativeTo: 'https://here.example' }).app, '/?return_url=/x').expect(200)
      await get(behind(sections).app, '/?return_url=/x').expect(400)
    },
    async reserved() {
      const sections = { returnUrlGuard: { ...ENFORCE, urls: ['https://example.org/'] } }
      const path = `/?return_url=${encodeURIComponent('https://example.org/?code=1')}`
      await get(behind(sections).app, path).expect(200)
      await get(behind(sections, { reserved: ['code'] }).app, path).expect(400)
    },
  },
}

describe('protect() passes on', () => {
  for (const [guard, options] of Object.entries(probes)) {
    for (const [option, probe] of Object.entries(options as Record<string, Probe>)) {
      it(`\`${option}\` to ${guard}`, probe)
    }
  }
})
