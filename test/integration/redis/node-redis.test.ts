import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setImmediate as nextStep, setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { ConfigError, createPolicySource, UnavailableError } from 'portcullis'
import type { AuditEvent } from 'portcullis/audit'
import {
  fromNodeRedis,
  readAuditStream,
  redisAuditSink,
  redisNonces,
  redisStore,
  type NodeRedisClient,
  type RedisClient,
  type RedisStore,
} from 'portcullis/redis'
import { nonceStoreContract, policyStoreContract } from 'portcullis/testing'
import { createVault } from 'portcullis/vault'
import { createClient, createClientPool, createCluster, createSentinel } from 'redis'
import { createClient as createClient5 } from 'redis5'
import { startCluster, type RedisCluster } from '../../support/redis-cluster.ts'
import { freshPrefix, PATIENT, sharedRedisUrl, startRedis } from '../../support/redis.ts'
import { within } from '../../support/turns.ts'

const vault = createVault({ keys: [{ id: 'k', key: randomBytes(32) }] })
const closing: (() => void)[] = []

afterAll(() => {
  for (const close of closing.toReversed()) close()
})

type Client = ReturnType<typeof create>

interface Settings {
  /** `createClient` of the tested version. Default: version 6. */
  readonly make?: typeof createClient
  readonly [option: string]: unknown
}

function create({ make = createClient, ...options }: Settings = {}) {
  // By default it waits up to two seconds between attempts. `destroy` does not end this, so the worker would not exit.
  const socket = { reconnectStrategy: 50, ...(options['socket'] as object | undefined) }
  const client = make({ url: sharedRedisUrl(), ...options, socket })
  client.on('error', () => undefined)
  closing.push(() => {
    if (client.isOpen) client.destroy()
  })
  return client
}

async function connect(options: Settings = {}): Promise<Client> {
  const client = create(options)
  await client.connect()
  return client
}

function open(redis: RedisClient, prefix: string, options: object = {}): RedisStore {
  const store = redisStore(redis, { prefix, vault, ...options })
  closing.push(() => store.close())
  return store
}

/** Waits for a condition, and fails if it does not become true in time. */
async function eventually(condition: () => boolean | Promise<boolean>, limit = 60_000): Promise<void> {
  const until = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > until) throw new Error('it did not come true in time')
    await sleep(5)
  }
}

const answers = (store: RedisStore, appId: string): Promise<boolean> =>
  store.read(appId).then(
    (app) => app !== undefined,
    () => false,
  )

const version5 = { make: createClient5 as unknown as typeof createClient }

const settings: [name: string, options: Settings][] = [
  ['as it is', {}],
  ['of version 5', version5],
  ['of version 5 with RESP3', { ...version5, RESP: 3 }],
  ['with RESP2', { RESP: 2 }],
  ['with replies as buffers', { commandOptions: { typeMapping: { 36: Buffer, 43: Buffer } } }],
  ['with a cache of its own', { RESP: 3, clientSideCache: {} }],
]

for (const [name, options] of settings) {
  nonceStoreContract(`node-redis ${name}`, { describe, it }, async () => {
    const nonces = redisNonces(fromNodeRedis(await connect(options)), {
      prefix: freshPrefix(),
      maxPerApp: 300,
      commandTimeout: PATIENT,
    })
    return { nonces, maxPerApp: 300, dispose() {} }
  })

  policyStoreContract(`node-redis ${name}`, { describe, it }, async () => {
    const store = open(fromNodeRedis(await connect(options)), freshPrefix(), { commandTimeout: PATIENT })
    return { store, dispose: () => store.close() }
  })
}

