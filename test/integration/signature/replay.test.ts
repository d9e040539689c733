import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import { signRequest } from 'portcullis/client'
import { redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { APP, KEY } from '../../support/protected-app.ts'
import { startCluster, type RedisCluster } from '../../support/redis-cluster.ts'
import { freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'
import { HOST, startSignedServers } from '../../support/signed-servers.ts'

const REPLAYS = 1_000
const vaultKey = randomBytes(32).toString('base64')
let server: RedisServer
let cluster: RedisCluster

beforeAll(async () => {
  ;[server, cluster] = await Promise.all([startRedis(), startCluster()])
})
afterAll(() => Promise.all([server.stop(), cluster.stop()]))

describe.each([
  ['one Redis', () => [server.port]],
  ['a Redis Cluster', () => cluster.nodes.map(({ port }) => port)],
])('two server processes and %s', (_what, portsOf) => {
  it('let exactly one of 1,000 concurrent copies of a request pass', async () => {
    const ports = portsOf()
    const prefix = freshPrefix()
    const [port = 0, ...others] = ports
    const nodes = ports.map((each) => ({ host: '127.0.0.1', port: each }))
    const redis =
      others.length === 0
        ? new Redis({ port, disconnectTimeout: 50 })
        : new Cluster(nodes, { redisOptions: { disconnectTimeout: 50 } })
    const store = redisStore(redis, { prefix, vault: createVault({ keys: [{ id: 'k', key: vaultKey }] }) })
    await store.write({ policy: { appId: APP, serverOnly: { mode: 'enforce' } }, keys: [KEY] }, 0)
    const servers = await startSignedServers({ ports, prefix, vaultKey })
    try {
      const sign = (): Promise<Record<string, string>> =>
        signRequest(
          { method: 'GET', url: `http://${HOST}/`, headers: { 'x-app-id': APP } },
          { keyId: KEY.id, secret: KEY.secret },
        )
      for (let round = 0; round < 3; round += 1) {
        const headers = await sign()
        const answers = await Promise.all(
          Array.from({ length: REPLAYS }, (_, index) => servers.send(index % 2, headers)),
        )
        const codes = answers.map(({ code }) => code)
        expect(codes.filter((code) => code === 'PASSED')).toHaveLength(1)
        expect(codes.filter((code) => code === 'SIGNATURE_REPLAYED')).toHaveLength(REPLAYS - 1)
      }
      // Control: the same number of different requests all pass.
      const fresh = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => servers.send(index % 2, await sign())),
      )
      expect(new Set(fresh.map(({ code }) => code))).toEqual(new Set(['PASSED']))
    } finally {
      await servers.stop()
      store.close()
      redis.disconnect()
    }
  })
})
