import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { Secret, TOTP } from 'otpauth'
import { searchTraces } from 'portcullis/audit'
import { signedFetch } from 'portcullis/client'
import { rewriteRedis } from 'portcullis/redis'
import {
  killExampleProcess,
  printedSecret,
  startExampleProcess,
  type ExampleProcess,
} from '../../support/example-process.ts'
import { ADA, answerOf, CONNECT, json, SHOP, signUp, Visitor } from '../../support/example-server.ts'
import { startRedis, until, type RedisServer } from '../../support/redis.ts'

const LOCATIONS = ['london', 'frankfurt', 'dallas'] as const
type Name = (typeof LOCATIONS)[number] | 'shared'

/** Values that occur nowhere else. */
const profile = (number: number): typeof ADA => ({
  ...ADA,
  email: `zoe.zq1${number}@mail-zq1${number}.example`,
  firstname: `Zoezq2${number}`,
  surname: `Dupontzq3${number}`,
  image: `https://images-zq4${number}.example/zq.png`,
})

let folder: string
let servers: Record<Name, RedisServer>
let clients: Record<Name, Redis>
let example: ExampleProcess

async function startAll(names: readonly Name[]): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-delete-'))
  servers = {} as typeof servers
  clients = {} as typeof clients
  const environment: Record<string, string> = { SECRET_KEY: Buffer.alloc(32, 8).toString('base64') }
  for (const name of names) {
    const dir = await mkdtemp(join(folder, `${name}-`))
    const files = ['--appendonly', 'yes', '--appendfsync', 'always', '--aof-use-rdb-preamble', 'no']
    servers[name] = await startRedis({ args: ['--dir', dir, ...files] })
    clients[name] = new Redis(servers[name].url, { disconnectTimeout: 50 }).on('error', () => undefined)
    environment[name === 'shared' ? 'REDIS_URL' : `REDIS_${name.toUpperCase()}_URL`] = servers[name].url
  }
  example = await startExampleProcess(environment)
}

async function stopAll(): Promise<void> {
  await killExampleProcess(example)
  for (const client of Object.values(clients)) client.disconnect()
  for (const server of Object.values(servers)) await server.stop()
  await rm(folder, { recursive: true, force: true })
}

const send = (path: string, init: RequestInit = {}): Promise<Response> =>
  signedFetch({
    keyId: 'demo-server-1',
    secret: printedSecret(example) ?? '',
    appId: 'demo-server',
    origin: SHOP,
  })(new URL(path, example.url).href, init)

async function gateway(): Promise<string> {
  return ((await (await send('/auth/v2/connect', json(CONNECT))).json()) as { gateway: string }).gateway
}

type Held = readonly { readonly key: string; readonly value: string }[]

/** How the values of each type are read; a key that has just ended has none. */
const READERS: Readonly<Record<string, (client: Redis, key: string) => Promise<unknown>>> = {
  string: (client, key) => client.get(key),
  hash: async (client, key) => Object.entries(await client.hgetall(key)),
  set: (client, key) => client.smembers(key),
  zset: (client, key) => client.zrange(key, '0', '-1'),
  list: (client, key) => client.lrange(key, 0, -1),
  stream: (client, key) => client.xrange(key, '-', '+'),
  none: async () => [],
}

/** Everything that a server holds: each value, with the key that it stands under. */
async function held(client: Redis): Promise<Held> {
  const found = await Promise.all(
    (await client.keys('*')).map(async (key) => {
      const read = READERS[await client.type(key)]
      if (read === undefined) throw new Error(`${key} is of a type that nobody reads here`)
      const values = [await read(client, key)].flat(Infinity)
      return values.map((value) => ({ key, value: String(value) }))
    }),
  )
  return found.flat()
}

const heldByAll = async (): Promise<Held> => (await Promise.all(Object.values(clients).map(held))).flat()

