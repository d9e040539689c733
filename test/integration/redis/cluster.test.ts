import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Cluster } from 'ioredis'
import { redisNonces, redisStore, type RedisStore } from 'portcullis/redis'
import { namedListContract, nonceStoreContract, policyStoreContract } from 'portcullis/testing'
import { createVault } from 'portcullis/vault'
import { startCluster, type RedisCluster } from '../../support/redis-cluster.ts'
import { freshPrefix, PATIENT } from '../../support/redis.ts'

const vault = createVault({ keys: [{ id: 'k', key: new Uint8Array(32).fill(7) }] })
const clusters: Cluster[] = []
let servers: RedisCluster

beforeAll(async () => {
  servers = await startCluster()
})

afterAll(async () => {
  for (const cluster of clusters) cluster.disconnect()
  await servers.stop()
})

/** A client whose timeouts would end blocking reads, like that of a careful user, or a patient one. */
function connect(patient = false): Cluster {
  const nodes = servers.nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const cluster = new Cluster(nodes, {
    redisOptions: {
      ...(patient ? { commandTimeout: PATIENT } : { commandTimeout: 300, socketTimeout: 1_000 }),
      disconnectTimeout: 50,
    },
  })
  cluster.on('error', () => undefined)
  clusters.push(cluster)
  return cluster
}

const patient = (prefix: string): RedisStore =>
  redisStore(connect(true), { prefix, vault, commandTimeout: PATIENT })

policyStoreContract('Redis Cluster', { describe, it }, async () => {
  const store = patient(freshPrefix())
  return { store, dispose: () => store.close() }
})

namedListContract('Redis Cluster', { describe, it }, async () => {
  const store = patient(freshPrefix())
  return { store, dispose: () => store.close() }
})

nonceStoreContract('Redis Cluster', { describe, it }, async () => {
  const nonces = redisNonces(connect(true), {
    prefix: freshPrefix(),
    maxPerApp: 320,
    commandTimeout: PATIENT,
  })
  // Not all partitions are full when the first one is.
  return { nonces, maxPerApp: 320, dispose() {} }
})

describe('redisStore on a Cluster', () => {
  it('announces a change to other processes, also after a pause longer than the timeouts of the client', async () => {
    const prefix = freshPrefix()
    const [store, writer] = [redisStore(connect(), { prefix, vault }), patient(prefix)]
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

  it('finds an app, and receives changes, while their slots move between nodes', async () => {
    const prefix = freshPrefix()
    const [store, writer] = [redisStore(connect(), { prefix, vault }), patient(prefix)]
    const heard: string[] = []
    const leave = store.watch?.({
      changed: (appId) => heard.push(appId),
      broken: () => heard.push('broken'),
      restored: (complete) => heard.push(complete === true ? 'restored, complete' : 'restored'),
    })
    while (heard.at(-1) !== 'restored') await sleep(5)
    const keys = [`${prefix}app:{a}`, `${prefix}{feed}`]
    for (let revision = 0; revision < 4; revision += 1) {
      await writer.write({ policy: { appId: 'a' } }, revision)
      while (heard.filter((appId) => appId === 'a').length <= revision) await sleep(5)
      for (const key of keys) {
        const next = ((await servers.nodeOf(key)) + 1) % servers.nodes.length
        await servers.moveSlotOf(key, next)
        expect(await servers.nodeOf(key)).toBe(next)
      }
      expect((await writer.read('a'))?.revision).toBe(revision + 1)
    }
    leave?.()
    expect(heard.filter((word) => word === 'restored')).toHaveLength(1)
  })
})