describe('the change feed through node-redis', () => {
  it.each(settings)('announces a change of another process, client %s', async (_name, options) => {
    const prefix = freshPrefix()
    const errors: Error[] = []
    const onError = (error: Error): void => void errors.push(error)
    const policies = createPolicySource({
      store: open(fromNodeRedis(await connect(options)), prefix, { onError }),
    })
    const writer = open(fromNodeRedis(await connect()), prefix)
    await writer.write({ policy: { appId: 'a' } }, 0)
    await eventually(() => policies.status().feed === 'whole')
    for (let revision = 1; revision < 20; revision += 1) {
      expect(await policies.load('a')).toMatchObject({ revision })
      await writer.write({ policy: { appId: 'a', name: `n${revision}` } }, revision)
      await within(
        5_000,
        eventually(() => policies.peek('a') === undefined),
      )
    }
    expect(errors).toEqual([])
    policies.close()
  })

  it('remains connected without changes, whatever timeouts the client has', async () => {
    const errors: Error[] = []
    const client = await connect({ socket: { socketTimeout: 1_000 }, commandOptions: { timeout: 400 } })
    const store = open(fromNodeRedis(client), freshPrefix(), {
      onError: (error: Error) => errors.push(error),
    })
    const heard: string[] = []
    const leave = store.watch?.({
      changed: () => heard.push('changed'),
      broken: () => heard.push('broken'),
      restored: () => heard.push('restored'),
    })
    // Longer than one blocking read.
    await sleep(2_500)
    expect(heard).toEqual(['broken', 'restored'])
    expect(errors).toEqual([])
    leave?.()
  })

  it.each([
    ['6', {}],
    ['5', version5],
  ])('is restored after its connection was cut, and misses nothing, version %s', async (_name, options) => {
    const server = await startRedis()
    const client = await connect({ url: server.url, ...options })
    const prefix = freshPrefix()
    const errors: Error[] = []
    const onError = (error: Error): void => void errors.push(error)
    const policies = createPolicySource({ store: open(fromNodeRedis(client), prefix, { onError }) })
    try {
      const writer = open(fromNodeRedis(await connect({ url: server.url })), prefix)
      await writer.write({ policy: { appId: 'a' } }, 0)
      await eventually(() => policies.status().feed === 'whole')
      await policies.load('a')
      const id = await client.sendCommand(['CLIENT', 'ID'])

      await cutFeed(client)
      await eventually(() => policies.status().feed === 'broken')
      await writer.write({ policy: { appId: 'a', name: 'n' } }, 1)
      await eventually(() => policies.status().feed === 'whole')
      expect(await policies.load('a')).toMatchObject({ revision: 2 })
      expect(errors).not.toHaveLength(0)
      for (const error of errors) expect(error).toBeInstanceOf(UnavailableError)
      // The user's own connection is not affected.
      expect(await client.sendCommand(['CLIENT', 'ID'])).toBe(id)
    } finally {
      policies.close()
      await server.stop()
    }
  })

  it.each([
    ['6', {}],
    ['5', version5],
  ])('leaves no connection behind, version %s', async (_name, options) => {
    const server = await startRedis()
    try {
      const client = await connect({ url: server.url, ...options })
      const redis = fromNodeRedis(client)
      const steps = [...Array.from({ length: 20 }, (_, count) => count), 200]
      for (const count of steps) {
        const store = open(redis, freshPrefix())
        store.watch?.({ changed() {}, broken() {}, restored() {} })
        // During every step of connecting, and afterwards.
        for (let step = 0; step < count; step += 1) await nextStep()
        store.close()
      }
      await eventually(async () => (await connections(client)) === 1)
    } finally {
      await server.stop()
    }
  })
})

