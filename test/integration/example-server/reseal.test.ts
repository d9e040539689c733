import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { signedFetch } from 'portcullis/client'
import { redisPersonKeys } from 'portcullis/redis'
import { sharedHomes } from '../../../example-server/homes.ts'
import { createPeople } from '../../../example-server/people.ts'
import { deriveSecrets, idOfKey, indexVaultOf, vaultOf } from '../../../example-server/secrets.ts'
import { redisStorage } from '../../../example-server/storage.ts'
import { repository } from '../../support/commands.ts'
import { compiled } from '../../support/compiled.ts'
import {
  killExampleProcess,
  printedSecret,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'
import { ADA, arrivedCode, CONNECT, json, SHOP, Visitor } from '../../support/example-server.ts'
import { startRedis, until, type RedisServer } from '../../support/redis.ts'

const ROOT_KEY = Buffer.alloc(32, 8)
const SECRET_KEY = ROOT_KEY.toString('base64')
const NEW_KEY = randomBytes(32)
const VAULT_KEY = NEW_KEY.toString('base64')
const NEW = idOfKey(NEW_KEY)
/** Settings with only the new key. */
const AFTERWARDS = { VAULT_KEY, VAULT_KEYS_DESTROYED: 'root' }

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function startReseal(environment: Record<string, string>, ...args: string[]) {
  const { PATH = '', HOME = '' } = process.env
  const program = compiled('example-server/reseal.ts')
  const env = { PATH, HOME, SECRET_KEY, ...environment }
  const child = spawn(process.execPath, [program, ...args], { cwd: repository, env })
  const said = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()))
  const ended = new Promise<Ended>((settle) => child.once('close', (code) => settle({ ...said, code })))
  return { child, ended }
}

const runReseal = (environment: Record<string, string>, ...args: string[]): Promise<Ended> =>
  startReseal(environment, ...args).ended

/** Reads a value, by type. */
const CONTENTS: Record<string, (client: Redis, key: string) => Promise<unknown>> = {
  string: (client, key) => client.get(key),
  hash: (client, key) => client.hgetall(key),
  stream: (client, key) => client.xrange(key, '-', '+'),
  list: (client, key) => client.lrange(key, 0, -1),
  zset: (client, key) => client.zrange(key, '0', '-1'),
  set: (client, key) => client.smembers(key),
}

/**
 * The number of strings sealed with a key, by kind of place. It reads Redis directly, so it also finds data unknown to
 * `reseal`.
 */
async function sealedBy(id: string, ...clients: readonly Redis[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const client of clients) {
    for (const key of await client.keys('*')) {
      const type = await client.type(key)
      // The key has expired meanwhile.
      if (type === 'none') continue
      const value = await CONTENTS[type]?.(client, key)
      if (value === undefined) throw new Error(`${key} is of a type that is not looked into`)
      const count = JSON.stringify(value).split(`v1:${id}:`).length - 1
      const kind = /^example:\w+:(?:region:\{[^}]*\}:)?(?:\w+_(?=key:))?([\w-]+)/.exec(key)?.[1] ?? key
      if (count > 0) found[kind] = (found[kind] ?? 0) + count
    }
  }
  return found
}

function signing(server: ExampleProcess, secret: string): (path: string, body: object) => Promise<Response> {
  const send = signedFetch({ keyId: 'demo-server-1', secret, appId: 'demo-server', origin: SHOP })
  return (path, body) => send(server.url + path, json(body))
}

async function visitorAt(server: ExampleProcess, secret: string, page: string): Promise<Visitor> {
  let answer = await signing(server, secret)('/auth/v2/connect', CONNECT)
  // The server answers so while Redis is slow, as on a busy machine, and asks to try again.
  for (let tries = 0; answer.status === 503 && tries < 20; tries += 1) {
    await sleep(500)
    answer = await signing(server, secret)('/auth/v2/connect', CONNECT)
  }
  expect(answer.status).toBe(200)
  const { gateway } = (await answer.json()) as { gateway: string }
  const visitor = new Visitor()
  await visitor.open(`${gateway}/${page}`)
  return visitor
}