/** What was encrypted or hashed: long texts of base64url, longer than an identifier, and hashes of passwords. */
const sealedIn = (text: string): string[] => text.match(/\$argon2id\$[^"\\]+|[\w-]{45,}/g) ?? []

interface Life {
  readonly visitor: Visitor
  readonly person: typeof ADA
  readonly id: string
  readonly token: string
  readonly code: string
  /** What is stored of the person: personal values as they are, and all that was encrypted or hashed for the person. */
  readonly traces: readonly string[]
}

/** Everything that a person does, each part of which writes. */
async function live(person: typeof ADA): Promise<Life> {
  const before = new Set((await heldByAll()).flatMap(({ value }) => sealedIn(value)))
  const old = example.mails.length
  const mails = {
    get mails() {
      return example.mails.slice(old)
    },
  }
  const visitor = await signUp(mails, await gateway(), person)
  const { location } = await visitor.submit('consent', { email: 'yes' })
  const { request_id, connect_id, code } = answerOf(location)
  const body = { request_id, connect_id, auth_code: code }
  const { access_token } = (await (await send('/auth/v2/token', json(body))).json()) as Record<string, string>
  const other = new Visitor()
  await other.open(`${example.url}/account`)
  await other.submit('sign-in', { email: person.email, password: person.password })
  await other.open(`${example.url}/account/factor`)
  const { html } = await visitor.open(`${example.url}/account/factor`)
  const key = /class="key"><code>([A-Z2-7 ]+)</.exec(html)?.[1]?.replaceAll(' ', '') ?? ''
  const totp = new TOTP({ secret: Secret.fromBase32(key) })
  const on = await visitor.submit('factor-on', { code: totp.generate(), current: person.password })
  expect(on.status).toBe(200)
  const after = await heldByAll()
  const ids = after.map(({ key }) => /:(europe_[^_:]+)$/.exec(key)?.[1]).filter((id) => id !== undefined)
  const stored = after.filter(({ key }) => !key.endsWith(':audit'))
  const [id = ''] = ids.filter((each) => stored.some(({ value }) => value.includes(`"id":"${each}"`)))
  expect(id).not.toBe('')
  const mine = stored.filter(
    ({ key, value }) =>
      /:person-key|_key:|:grants:|:sessions:/.test(key) || value.includes(`"id":"${id}"`) || key.includes(id),
  )
  const sealed = mine.flatMap(({ value }) => sealedIn(value)).filter((text) => !before.has(text))
  expect(sealed.length).toBeGreaterThan(8)
  return {
    visitor,
    person,
    id,
    token: access_token ?? '',
    code: totp.generate({ timestamp: Date.now() + 30_000 }),
    traces: [
      ...new Set([person.email, person.firstname, person.surname, person.image, person.password, ...sealed]),
    ],
  }
}

async function deletes({ visitor, person, code }: Life): Promise<number> {
  await visitor.open(`${example.url}/account/delete`)
  const form = visitor.page
  const { status } = await visitor.submit('delete', { current: person.password, code })
  if (status !== 200) visitor.page = form
  return status
}

/** Where anything of the person stands: by server, key and value. */
async function left({ traces }: Life): Promise<string[]> {
  return (await heldByAll()).flatMap(({ key, value }) =>
    traces.filter((trace) => key.includes(trace) || value.includes(trace)).map((trace) => `${key}: ${trace}`),
  )
}

const isReady = async (): Promise<boolean> =>
  (await (await fetch(`${example.url}/readyz`)).text()) === '{"ready":true}'

const me = async ({ token }: Life): Promise<number> =>
  (await send('/auth/v2/me', { headers: { authorization: `Bearer ${token}` } })).status

describe.each([
  ['in one Redis', ['shared']],
  ['with a Redis in each location', ['shared', ...LOCATIONS]],
] as [string, Name[]][])('a deleted person, %s', (_where, names) => {
  beforeAll(() => startAll(names))
  afterAll(stopAll)

  it('leaves nothing, encrypted or not, under any key, and in no file that was written anew', async () => {
    const life = await live(profile(1))
    expect(await me(life)).toBe(200)
    expect((await left(life)).length).toBeGreaterThan(8)
    expect(await deletes(life)).toBe(200)
    expect(await left(life)).toEqual([])
    expect(await me(life)).toBe(401)
    // The files hold it until they are written anew.
    expect((await searchTraces([folder], life.traces)).length).toBeGreaterThan(0)
    for (const client of Object.values(clients)) await rewriteRedis(client)
    expect(await searchTraces([folder], life.traces)).toEqual([])
  })

  it('leaves its identifier only with the locations, which remember what was removed; the audit has pseudonyms', async () => {
    const life = await live(profile(2))
    expect(await deletes(life)).toBe(200)
    const named = (await heldByAll()).filter(({ key, value }) => (key + value).includes(life.id))
    const kinds = new Set(named.map(({ key }) => key.replace(/^example:[^:]+:/, '').replace(/[:-].*/s, '')))
    // A code of the last minute names the person until it ends. The locations remember which identifier was removed.
    expect([...kinds].filter((kind) => kind !== 'code')).toEqual(names.length === 1 ? [] : ['region'])
    for (const { key } of named.filter(({ key }) => key.includes(':code:')))
      expect(await clients.shared.pttl(key)).toBeLessThanOrEqual(60_000)
    const events = (await held(clients.shared)).filter(({ key }) => key.endsWith(':audit'))
    expect(events.some(({ value }) => value.includes('"action":"delete"'))).toBe(true)
  })

  it('signs up again with the same address', async () => {
    const life = await live(profile(1))
    expect(life.visitor.page?.html).toContain('Recovery codes')
    expect(await deletes(life)).toBe(200)
    expect(await left(life)).toEqual([])
  })

  if (names.length === 1) return

  it('is not counted on the page of the regions any more', async () => {
    const counts = async (): Promise<string[]> => {
      const { html } = await new Visitor().open(`${example.url}/regions`)
      return [...html.matchAll(/<td[^>]*>\s*(\d+)\s*</g)].map(([, count = '']) => count)
    }
    const before = await counts()
    expect(before.length).toBeGreaterThan(5)
    const life = await live(profile(5))
    expect(await counts()).not.toEqual(before)
    expect(await deletes(life)).toBe(200)
    expect(await counts()).toEqual(before)
    expect(new Set(before)).toEqual(new Set(['0']))
  })

  it('is deleted with Frankfurt away too, which then forgets the person before it is used', async () => {
    const life = await live(profile(3))
    await servers.frankfurt.kill()
    expect(await deletes(life)).toBe(200)
    await servers.frankfurt.restart()
    await until('Frankfurt has forgotten', async () => (await left(life)).length === 0)
    await until('it is used again', isReady)
    expect((await held(clients.frankfurt)).length).toBeGreaterThan(0)
  })

  it('is not deleted while both locations are away, and is with them back', async () => {
    const life = await live(profile(4))
    await life.visitor.open(`${example.url}/account/delete`)
    const form = life.visitor.page
    await Promise.all([servers.london.kill(), servers.frankfurt.kill()])
    const { person, code, visitor } = life
    expect((await visitor.submit('delete', { current: person.password, code })).status).toBe(503)
    await Promise.all([servers.london.restart(), servers.frankfurt.restart()])
    await until('they are back', async () => (await me(life)) === 200)
    visitor.page = form
    expect((await visitor.submit('delete', { current: person.password, code })).status).toBe(200)
    await until('both have forgotten', async () => (await left(life)).length === 0)
  })
})
