import { afterAll, afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import cors from 'cors'
import express, { Router, type RequestHandler } from 'express'
import { Redis } from 'ioredis'
import {
  appIdFrom,
  auditAccess,
  bodyParsers,
  domainProtect,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  protect,
  serverOnly,
  type GuardRequest,
  type GuardResponse,
  type PolicySource,
  type PolicyInput,
} from 'portcullis'
import { signedFetch } from 'portcullis/client'
import { redisNonces } from 'portcullis/redis'
import { run } from '../../support/commands.ts'
import { compiled } from '../../support/compiled.ts'
import { APP, KEY, listening, protectedApp } from '../../support/protected-app.ts'
import { freshPrefix, PATIENT, sharedRedisUrl } from '../../support/redis.ts'

/** Each wrong way to mount guards has a warning with a code. Correct ways have none. */

const registry = globalThis as { [key: symbol]: unknown }
const told = registry[Symbol.for('portcullis.setupWarnings')] as Set<string>
const looks = registry[Symbol.for('portcullis.setupLooks')] as Record<string, number>

const warned = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)

beforeEach(() => {
  told.clear()
  for (const guard of Object.keys(looks)) looks[guard] = 1000
  warned.mockClear()
})

interface Options {
  readonly type: string
  readonly code: string
  readonly detail: string
}
const warnings = (): Options[] => warned.mock.calls.map(([, options]) => options as unknown as Options)
const codes = (): string[] => warnings().map(({ code }) => code)

const ENFORCE = { mode: 'enforce' } as const
const SECTIONS = {
  serverOnly: ENFORCE,
  ipWhitelist: { ...ENFORCE, ranges: ['0.0.0.0/0', '::/0'] },
  domainProtect: { ...ENFORCE, domains: ['https://shop.example'] },
  returnUrlGuard: { mode: 'off', urls: [] },
  regionPin: { mode: 'off' },
  auditAccess: ENFORCE,
} satisfies Partial<PolicyInput>

type Mounts = (policies: PolicySource) => readonly unknown[]
type Ask = (origin: string) => Promise<unknown>

const addresses = (policies: PolicySource): unknown => ipWhitelist({ policies })
const audit = (policies: PolicySource): unknown => auditAccess({ policies, sink: memoryAuditSink() })
const origins = (policies: PolicySource): unknown => domainProtect({ policies })
const servers = (policies: PolicySource): unknown => serverOnly({ policies, nonces: memoryNonces() })
const scoped =
  (mergeParams: boolean): Mounts =>
  (policies) => {
    const router = Router({ mergeParams })
    router.use(ipWhitelist({ policies, appId: appIdFrom({ param: 'appId' }) }) as RequestHandler)
    return ['/apps/:appId', router]
  }

const get: Ask = (origin) => fetch(`${origin}/apps/${APP}/x?secret=s3cret`, { headers: { 'x-app-id': APP } })
const page: Ask = (origin) => fetch(origin, { headers: { 'x-app-id': APP, origin: 'https://shop.example' } })
const signedPost: Ask = (origin) =>
  signedFetch({ keyId: KEY.id, secret: KEY.secret, appId: APP, origin: 'https://shop.example' })(origin, {
    method: 'POST',
    body: '{"a":"s3cret"}',
    headers: { 'content-type': 'application/json' },
  })
const strange: Ask = (origin) =>
  fetch(origin, {
    method: 'POST',
    body: '{"a":"s3cret"}',
    headers: { 'x-app-id': APP, 'content-type': 'application/json' },
  })

/** An adapter that passes on requests without their raw headers. */
const adapter: RequestHandler = (req, _res, next) => {
  req.rawHeaders = []
  next()
}

const PARSER = 'PORTCULLIS_BODY_PARSER_AHEAD'
const CORS = 'PORTCULLIS_CORS_BESIDE'
const ORDER = 'PORTCULLIS_GUARD_BEFORE_AUDIT'
const PARAMETER = 'PORTCULLIS_ROUTE_PARAMETER_MISSING'
const RAW = 'PORTCULLIS_RAW_HEADERS_MISSING'
const CLOCK = 'PORTCULLIS_CLOCK_DIFFERS'
const PROCESSES = 'PORTCULLIS_MEMORY_WITH_PROCESSES'