describe('node-redis under faults', () => {
  it('rejects at once while the server is unreachable, and recovers by itself', async () => {
    const server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
    const client = await connect({ url: server.url })
    const redis = fromNodeRedis(client)
    const store = open(redis, freshPrefix())
    const policies = createPolicySource({ store })
    try {
      await store.write({ policy: { appId: 'a' } }, 0)
      await eventually(() => policies.status().feed === 'whole')

      await server.kill()
      await eventually(() => !client.isReady)
      await expect(within(100, store.read('a'))).rejects.toThrow('Redis is not connected (HMGET)')
      const written = redisAuditSink(redis).write([])
      await expect(within(100, written)).rejects.toThrow('Redis is not connected (audit)')
      await eventually(() => policies.status().feed === 'broken')

      await server.restart()
      await eventually(() => answers(store, 'a'))
      await eventually(() => policies.status().feed === 'whole')
    } finally {
      policies.close()
      store.close()
      await server.stop()
    }
  })

  it('rejects in time while the server hangs, also for a connecting feed, and leaves no connection behind', async () => {
    const server = await startRedis()
    const client = await connect({ url: server.url })
    const store = open(fromNodeRedis(client), freshPrefix(), { commandTimeout: 100 })
    const policies = createPolicySource({ store })
    try {
      await eventually(() => policies.status().feed === 'whole')
      server.pause()
      const read = store.read('a')
      await expect(within(1_000, read)).rejects.toThrow('Redis did not answer within 100 ms (HMGET)')
      // Waits until the feed has also given up connecting.
      await sleep(5_000)
      server.resume()
      await eventually(() => policies.status().feed === 'whole')
      policies.close()
      store.close()
      await eventually(async () => (await connections(client)) === 1)
    } finally {
      server.resume()
      await server.stop()
    }
  })

  it.each([
    ['that queues', {}],
    ['without an offline queue', { disableOfflineQueue: true }],
  ])('waits for a client %s while it connects for the first time', async (_name, options) => {
    const client = create(options)
    const store = open(fromNodeRedis(client), freshPrefix())
    const connected = client.connect()
    expect(await store.write({ policy: { appId: 'a' } }, 0)).toBe(1)
    await connected
  })

  it('rejects while a client is not connected, and after it was closed', async () => {
    const client = create()
    const store = open(fromNodeRedis(client), freshPrefix())
    await expect(store.read('a')).rejects.toThrow('Redis is not connected (HMGET)')
    await client.connect()
    expect(await store.read('a')).toBeUndefined()
    await client.close()
    await expect(store.read('a')).rejects.toThrow('Redis is not connected (HMGET)')
  })

  it('gives up in time on a client that never connects', async () => {
    const client = create({ url: 'redis://127.0.0.1:1' })
    const store = open(fromNodeRedis(client), freshPrefix(), { commandTimeout: 200 })
    client.connect().catch(() => undefined)
    await expect(store.read('a')).rejects.toBeInstanceOf(UnavailableError)
    // After a failure, commands are no longer queued.
    await once(client, 'reconnecting')
    await expect(store.read('a')).rejects.toThrow('Redis is not connected (HMGET)')
    client.destroy()
  })

  it('reports server errors as ioredis does, without password or command', async () => {
    const server = await startRedis({
      args: ['--requirepass', 'top-secret', '--maxmemory-policy', 'noeviction'],
    })
    try {
      const admin = await connect({ url: server.url, password: 'top-secret' })
      const errors: unknown[] = []
      const store = open(fromNodeRedis(admin), freshPrefix(), {
        onError: (error: Error) => errors.push(error),
      })
      await admin.sendCommand(['REPLICAOF', '127.0.0.1', '1'])
      await failsWith(store.write({ policy: { appId: 'not-to-be-told' } }, 0), 'READONLY', errors)
      await admin.sendCommand(['REPLICAOF', 'NO', 'ONE'])
      await admin.sendCommand(['ACL', 'SETUSER', 'default', '-xread', '-eval'])
      const leave = store.watch?.({ changed() {}, broken() {}, restored() {} })
      await eventually(() => String(errors.at(-1)).includes('NOPERM'))
      leave?.()
      const nonces = redisNonces(fromNodeRedis(admin), { commandTimeout: PATIENT })
      await failsWith(nonces.claim('a', 'n', Date.now() + 1_000), 'NOPERM', errors)
      // The connection of the feed must authenticate itself.
      await admin.sendCommand(['CONFIG', 'SET', 'requirepass', 'another-secret'])
      const leaveAgain = store.watch?.({ changed() {}, broken() {}, restored() {} })
      await eventually(() => String(errors.at(-1)).includes('WRONGPASS'))
      leaveAgain?.()
      const told = inspect(errors, { depth: 9, showHidden: true })
      expect(told).not.toMatch(/top-secret|another-secret|not-to-be-told/)
    } finally {
      await server.stop()
    }
  })
})

async function failsWith(
  work: PromiseLike<unknown> | boolean,
  code: string,
  errors: unknown[],
): Promise<void> {
  const error: unknown = await Promise.resolve(work).catch((reason: unknown) => reason)
  errors.push(error)
  expect(error).toBeInstanceOf(UnavailableError)
  expect(String(error)).toContain(`Redis refused: ${code}`)
}

const event: AuditEvent = {
  version: 1,
  id: 'event-1',
  time: '2026-01-01T00:00:00.000Z',
  requestId: 'request-1',
  kind: 'operation',
  operation: 'GET /me',
  outcome: 'answered',
  decisions: [],
}

describe('redisNonces and redisAuditSink through node-redis', () => {
  it('let exactly one of many concurrent claims pass, also from several connections', async () => {
    const prefix = freshPrefix()
    const nonces = [
      redisNonces(fromNodeRedis(await connect()), { prefix, commandTimeout: PATIENT }),
      redisNonces(fromNodeRedis(await connect({ RESP: 2 })), { prefix, commandTimeout: PATIENT }),
    ]
    const claims = await Promise.all(
      Array.from({ length: 100 }, (_, index) => nonces[index % 2]?.claim('a', 'nonce', Date.now() + 5_000)),
    )
    expect(claims.filter(Boolean)).toHaveLength(1)
  })

  it('store events that can be read back', async () => {
    const redis = fromNodeRedis(await connect())
    const stream = `${freshPrefix()}audit`
    await redisAuditSink(redis, { stream }).write([event])
    expect(await readAuditStream(redis, { stream })).toEqual([{ entry: expect.any(String), event }])
  })
})