/** Signs up, and grants the app the requested fields. */
async function signUp(server: ExampleProcess, secret: string, profile: typeof ADA): Promise<Visitor> {
  const visitor = await visitorAt(server, secret, 'sign-up')
  let answer = await visitor.submit('sign-up', profile)
  if (answer.status === 421) {
    await visitor.follow(await visitor.submit('sign-up/begun'))
    answer = await visitor.submit('sign-up', profile)
  }
  await visitor.follow(answer)
  await visitor.follow(await visitor.submit('confirm', { code: await arrivedCode(server, profile.email) }))
  const { location } = await visitor.submit('consent', { email: 'yes', image: 'yes' })
  expect(location).toContain('authorized')
  return visitor
}

async function signIn(url: string, { email, password }: typeof ADA): Promise<Visitor> {
  const visitor = new Visitor()
  await visitor.open(`${url}/account`)
  await visitor.follow(await visitor.submit('sign-in', { email, password }))
  return visitor
}

describe('npm run reseal, on the Redis of REDIS_URL', () => {
  let redis: RedisServer
  let client: Redis
  let server: ExampleProcess | undefined
  let secret: string
  let beginner: Visitor
  const started: ExampleProcess[] = []
  /** Starts a server, always at the same address, so that open pages still work. */
  const start = async (more: Record<string, string> = {}): Promise<ExampleProcess> => {
    server = await startExampleProcess({
      REDIS_URL: redis.url,
      SECRET_KEY,
      REGION: 'london',
      PORT: server === undefined ? '0' : new URL(server.url).port,
      UKEY1_LEGACY_APPS: 'legacy-shop',
      ...more,
    })
    started.push(server)
    return server
  }
  /** Restarts the server with other settings. */
  const restart = async (more: Record<string, string>): Promise<ExampleProcess> => {
    server?.signal('SIGTERM')
    expect(await server?.ended).toBe(0)
    return start(more)
  }
  const reseal = (...args: string[]): Promise<Ended> =>
    runReseal({ REDIS_URL: redis.url, VAULT_KEY }, ...args)

  beforeAll(async () => {
    redis = await startRedis()
    client = new Redis(redis.url, { disconnectTimeout: 50 })
    const server = await start()
    secret = printedSecret(server) ?? ''
    await signUp(server, secret, ADA)
    const visitor = await signIn(server.url, ADA)
    // The page shows a secret that is not turned on yet.
    await visitor.open(`${server.url}/account/factor`)
    beginner = await visitorAt(server, secret, 'sign-up')
    await beginner.follow(await beginner.submit('sign-up', { ...ADA, email: 'begun@example.org' }))
    await arrivedCode(server, 'begun@example.org')
  })
  afterAll(async () => {
    await Promise.all(started.map(killExampleProcess))
    client.disconnect()
    await redis.stop()
  })

  /** Data sealed with the old key that still exists after three seconds. */
  async function lasting(): Promise<Record<string, number>> {
    const { 'redeemed-sign-up': _, ...others } = await sealedBy('root', client)
    return others
  }

  it('reports with --check what still needs the old key, and changes nothing', async () => {
    const before = await lasting()
    expect(Object.keys(before).toSorted()).toEqual(
      [
        'answered',
        'enrolment',
        'grants',
        'mailed-sign-up',
        'person-key',
        'secrets',
        'sessions',
        'ukey1',
      ].toSorted(),
    )
    const { code, stdout } = await reseal('--check')
    expect(stdout).toMatch(/^Key: key-[0-9a-f]{12}\n/)
    expect(stdout).toMatch(/\nkeys of apps +1 looked at, 0 encrypted again\n/)
    expect(stdout).toMatch(/\nNot done\. Still needed: root\. Run it again\.\n$/)
    expect(code).toBe(1)
    expect(await lasting()).toEqual(before)
  })

  it('encrypts everything again with VAULT_KEY while a server runs and people sign up', async () => {
    const server = await restart({ VAULT_KEY })
    const people = Array.from({ length: 4 }, (_, index) => ({ ...ADA, email: `ada${index}@example.org` }))
    const [ended] = await Promise.all([reseal(), ...people.map((each) => signUp(server, secret, each))])
    expect(ended.stdout).toContain('\nDone: none of the data above needs another key.\n')
    expect(ended.stdout).toMatch(/\nkeys of apps +1 looked at, 1 encrypted again\n/)
    expect(ended.stdout).toMatch(/\ngrants +\d+ looked at, 1 encrypted again\n/)
    expect(ended.stdout).toMatch(/\nkeys of legacy apps +1 looked at, 1 encrypted again\n/)
    expect(ended.code).toBe(0)
    // Reads all of Redis directly.
    expect(await sealedBy('root', client)).toEqual({})
    expect(Object.keys(await sealedBy(NEW, client)).length).toBeGreaterThanOrEqual(8)
  })

  it('does not change lifetimes', async () => {
    for (const kind of ['grants', 'sessions', 'ukey1', 'mailed-sign-up']) {
      const keys = await client.keys(`example:*:${kind}:*`)
      expect(keys.length).toBeGreaterThan(0)
      for (const key of keys) expect(await client.pttl(key)).toBeGreaterThan(0)
    }
  })

  it('allows the old key to be removed: sign-ins, signatures, grants and pending sign-ups still work', async () => {
    const server = await restart(AFTERWARDS)
    expect(server.said.stderr).toBe('')
    const visitor = await signIn(server.url, ADA)
    const { html } = await visitor.open(`${server.url}/account`)
    expect(html).toContain(ADA.surname)
    expect(html).toContain('Demo shop (server)')
    expect(html).toContain('revoke-app')
    expect((await signing(server, secret)('/auth/v2/connect', CONNECT)).status).toBe(200)
    // The code was sent before the key was changed.
    const code = await arrivedCode({ mails: started[0]?.mails ?? [] }, 'begun@example.org')
    await beginner.follow(await beginner.submit('confirm', { code }))
    await signIn(server.url, { ...ADA, email: 'begun@example.org' })
    const check = await runReseal({ REDIS_URL: redis.url, ...AFTERWARDS }, '--check')
    expect(check.stdout).toContain(`\nEncrypted by: ${NEW} `)
    expect(check.code).toBe(0)
  })

  it('refuses data whose key was destroyed too early', async () => {
    const server = await startRedis()
    const other = new Redis(server.url, { disconnectTimeout: 50 })
    try {
      const early = await startExampleProcess({ REDIS_URL: server.url, SECRET_KEY })
      await killExampleProcess(early)
      const { code, stdout } = await runReseal({ REDIS_URL: server.url, ...AFTERWARDS })
      expect(stdout).toMatch(
        /\nkeys of apps +1 looked at, 0 encrypted again, unreadable: SEALED_KEY_DESTROYED 1\n/,
      )
      expect(stdout).toContain('Still needed: root.')
      expect(code).toBe(1)
    } finally {
      other.disconnect()
      await server.stop()
    }
  })

  it('says in one line why it cannot start', async () => {
    const cases: [Record<string, string>, string[], number, RegExp][] = [
      [{}, [], 1, /^Cannot start: REDIS_URL, or the Redis URLs of the locations, must be set.*\n$/],
      [{ REDIS_URL: redis.url, SECRET_KEY: '' }, [], 1, /^Cannot start: SECRET_KEY must be set.*\n$/],
      [{ REDIS_URL: 'redis://127.0.0.1:1' }, [], 1, /^Cannot start: REDIS_URL must point to.*\n$/],
      [{ REDIS_URL: redis.url }, ['--fast'], 2, /^Usage: npm run reseal.*\n$/],
    ]
    for (const [environment, args, code, line] of cases) {
      const ended = await runReseal(environment, ...args)
      expect(ended.stderr).toMatch(line)
      expect([ended.code, ended.stdout]).toEqual([code, ''])
    }
  })
})