const WRONG: readonly (readonly [name: string, mounts: Mounts, ask: Ask, code: string])[] = [
  ['express.json() ahead of serverOnly', (p) => [express.json(), servers(p)], signedPost, PARSER],
  ['the same, and a caller that does not sign', (p) => [express.json(), servers(p)], strange, PARSER],
  ['express.json() ahead of both', (p) => [express.json(), ...bodyParsers(), servers(p)], signedPost, PARSER],
  [
    'express.raw() ahead of serverOnly',
    (p) => [express.raw({ type: '*/*' }), servers(p)],
    signedPost,
    PARSER,
  ],
  ['express.json() ahead of protect()', (p) => [express.json(), everything(p)], signedPost, PARSER],
  ['cors() ahead of domainProtect', (p) => [cors(), origins(p)], page, CORS],
  ['a header written by hand ahead of it', (p) => [byHand, origins(p)], page, CORS],
  ['a guard ahead of auditAccess', (p) => [addresses(p), audit(p)], get, ORDER],
  ['two guards ahead of it', (p) => [addresses(p), origins(p), audit(p)], page, ORDER],
  ['a router without mergeParams', scoped(false), get, PARAMETER],
  [
    'a parameter that no path has',
    (policies) => [ipWhitelist({ policies, appId: appIdFrom({ param: 'app' }) })],
    get,
    PARAMETER,
  ],
  ['an adapter without rawHeaders', (p) => [adapter, addresses(p)], get, RAW],
]

function byHand(_req: GuardRequest, res: GuardResponse, next: () => void): void {
  res.setHeader('Access-Control-Allow-Origin', '*')
  next()
}

function everything(policies: PolicySource): unknown {
  return protect({
    policies,
    nonces: memoryNonces(),
    sink: memoryAuditSink(),
    here: 'london',
    country: () => 'DE',
    returnUrl: { query: 'return_url', optional: true },
  })
}

const RIGHT: readonly (readonly [name: string, mounts: Mounts, ask: Ask])[] = [
  ['bodyParsers() ahead of serverOnly', (p) => [...bodyParsers(), servers(p)], signedPost],
  ['express.json() behind serverOnly', (p) => [servers(p), express.json()], get],
  ['express.json() ahead, and no content', (p) => [express.json(), servers(p)], get],
  ['protect() and a signed request', (p) => [everything(p)], signedPost],
  ['protect() and a stranger', (p) => [everything(p)], strange],
  ['domainProtect twice', (p) => [origins(p), origins(p)], page],
  ['domainProtect behind the guards of addresses', (p) => [addresses(p), origins(p)], page],
  ['auditAccess first', (p) => [audit(p), addresses(p)], get],
  ['auditAccess on the app and on the route', (p) => [audit(p), addresses(p), audit(p)], get],
  ['a router with mergeParams', scoped(true), get],
  ['a caller that names no app', (p) => [addresses(p)], (origin) => fetch(origin)],
]

async function ask(mounts: Mounts, question: Ask): Promise<void> {
  const { app, policies } = protectedApp(SECTIONS, mounts)
  try {
    await listening(app, question)
  } finally {
    policies.close()
  }
}

