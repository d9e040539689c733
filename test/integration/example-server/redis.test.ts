import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { signedFetch } from 'portcullis/client'
import { readAuditStream } from 'portcullis/redis'
import {
  killExampleProcess,
  printedSecret,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'
import { ADA, answerOf, json, signUp, Visitor } from '../../support/example-server.ts'
import { flood, PIPELINED } from '../../support/anonymous-flood.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'

const SHOP = 'https://shop.example'
const CONNECT = { request_id: 'request-1', scope: 'firstname! email', return_url: `${SHOP}/callback/` }
const SECRET_KEY = Buffer.alloc(32, 3).toString('base64')

let redis: RedisServer
let server: ExampleProcess
let secret: string

const start = (): Promise<ExampleProcess> => startExampleProcess({ REDIS_URL: redis.url, SECRET_KEY })

beforeAll(async () => {
  redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  server = await start()
  secret = printedSecret(server) ?? ''
})
afterAll(async () => {
  await killExampleProcess(server)
  await redis?.stop()
})

const send = (path: string, init?: RequestInit): Promise<Response> =>
  signedFetch({ keyId: 'demo-server-1', secret, appId: 'demo-server', origin: SHOP })(server.url + path, init)

async function gateway(): Promise<string> {
  const response = await send('/auth/v2/connect', json(CONNECT))
  expect(response.status).toBe(200)
  return ((await response.json()) as { gateway: string }).gateway
}

/** Reads a value, by type. */
const contents: Record<string, (client: Redis, key: string) => Promise<unknown>> = {
  string: (client, key) => client.get(key),
  hash: (client, key) => client.hgetall(key),
  stream: (client, key) => client.xrange(key, '-', '+'),
  list: (client, key) => client.lrange(key, 0, -1),
  zset: (client, key) => client.zrange(key, '0', '-1'),
  set: (client, key) => client.smembers(key),
}

/** The complete contents of Redis as text, and the audit separately. */
async function holdings(): Promise<{ text: string; audit: string; endless: string[] }> {
  const client = new Redis(redis.url, { disconnectTimeout: 50 })
  try {
    const texts: string[] = []
    const endless: string[] = []
    let audit = ''
    for (const key of await client.keys('*')) {
      const value = await contents[await client.type(key)]?.(client, key)
      if (value === undefined) throw new Error(`${key} is of a type that is not looked into`)
      texts.push(`${key} ${JSON.stringify(value)}`)
      if ((await client.pttl(key)) === -1) endless.push(key.replace(/^example:\w+:/, ''))
      if (key.endsWith(':audit')) {
        audit = JSON.stringify(await readAuditStream(client, { stream: key, count: 1_000 }))
      }
    }
    return { text: texts.join('\n'), audit, endless }
  } finally {
    client.disconnect()
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it did not come to hold within 60 s')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

describe('the example server on Redis', () => {
  it('signs a person in from connect to me', async () => {
    const visitor = await signUp(server, await gateway())
    const { location } = await visitor.submit('consent', { email: 'yes' })
    const { request_id, connect_id, code } = answerOf(location)
    const exchange = (): Promise<Response> =>
      send('/auth/v2/token', json({ request_id, connect_id, auth_code: code }))
    const { access_token } = (await (await exchange()).json()) as { access_token: string }
    const me = (): Promise<Response> =>
      send('/auth/v2/me', { headers: { authorization: `Bearer ${access_token}` } })
    const answer = await me()
    expect(answer.status).toBe(200)
    expect(await answer.json()).toMatchObject({ user: { firstname: 'Ada', email: ADA.email } })
    expect((await exchange()).status).toBe(400)
    expect((await me()).status).toBe(401)

    const { text, audit, endless } = await holdings()
    expect(audit).toMatch(/"kind":"field".*"field":"firstname"/)
    // Redis contains no readable personal data, codes, tokens, sessions or secrets.
    const cookie = visitor.cookie ?? ''
    for (const value of [
      ADA.email,
      ADA.surname,
      ADA.image,
      ADA.password,
      secret,
      code,
      access_token,
      cookie,
      ':127.0.0.1', // of callers
    ]) {
      expect(text).not.toContain(value)
    }
    // Only people, policies with their keys and history, and the audit are kept without expiry.
    const KEPT = /^(?:person:|person-key:|email:|app:|secrets:|history:|key:|apps$|origin:|audit$|\{feed\})/
    expect(endless.filter((key) => !KEPT.test(key))).toEqual([])
  })

  it('keeps apps and people across a restart, and shows the secret once', async () => {
    server.signal('SIGTERM')
    expect(await server.ended).toBe(0)
    server = await start()
    expect(server.said.stderr).toBe('')
    expect(printedSecret(server)).toBeUndefined()
    const visitor = new Visitor()
    await visitor.open(await gateway())
    const answer = await visitor.submit('sign-in', { email: ADA.email, password: ADA.password })
    expect(answer.status).toBe(303)
    const { html } = await visitor.open(`${server.url}/account/access-log`)
    expect(html).toContain('Why: granted to the app')
  })

  it('starts next to the data of another SECRET_KEY', async () => {
    const other = await startExampleProcess({ REDIS_URL: redis.url })
    expect(printedSecret(other)).toBeDefined()
    other.signal('SIGTERM')
    expect(await other.ended).toBe(0)
  })

  it('adds a new address to the demo app, and still admits the previous one', async () => {
    const other = await start()
    try {
      for (const url of [other.url, server.url, other.url.replace('127.0.0.1', 'localhost')]) {
        const body = { ...CONNECT, return_url: `${url}/demo/callback/`, code_challenge: 'A'.repeat(43) }
        const headers = { 'x-app-id': 'demo-browser', origin: url }
        expect((await fetch(`${other.url}/auth/v2/connect`, json(body, headers))).status).toBe(200)
      }
    } finally {
      await killExampleProcess(other)
    }
  })

  const FLOOD = Number(process.env['GATEWAY_FLOOD'] ?? 1_000)
  const PART = 1_000
  it(`stores no key for ${FLOOD} anonymous requests, and bounds the audit`, async () => {
    const client = new Redis(redis.url, { disconnectTimeout: 50 })
    try {
      for (let sent = 0; sent < FLOOD; sent += PART) {
        // A link is valid for ten minutes.
        const page = await gateway()
        const paths = [
          page,
          `${page}/sign-up`,
          `${server.url}/account`,
          `${server.url}/account/reset`,
          server.url,
        ]
        const before = await client.dbsize()
        // On a busy machine, some requests may be refused because Redis did not answer in time. A refusal instead of a
        // page that has begun closes its connection, with all requests sent after it.
        const {
          200: shown = 0,
          503: refused = 0,
          ...others
        } = Object.fromEntries(await flood(server.url, paths, PART))
        expect(others).toEqual({})
        expect(shown + refused * PIPELINED).toBeGreaterThanOrEqual(PART)
        expect(shown).toBeGreaterThan(PART / 2)
        // Nothing was stored, and keys with an expiry may have ended.
        expect(await client.dbsize()).toBeLessThanOrEqual(before)
      }
      const [stream = ''] = await client.keys('*:audit')
      expect(await client.xlen(stream)).toBeLessThan(220_000)
    } finally {
      client.disconnect()
    }
  }, 3_600_000)

  it('in production, creates no demo app, prints no secret, and mentions no demo', async () => {
    const production = await startExampleProcess(
      {
        NODE_ENV: 'production',
        REDIS_URL: redis.url,
        SECRET_KEY: Buffer.alloc(32, 9).toString('base64'),
        PUBLIC_URL: 'https://gateway.example',
        SMTP_URL: 'smtps://mail.example',
        APP_FIELDS: 'shop=firstname+email',
      },
      { ready: /store: Redis/ },
    )
    expect(production.said.stdout.replace(/^.*WARNING: this Redis.*$/m, '')).not.toMatch(/demo|secret/i)
    production.signal('SIGTERM')
    expect(await production.ended).toBe(0)
  })

  it('warns at the start if Redis has data of another SECRET_KEY only', async () => {
    const warning = /WARNING: this Redis contains data of another SECRET_KEY/
    expect(server.said.stdout).not.toMatch(warning)
    const other = { REDIS_URL: redis.url, SECRET_KEY: Buffer.alloc(32, 5).toString('base64') }
    for (const isFirst of [true, false]) {
      const run = await startExampleProcess(other)
      expect([isFirst, warning.test(run.said.stdout)]).toEqual([isFirst, isFirst])
      await killExampleProcess(run)
    }
  })

  for (const [what, away, back] of [
    ['hangs', () => redis.pause(), () => redis.resume()],
    ['is stopped', () => redis.kill(), () => redis.restart()],
  ] as const) {
    it(`answers 503 while Redis ${what}, and recovers when Redis is back`, async () => {
      const page = await gateway()
      await away()
      const api = await send('/auth/v2/connect', json(CONNECT))
      expect(api.status).toBe(503)
      expect(api.headers.get('content-type')).toMatch(/^application\/problem\+json/)
      expect(api.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
      const html = await new Visitor().open(page)
      expect(html.status).toBe(503)
      expect(html.headers.get('content-type')).toMatch(/^text\/html/)
      expect(html.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
      const readiness = await fetch(`${server.url}/readyz`)
      expect([readiness.status, await readiness.json()]).toEqual([503, { ready: false }])
      await back()
      await until(async () => (await fetch(`${server.url}/readyz`)).status === 200)
      await until(async () => (await send('/auth/v2/connect', json(CONNECT))).status === 200)
      // The log has the refusals, with indented stack frames, and the outage once.
      const told = server.said.stderr.split('\n').filter((line) => /^\S/.test(line))
      expect(told).not.toEqual([])
      const ours = told.filter((line) => line.startsWith('gateway: '))
      for (const line of told.filter((line) => !ours.includes(line)))
        expect(line).toMatch(/^portcullis: \w+ refused request [\w-]+ .*: \w+_UNAVAILABLE, /)
      const last = ours.filter((line) => line.includes(' Redis at ')).slice(-2)
      expect(last).toEqual([
        expect.stringMatching(/ Redis at 127\.0\.0\.1:\d+ is unreachable: .* reason="\w/),
        expect.stringMatching(/ Redis at 127\.0\.0\.1:\d+ is reachable again$/),
      ])
    })
  }
})
