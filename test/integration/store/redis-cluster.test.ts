import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import { redisNonces, redisStore, type RedisStore } from 'portcullis/redis'
import { policyStoreContract } from 'portcullis/testing'
import { createVault } from 'portcullis/vault'
import { freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'

const vault = createVault({ keys: [{ id: 'k', key: new Uint8Array(32).fill(7) }] })
const clusters: Cluster[] = []
let server: RedisServer

/** A Cluster of one server: it has all slots, and refuses what would touch two of them at once. */
beforeAll(async () => {
  server = await startServer()
  const node = new Redis(server.url, { disconnectTimeout: 50 })
  await node.cluster('ADDSLOTS', ...Array.from({ length: 16_384 }, (_, slot) => slot))
  while (!(await node.cluster('INFO')).includes('cluster_state:ok')) await sleep(20)
  node.disconnect()
}, 30_000)

afterAll(async () => {
  for (const cluster of clusters) cluster.disconnect()
  await server.stop()
})

/** The servers of a Cluster talk on a port 10 000 higher, which not every port has. */
async function startServer(): Promise<RedisServer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startRedis({ args: ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'] })
    } catch (error) {
      if (attempt === 20) throw error
    }
  }
}

function open(prefix: string): RedisStore {
  const cluster = new Cluster([{ host: '127.0.0.1', port: server.port }], {
    redisOptions: { commandTimeout: 300, socketTimeout: 1_000, disconnectTimeout: 50 },
  })
  cluster.on('error', () => undefined)
  clusters.push(cluster)
  return redisStore(cluster, { prefix, vault })
}

policyStoreContract('Redis Cluster', { describe, it }, async () => {
  const store = open(freshPrefix())
  return { store, dispose: () => store.close() }
})

describe('redisStore on a Cluster', () => {
  it('announces a change to other processes, and is quiet for longer than the time-outs of the client', async () => {
    const prefix = freshPrefix()
    const [store, writer] = [open(prefix), open(prefix)]
    const heard: string[] = []
    const leave = store.watch?.({
      changed: (appId) => heard.push(appId),
      broken: () => heard.push('broken'),
      restored: () => heard.push('restored'),
    })
    while (heard.at(-1) !== 'restored') await sleep(5)
    await sleep(2_500)
    await writer.write({ policy: { appId: 'a' } }, 0)
    while (heard.at(-1) !== 'a') await sleep(5)
    expect(heard).toEqual(['broken', 'restored', 'a'])
    leave?.()
  })

  it('claims a nonce once', async () => {
    const [cluster] = clusters
    if (cluster === undefined) throw new Error('no cluster')
    const nonces = redisNonces(cluster, { prefix: freshPrefix() })
    const claims = await Promise.all([1, 2, 3].map(() => nonces.claim('a', 'n', Date.now() + 5_000)))
    expect(claims.filter(Boolean)).toHaveLength(1)
  })
})
