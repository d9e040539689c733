import { randomBytes, randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { ConfigError, createPolicySource, UnavailableError, type AppKey } from 'portcullis'
import { redisNonces, redisStore, type RedisStore } from 'portcullis/redis'
import { namedListContract, policyStoreContract } from 'portcullis/testing'
import { createVault } from 'portcullis/vault'
import { PATIENT, startRedis, type RedisServer } from '../../support/redis.ts'
import { within } from '../../support/turns.ts'

const vault = createVault({ keys: [{ id: 'k', key: randomBytes(32) }] })
const KEY: AppKey = { id: 'key-1', algorithm: 'hmac-sha256', secret: randomBytes(32).toString('base64') }

let server: RedisServer
const clients: Redis[] = []
const stores: RedisStore[] = []

beforeAll(async () => {
  server = await startRedis()
})

afterAll(async () => {
  for (const store of stores) store.close()
  for (const client of clients) client.disconnect()
  await server.stop()
})

function connect(url = server.url, commandTimeout = 2_500): Redis {
  const client = new Redis(url, {
    enableOfflineQueue: true,
    maxRetriesPerRequest: 1,
    commandTimeout,
    disconnectTimeout: 50,
  })
  client.on('error', () => undefined)
  clients.push(client)
  return client
}

function open(client: Redis, prefix: string, options: object = {}): RedisStore {
  const store = redisStore(client, { prefix, vault, commandTimeout: 2_000, ...options })
  stores.push(store)
  return store
}

const fresh = (): string => `test:${randomUUID()}:`

/** Waits for a condition, and fails if it does not become true in time. */
async function eventually(condition: () => boolean | Promise<boolean>, limit = 60_000): Promise<void> {
  const until = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > until) throw new Error('it did not come true in time')
    await sleep(5)
  }
}

async function readAny(client: Redis, name: string): Promise<unknown> {
  const type = await client.type(name)
  if (type === 'hash') return client.hgetall(name)
  if (type === 'list') return client.lrange(name, '0', '-1')
  if (type === 'zset') return client.zrange(name, '0', '-1')
  if (type === 'stream') return client.xrange(name, '-', '+')
  return client.get(name)
}

policyStoreContract('Redis', { describe, it }, async () => {
  const store = open(connect(server.url, PATIENT), fresh(), { commandTimeout: PATIENT })
  return { store, dispose: () => store.close() }
})

namedListContract('Redis', { describe, it }, async () => {
  const store = open(connect(server.url, PATIENT), fresh(), { commandTimeout: PATIENT })
  return { store, dispose: () => store.close() }
})