describe('npm run reseal, killed in the middle', () => {
  const PEOPLE = 2_000

  it('continues where it stopped', async () => {
    const redis = await startRedis()
    const client = new Redis(redis.url, { disconnectTimeout: 50 })
    const monitor = await client.monitor()
    try {
      const secrets = deriveSecrets(ROOT_KEY)
      const prefix = `example:${secrets.fingerprint}:`
      const homes = sharedHomes(redisStorage(client, prefix), redisPersonKeys(client, { prefix }))
      const people = createPeople(homes, vaultOf(secrets), indexVaultOf(secrets))
      const emails = Array.from({ length: PEOPLE }, (_, index) => `person${index}@example.org`)
      for (let from = 0; from < PEOPLE; from += 200) {
        const some = emails.slice(from, from + 200)
        await Promise.all(some.map((email) => people.signUp({ ...ADA, email }, 'a hash')))
      }
      expect(await sealedBy('root', client)).toEqual({ 'person-key': PEOPLE })

      const { child, ended } = startReseal({ REDIS_URL: redis.url, VAULT_KEY })
      monitor.on('monitor', (_time: string, [command, ...args]: readonly string[]) => {
        if (/^eval/i.test(command ?? '') && args.some((each) => each.startsWith(`v1:${NEW}:`)))
          child.kill('SIGKILL')
      })
      expect((await ended).code).toBeNull()
      monitor.removeAllListeners('monitor')
      const { 'person-key': left = 0 } = await sealedBy('root', client)
      expect(left).toBeGreaterThan(0)
      expect(left).toBeLessThan(PEOPLE)

      const again = await runReseal({ REDIS_URL: redis.url, VAULT_KEY })
      expect(again.stdout).toMatch(
        new RegExp(`\nkeys of people +${PEOPLE} looked at, ${left} encrypted again\n`),
      )
      expect(again.code).toBe(0)
      expect(await sealedBy('root', client)).toEqual({})
      const after = deriveSecrets(ROOT_KEY, { active: NEW_KEY, destroyed: ['root'] })
      const found = createPeople(homes, vaultOf(after), indexVaultOf(after))
      for (const email of emails) expect((await found.findByEmail(email))?.person.email).toBe(email)
    } finally {
      monitor.disconnect()
      client.disconnect()
      await redis.stop()
    }
  })
})

