import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { redisStore } from 'portcullis/redis'
import { policyStoreContract } from 'portcullis/testing'
import { createVault } from 'portcullis/vault'
import { startSentinel, type RedisSentinel } from '../../support/redis-sentinel.ts'
import { startTlsRedis, type TlsRedis } from '../../support/redis-tls.ts'
import { freshPrefix, PATIENT, sharedRedisUrl, startRedis, type RedisServer } from '../../support/redis.ts'

const vault = createVault({ keys: [{ id: 'k', key: new Uint8Array(32).fill(7) }] })
const PASSWORD = 'correct horse battery staple'
const CLIENT_PREFIX = freshPrefix()
const settings = { maxRetriesPerRequest: 1, disconnectTimeout: 50 }
const policy = {
  appId: 'a',
  domainProtect: { mode: 'enforce', domains: ['https://a.example', 'https://*.example.org'] },
}

let sentinel: RedisSentinel
let overTls: TlsRedis
let withPassword: RedisServer
const clients: Redis[] = []

beforeAll(async () => {
  ;[sentinel, overTls, withPassword] = await Promise.all([
    startSentinel(),
    startTlsRedis(),
    startRedis({ args: ['--requirepass', PASSWORD] }),
  ])
})

afterAll(async () => {
  for (const client of clients) client.disconnect()
  await Promise.all([sentinel, overTls, withPassword].map((server) => server.stop()))
})

/** The client of a user for each topology. */
const topologies: readonly { readonly name: string; connect(): Redis }[] = [
  {
    name: 'Sentinel',
    connect: () => new Redis({ ...settings, sentinels: [...sentinel.sentinels], name: sentinel.name }),
  },
  { name: 'TLS', connect: () => new Redis(overTls.url, { ...settings, tls: { ca: overTls.ca } }) },
  {
    name: 'a password and database 3',
    connect: () => new Redis(withPassword.url, { ...settings, password: PASSWORD, db: 3 }),
  },
  {
    name: 'a key prefix of the client',
    connect: () => new Redis(sharedRedisUrl(), { ...settings, keyPrefix: CLIENT_PREFIX }),
  },
]

function open(connect: () => Redis): Redis {
  const client = connect()
  client.on('error', () => undefined)
  clients.push(client)
  return client
}

for (const { name, connect } of topologies) {
  // One client for all tests, like in an app.
  let client: Redis | undefined
  policyStoreContract(`Redis with ${name}`, { describe, it }, async () => {
    client ??= open(connect)
    const store = redisStore(client, { prefix: freshPrefix(), vault, commandTimeout: PATIENT })
    return { store, dispose: () => store.close() }
  })
}

describe.each(topologies)('redisStore with $name', ({ connect }) => {
  it('announces a change to the store of another process, which then reads it', async () => {
    const prefix = freshPrefix()
    const [store, writer] = [redisStore(open(connect), { prefix }), redisStore(open(connect), { prefix })]
    const heard: string[] = []
    store.watch?.({
      changed: (appId) => heard.push(appId),
      broken: () => heard.push('broken'),
      restored: () => heard.push('restored'),
    })
    while (heard.at(-1) !== 'restored') await sleep(5)
    await writer.write({ policy: { appId: 'a' } }, 0)
    while (heard.at(-1) !== 'a') await sleep(5)
    expect((await store.read('a'))?.revision).toBe(1)
    expect(heard).toEqual(['broken', 'restored', 'a'])
    store.close()
    writer.close()
  })
})

describe('redisStore', () => {
  it('writes only to the database that the client has selected', async () => {
    const client = open(() => new Redis(withPassword.url, { ...settings, password: PASSWORD, db: 3 }))
    await redisStore(client, { prefix: freshPrefix() }).write({ policy }, 0)
    expect((await client.info('keyspace')).match(/^db\d+/gm)).toEqual(['db3'])
  })

  it('writes only under the key prefix of the client', async () => {
    const prefix = freshPrefix()
    const prefixed = open(() => new Redis(sharedRedisUrl(), { ...settings, keyPrefix: CLIENT_PREFIX }))
    const plain = open(() => new Redis(sharedRedisUrl(), settings))
    await redisStore(prefixed, { prefix }).write({ policy }, 0)
    const keys = await plain.keys(`*${prefix}*`)
    expect(keys).toContain(`${CLIENT_PREFIX}${prefix}app:{a}`)
    expect(keys.filter((key) => !key.startsWith(`${CLIENT_PREFIX}${prefix}`))).toEqual([])
  })
})