describe('setup checks', () => {
  it.each(WRONG)('%s: gives a warning', async (_name, mounts, question, code) => {
    await ask(mounts, question)
    expect(codes()).toEqual([code])
    const [message] = warned.mock.calls[0] ?? []
    expect(warnings()[0]).toMatchObject({
      type: 'PortcullisWarning',
      detail: expect.stringMatching(
        new RegExp(`^.+\\. See portcullis/docs/codes\\.md#${code.toLowerCase()}$`),
      ),
    })
    expect(`${String(message)}${warnings()[0]?.detail}`).not.toMatch(/s3cret|shop\.example|app-1/)
  })

  it.each(WRONG)('%s: gives a warning in production too', async (_name, mounts, question, code) => {
    const before = process.env['NODE_ENV']
    process.env['NODE_ENV'] = 'production'
    try {
      await ask(mounts, question)
    } finally {
      process.env['NODE_ENV'] = before
    }
    expect(codes()).toEqual([code])
  })

  it.each(RIGHT)('%s: gives no warning', async (_name, mounts, question) => {
    await ask(mounts, question)
    expect(codes()).toEqual([])
  })

  it('each code is printed once per process', async () => {
    for (let count = 0; count < 3; count += 1)
      for (const [, mounts, question] of WRONG) await ask(mounts, question)
    expect(codes().toSorted()).toEqual([PARSER, CORS, ORDER, RAW, PARAMETER].toSorted())
  })

  it('only the first thousand decisions of a guard are examined', async () => {
    looks['domainProtect'] = 1
    await ask((p) => [origins(p)], page)
    await ask((p) => [cors(), origins(p)], page)
    expect([looks['domainProtect'], codes()]).toEqual([0, []])
  })
})

describe('the clock of Redis', () => {
  const redis = new Redis(sharedRedisUrl(), { disconnectTimeout: 50 })
  afterAll(() => redis.disconnect())

  it.each([
    ['as ours', 0, []],
    ['two seconds behind', 2_000, []],
    ['a minute behind', 60_000, [CLOCK]],
    ['a minute ahead', -60_000, [CLOCK]],
  ])('%s', async (_name, ahead, expected) => {
    const asked: string[] = []
    const client = new Proxy(redis, {
      get: (target, name: keyof Redis) =>
        name === 'call'
          ? (...command: [string, ...string[]]) => {
              asked.push(command[0])
              return target.call(...command)
            }
          : target[name],
    })
    const now = (): number => Date.now() + ahead
    const nonces = redisNonces(client, { prefix: freshPrefix(), commandTimeout: PATIENT, now })
    for (const nonce of ['one', 'two', 'three'])
      expect(await nonces.claim(APP, nonce, now() + 60_000)).toBe(true)
    expect(codes()).toEqual(expected)
    // Once, together with the first claim, which does not wait for it.
    expect(asked.filter((name) => name === 'TIME')).toHaveLength(1)
    expect(asked.filter((name) => name === 'EVAL')).toHaveLength(3)
  })
})

describe('memory with several processes', () => {
  const before = { ...process.env }
  afterEach(() => {
    process.env['NODE_ENV'] = before['NODE_ENV']
    delete process.env['NODE_APP_INSTANCE']
  })
  const uses: readonly (readonly [name: string, use: () => unknown])[] = [
    ['memoryNonces', () => memoryNonces()],
    ['memoryAuditSink', () => memoryAuditSink()],
    ['a write to memoryStore', () => memoryStore().write({ policy: { appId: 'a' } }, 0)],
  ]

  it.each(uses)('%s, by the second instance of pm2', async (_name, use) => {
    process.env['NODE_ENV'] = 'production'
    process.env['NODE_APP_INSTANCE'] = '1'
    await use()
    expect(codes()).toEqual([PROCESSES])
  })

  it.each([
    ['the only instance', 'production', '0'],
    ['no instance', 'production', undefined],
    ['development', 'development', '1'],
  ])('%s: gives no warning', async (_name, environment, instance) => {
    process.env['NODE_ENV'] = environment
    if (instance !== undefined) process.env['NODE_APP_INSTANCE'] = instance
    for (const [, use] of uses) await use()
    expect(codes()).toEqual([])
  })

  it('a memoryStore that is only read gives no warning', () => {
    process.env['NODE_ENV'] = 'production'
    process.env['NODE_APP_INSTANCE'] = '1'
    memoryStore([{ policy: { appId: 'a' } }])
    expect(codes()).toEqual([])
  })

  it('workers of node:cluster: the second one prints the warning', async () => {
    const env = { ...process.env, NODE_ENV: 'production' }
    const { output } = await run(process.execPath, [compiled('test/support/clustered-process.ts')], { env })
    expect(
      output.match(/\[PORTCULLIS_MEMORY_WITH_PROCESSES\] PortcullisWarning: Several processes/g),
    ).toHaveLength(1)
  })
})