describe('npm run reseal, with a Redis in each location', () => {
  const NAMES = ['main', 'london', 'frankfurt', 'dallas'] as const
  const servers = {} as Record<(typeof NAMES)[number], RedisServer>
  const clients = {} as Record<(typeof NAMES)[number], Redis>
  const [european, texan] = [ADA, { ...ADA, email: 'bob@example.org', country: 'US', surname: 'Smith' }]
  let environment: Record<string, string>
  let server: ExampleProcess

  beforeAll(async () => {
    for (const name of NAMES) {
      servers[name] = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
      clients[name] = new Redis(servers[name].url, { disconnectTimeout: 50 }).on('error', () => undefined)
    }
    environment = {
      SECRET_KEY,
      REDIS_URL: servers.main.url,
      REDIS_LONDON_URL: servers.london.url,
      REDIS_FRANKFURT_URL: servers.frankfurt.url,
      REDIS_DALLAS_URL: servers.dallas.url,
    }
    server = await startExampleProcess(environment)
    const secret = printedSecret(server) ?? ''
    await signUp(server, secret, european)
    await signUp(server, secret, texan)
    await killExampleProcess(server)
    server = await startExampleProcess({ ...environment, VAULT_KEY })
  })
  afterAll(async () => {
    await killExampleProcess(server)
    for (const name of NAMES) {
      clients[name]?.disconnect()
      await servers[name]?.stop()
    }
  })

  it('is not done while a location is unreachable, and names it', async () => {
    expect(await sealedBy('root', clients.london)).toEqual({ key: 1 })
    await servers.frankfurt.kill()
    const { code, stdout } = await runReseal({ ...environment, VAULT_KEY })
    expect(stdout).toMatch(/\nkeys of people of europe +1 looked at, 1 encrypted again\n/)
    expect(stdout).toMatch(/\nNot done\. Not up to date, or unreachable: frankfurt\. Run it again\.\n$/)
    expect(code).toBe(1)
  })

  it('is done when the location has caught up: nothing anywhere needs the old key', async () => {
    await servers.frankfurt.restart()
    await until('Frankfurt is up to date', async () => {
      const answer = await fetch(`${server.url}/readyz`)
      return (await answer.text()) === '{"ready":true}'
    })
    const { code, stdout } = await runReseal({ ...environment, VAULT_KEY })
    expect(stdout).toMatch(/\nkeys of people of europe +1 looked at, 0 encrypted again\n/)
    expect(stdout).toMatch(/\nkeys of people of world +1 looked at, 0 encrypted again\n/)
    expect(stdout).toContain('\nDone: ')
    expect(code).toBe(0)
    expect(await sealedBy('root', ...Object.values(clients))).toEqual({})
    expect(await sealedBy(NEW, clients.frankfurt)).toEqual({ key: 1 })
  })

  it('allows the old key to be removed: people of both jurisdictions sign in at their locations', async () => {
    await killExampleProcess(server)
    server = await startExampleProcess({ ...environment, ...AFTERWARDS })
    const dallas = /Dallas (http\S+)/.exec(server.said.stdout)?.[1] ?? ''
    for (const [url, person] of [
      [server.url, european],
      [dallas, texan],
    ] as const) {
      const visitor = await signIn(url, person)
      expect((await visitor.open(`${url}/account`)).html).toContain(person.surname)
    }
  })
})