describe('fromNodeRedis', () => {
  const refused: [name: string, client: unknown][] = [
    ['nothing', undefined],
    ['an address', 'redis://:top-secret@localhost'],
    ['another object', {}],
    ['a client of ioredis', new Redis({ lazyConnect: true })],
    ['a pool', createClientPool()],
    [
      'a client of Sentinel',
      createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port: 1 }] }),
    ],
    ['a client in legacy mode', createClient().legacy()],
  ]
  it.each(refused)('refuses %s', (_name, client) => {
    const make = (): RedisClient => fromNodeRedis(client as NodeRedisClient)
    expect(make).toThrow(ConfigError)
    expect(make).toThrow(
      /`fromNodeRedis client` (?:must be|is missing: give) a client of the package redis.*for Sentinel use ioredis/,
    )
    expect(make).not.toThrow(/top-secret/)
  })
})

describe('a Cluster through node-redis', () => {
  let servers: RedisCluster

  beforeAll(async () => {
    servers = await startCluster()
  })

  afterAll(() => servers.stop())

  function createOne() {
    const cluster = createCluster({ rootNodes: servers.nodes.map(({ url }) => ({ url })) })
    cluster.on('error', () => undefined)
    closing.push(() => {
      if (cluster.isOpen) cluster.destroy()
    })
    return cluster
  }

  async function connectOne() {
    const cluster = createOne()
    await cluster.connect()
    return cluster
  }

  policyStoreContract('node-redis on Cluster', { describe, it }, async () => {
    const store = open(fromNodeRedis(await connectOne()), freshPrefix(), { commandTimeout: PATIENT })
    return { store, dispose: () => store.close() }
  })

  it('is waited for while it connects for the first time, and rejects before and after that', async () => {
    const cluster = createOne()
    const store = open(fromNodeRedis(cluster), freshPrefix())
    await expect(store.read('a')).rejects.toThrow('Redis is not connected (HMGET)')
    const connected = cluster.connect()
    expect(await store.write({ policy: { appId: 'a' } }, 0)).toBe(1)
    await connected
    cluster.destroy()
    await expect(store.read('a')).rejects.toThrow('Redis is not connected (HMGET)')
  })

  it('has a feed that is restored after its connection was cut', async () => {
    const prefix = freshPrefix()
    const policies = createPolicySource({ store: open(fromNodeRedis(await connectOne()), prefix) })
    const writer = open(fromNodeRedis(await connectOne()), prefix)
    await writer.write({ policy: { appId: 'a' } }, 0)
    await eventually(() => policies.status().feed === 'whole')
    await policies.load('a')
    await writer.write({ policy: { appId: 'a', name: 'n' } }, 1)
    await within(
      5_000,
      eventually(() => policies.peek('a') === undefined),
    )
    await policies.load('a')

    await cutFeed(await connect({ url: servers.nodes[await servers.nodeOf(`${prefix}{feed}`)]?.url }))
    await eventually(() => policies.status().feed === 'broken')
    await writer.write({ policy: { appId: 'a', name: 'm' } }, 2)
    await eventually(() => policies.status().feed === 'whole')
    expect(await policies.load('a')).toMatchObject({ revision: 3 })
    policies.close()
  })

  it('has a feed that follows its stream to another server', async () => {
    const prefix = freshPrefix()
    const policies = createPolicySource({ store: open(fromNodeRedis(await connectOne()), prefix) })
    const writer = open(fromNodeRedis(await connectOne()), prefix)
    await writer.write({ policy: { appId: 'a' } }, 0)
    await eventually(() => policies.status().feed === 'whole')
    const stream = `${prefix}{feed}`
    await servers.moveSlotOf(stream, ((await servers.nodeOf(stream)) + 1) % servers.nodes.length)
    await eventually(() => policies.status().feed === 'broken')
    await eventually(() => policies.status().feed === 'whole')
    await policies.load('a')
    await writer.write({ policy: { appId: 'a', name: 'n' } }, 1)
    await within(
      5_000,
      eventually(() => policies.peek('a') === undefined),
    )
    policies.close()
  })

  nonceStoreContract('node-redis on Cluster', { describe, it }, async () => {
    const nonces = redisNonces(fromNodeRedis(await connectOne()), {
      prefix: freshPrefix(),
      maxPerApp: 320,
      commandTimeout: PATIENT,
    })
    return { nonces, maxPerApp: 320, dispose() {} }
  })
})

/** The number of connections to the server. */
async function connections(client: Client): Promise<number> {
  const list = String(await client.sendCommand(['CLIENT', 'LIST', 'TYPE', 'NORMAL']))
  return list.trim().split('\n').length
}

/** Closes the connection with a blocking read as soon as there is one. */
async function cutFeed(client: Client): Promise<void> {
  await eventually(async () => {
    const list = String(await client.sendCommand(['CLIENT', 'LIST'])).split('\n')
    const id = /id=(\d+)/.exec(list.find((line) => / flags=\S*b/.test(line)) ?? '')?.[1]
    if (id === undefined) return false
    await client.sendCommand(['CLIENT', 'KILL', 'ID', id])
    return true
  })
}