describe('redisStore', () => {
  it('stores the keys of apps only encrypted, whatever the type of the value', async () => {
    const client = connect()
    const prefix = fresh()
    const store = open(client, prefix)
    await store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0, { note: 'hush' })
    await store.noteKeyUse('a', KEY.id, Date.now())
    const names = await client.keys(`${prefix}*`)
    const kinds = names.map((name) => String(name.slice(prefix.length).split(':')[0]))
    expect(kinds.toSorted()).toEqual([
      'app',
      'apps',
      'history',
      'key',
      'secrets',
      'used',
      '{feed}',
      '{feed}',
      '{feed}',
    ])
    const secret = Buffer.from(KEY.secret, 'base64')
    for (const name of names) {
      // The value as Redis would send it to a replica, including the key names.
      const text = `${name} ${JSON.stringify(await readAny(client, name))}`
      expect(text).not.toContain(KEY.secret)
      expect(text).not.toContain(secret.toString('hex'))
      expect(text).not.toContain(secret.toString('base64url'))
      expect(text).not.toContain('hush')
    }
    expect(JSON.stringify(await readAny(client, `${prefix}secrets:{a}`))).toContain('v1:k:')
  })

  it('refuses to write keys without a vault, naming the option', async () => {
    const store = open(connect(), fresh(), { vault: undefined })
    await expect(store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0)).rejects.toThrow(ConfigError)
    await expect(store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0)).rejects.toThrow(
      /`redisStore.vault`/,
    )
    expect(await store.write({ policy: { appId: 'a' }, keys: [] }, 0)).toBe(1)
  })

  it('is unavailable if the keys were sealed by another vault, or moved from another app', async () => {
    const client = connect()
    const prefix = fresh()
    const store = open(client, prefix)
    await store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0)
    await store.write({ policy: { appId: 'b' } }, 0)
    const other = open(client, prefix, { vault: createVault({ keys: [{ id: 'k', key: randomBytes(32) }] }) })
    await expect(other.read('a')).rejects.toBeInstanceOf(UnavailableError)
    await client.hset(`${prefix}app:{b}`, 'secrets', '1')
    await client.copy(`${prefix}secrets:{a}`, `${prefix}secrets:{b}`)
    await expect(store.read('b')).rejects.toBeInstanceOf(UnavailableError)
  })

  it('is unavailable if the document of an app belongs to another', async () => {
    const client = connect()
    const prefix = fresh()
    const store = open(client, prefix)
    await store.write({ policy: { appId: 'a' } }, 0)
    await client.copy(`${prefix}app:{a}`, `${prefix}app:{b}`)
    await expect(store.read('a')).resolves.toMatchObject({ revision: 1 })
    await expect(store.read('b')).rejects.toThrow(/belongs to another app/)
  })

  it('is unavailable if the stored value is not JSON or has another type', async () => {
    const client = connect()
    const prefix = fresh()
    const store = open(client, prefix)
    await client.hset(`${prefix}app:{a}`, { policy: '{', revision: '1' })
    await client.set(`${prefix}app:{b}`, 'x')
    await client.hset(`${prefix}app:{c}`, { policy: '{}' })
    for (const appId of ['a', 'b', 'c'])
      await expect(store.read(appId)).rejects.toBeInstanceOf(UnavailableError)
  })

  it('separates stores with different prefixes', async () => {
    const client = connect()
    const [one, two] = [open(client, fresh()), open(client, fresh())]
    await one.write(
      { policy: { appId: 'a', domainProtect: { mode: 'enforce', domains: ['https://a.example'] } } },
      0,
    )
    expect(await two.read('a')).toBeUndefined()
    expect(await two.appsByOrigin?.('https://a.example')).toEqual([])
  })

  it('announces a change of another process within a moment', async () => {
    const prefix = fresh()
    const policies = createPolicySource({ store: open(connect(), prefix) })
    const writer = open(connect(), prefix)
    await writer.write({ policy: { appId: 'a' } }, 0)
    await eventually(() => policies.status().feed === 'whole')
    for (let revision = 1; revision < 50; revision += 1) {
      expect(await policies.load('a')).toMatchObject({ revision })
      await writer.write({ policy: { appId: 'a', name: `n${revision}` } }, revision)
      await within(
        5_000,
        eventually(() => policies.peek('a') === undefined),
      )
    }
    policies.close()
  })

  it('reports a broken feed until it is connected', async () => {
    const store = open(connect(), fresh())
    const heard: string[] = []
    const leave = store.watch?.({
      changed: () => heard.push('changed'),
      broken: () => heard.push('broken'),
      restored: () => heard.push('restored'),
    })
    await eventually(() => heard.length === 2)
    expect(heard).toEqual(['broken', 'restored'])
    leave?.()
  })

  it('reads everything again if somebody else emptied the stream', async () => {
    const client = connect()
    const prefix = fresh()
    const store = open(client, prefix)
    const policies = createPolicySource({ store })
    await store.write({ policy: { appId: 'a' } }, 0)
    await eventually(() => policies.status().feed === 'whole')
    await store.write({ policy: { appId: 'a' } }, 1)
    await sleep(50)
    await policies.load('a')
    // A write of another process without its announcement.
    await client.hset(`${prefix}app:{a}`, 'revision', '9')
    await client.del(`${prefix}{feed}`, `${prefix}{feed}:number`)
    await open(connect(), prefix).write({ policy: { appId: 'b' } }, 0)
    await eventually(async () => (policies.peek('a') ?? (await policies.load('a')))?.revision === 9)
    policies.close()
  })

  const wrong: [unknown, object, RegExp][] = [
    [{}, {}, /`redisStore client` must be a client of ioredis/],
    [undefined, {}, /`redisStore client`/],
    ['redis://localhost', {}, /`redisStore client`/],
    ['client', { prefix: 'a{b}' }, /`redisStore.prefix`/],
    ['client', { commandTimeout: 0 }, /`redisStore.commandTimeout`/],
    ['client', { vault: {} }, /`redisStore.vault` must be a vault made by createVault\(\)/],
    ['client', { ttl: 1 }, /redisStore: unknown option `ttl`: the options are prefix, /],
  ]
  for (const [client, options, message] of wrong) {
    it(`refuses ${String(message)} at construction`, () => {
      const given = client === 'client' ? connect() : client
      expect(() => redisStore(given as never, options)).toThrow(message)
    })
  }
})

describe('redisStore under faults', () => {
  it('rejects in time, never answers "no such app", and recovers by itself', async () => {
    const own = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    const store = open(connect(own.url), fresh(), { commandTimeout: 300 })
    const policies = createPolicySource({ store, maxStale: 2_000 })
    try {
      await store.write({ policy: { appId: 'a' } }, 0)
      await eventually(() => policies.status().feed === 'whole')
      await sleep(50) // for the echo of the write
      expect(await policies.load('a')).toMatchObject({ revision: 1 })

      own.pause()
      await expect(within(1_000, store.read('a'))).rejects.toBeInstanceOf(UnavailableError)
      expect(policies.peek('a')).toMatchObject({ revision: 1 })
      own.resume()
      await eventually(() =>
        store.read('a').then(
          (app) => app?.revision === 1,
          () => false,
        ),
      )

      await own.kill()
      await expect(store.read('a')).rejects.toBeInstanceOf(UnavailableError)
      await eventually(() => policies.status().feed === 'broken')
      expect(policies.peek('a')).toMatchObject({ revision: 1 })
      await sleep(2_100)
      expect(policies.peek('a')).toBeUndefined()
      await expect(policies.load('a')).rejects.toBeInstanceOf(UnavailableError)

      await own.restart()
      await eventually(() => policies.status().feed === 'whole')
      await eventually(() =>
        policies.load('a').then(
          (app) => app?.revision === 1,
          () => false,
        ),
      )
    } finally {
      policies.close()
      store.close()
      await own.stop()
    }
  })
})

describe('a client that is starting without an offline queue', () => {
  const starting = (port: number): Redis => {
    const client = new Redis({
      port,
      host: '127.0.0.1',
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      disconnectTimeout: 50,
    })
    client.on('error', () => undefined)
    clients.push(client)
    return client
  }

  it('is waited for', async () => {
    const store = open(starting(server.port), fresh())
    expect(await store.write({ policy: { appId: 'a' } }, 0)).toBe(1)
    expect(
      await redisNonces(starting(server.port), { prefix: fresh() }).claim('a', 'n', Date.now() + 1_000),
    ).toBe(true)
  })

  it('is given up after the deadline if it does not connect', async () => {
    const read = open(starting(1), fresh(), { commandTimeout: 300 }).read('a')
    await expect(within(2_000, read)).rejects.toBeInstanceOf(UnavailableError)
  })
})
