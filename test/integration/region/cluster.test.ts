import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Cluster, Redis } from 'ioredis'
import { regionalStore, regions } from 'portcullis/region'
import { repository } from '../../support/commands.ts'
import { startCluster, type RedisCluster } from '../../support/redis-cluster.ts'
import { askRedis, startRedis, until, type RedisServer } from '../../support/redis.ts'

describe('a location that is a Cluster', () => {
  let cluster: RedisCluster
  let frankfurt: RedisServer
  beforeAll(async () => {
    cluster = await startCluster()
    frankfurt = await startRedis()
  })
  afterAll(async () => {
    await frankfurt.stop()
    await cluster.stop()
  })

  it('has its people on all of its servers, and is refilled from the other location', async () => {
    const london = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
    const other = new Redis(frankfurt.port, '127.0.0.1', { maxRetriesPerRequest: 0, retryStrategy: () => 50 })
    for (const client of [london, other]) client.on('error', () => {})
    const store = regionalStore({
      regions: regions(),
      clients: { london, frankfurt: other },
      commandTimeout: 5_000,
      checkEvery: 100,
    })
    const europe = store.in('europe')
    const ids = Array.from({ length: 100 }, (_, index) => `europe_${index}` as const)
    await Promise.all(ids.map((id) => europe.put(id, { id }, 0)))
    for (const { port } of cluster.nodes) expect(Number(await askRedis(port, 'DBSIZE'))).toBeGreaterThan(10)
    await europe.delete('europe_0', 1)

    for (const { port } of cluster.nodes) await askRedis(port, 'FLUSHALL')
    await until('London has everybody again', async () => {
      await europe.get('europe_1')
      const sizes = await Promise.all(cluster.nodes.map(({ port }) => askRedis(port, 'DBSIZE')))
      return sizes.reduce<number>((sum, size) => sum + Number(size), 0) > 100
    })
    await until('London is asked again', async () => {
      await europe.get('europe_1')
      return store.status().every(({ condition }) => condition === 'current')
    })
    await frankfurt.kill()
    expect(await Promise.all(ids.map(async (id) => (await europe.get(id))?.value))).toEqual([
      undefined,
      ...ids.slice(1).map((id) => ({ id })),
    ])
    await europe.put('europe_1', { id: 'changed' }, 1)
    store.close()
    london.disconnect()
    other.disconnect()
  })
})

describe('a user with the rights in docs/regions.md', () => {
  let server: RedisServer
  let second: RedisServer
  beforeAll(async () => {
    ;[server, second] = [await startRedis(), await startRedis()]
  })
  afterAll(async () => {
    await server.stop()
    await second.stop()
  })

  const page = readFileSync(join(repository, 'docs/regions.md'), 'utf8')
  const line = /^ACL SETUSER (portcullis-region) on >PASSWORD (.*)$/m.exec(page) ?? []
  const rights = (line[2] ?? '').split(' ')

  async function tryWith(given: readonly string[]): Promise<void> {
    const clients = []
    for (const { port } of [server, second]) {
      await askRedis(port, 'FLUSHALL')
      await askRedis(port, 'ACL', 'SETUSER', 'portcullis-region', 'reset', 'on', '>secret', ...given)
      const client = new Redis(port, '127.0.0.1', {
        username: 'portcullis-region',
        password: 'secret',
        enableReadyCheck: false,
        maxRetriesPerRequest: 0,
      })
      client.on('error', () => {})
      clients.push(client)
    }
    const [one, other] = clients as [Redis, Redis]
    const jurisdictions = {
      europe: { locations: ['london'], countries: ['DE'] },
      world: { locations: ['dallas'], countries: '*' },
    } as const
    const store = regionalStore({
      regions: regions({ jurisdictions }),
      clients: { london: one, dallas: other },
      commandTimeout: 5_000,
    })
    try {
      await store.in('world').put('world_1', { n: 1 }, 0)
      await store.in('world').get('world_1')
      const id = await store.move('world_1', 'europe')
      expect((await store.in('europe').list('0 0')).ids.length).toBeLessThanOrEqual(1)
      await store.in('europe').delete(id, 2)
    } finally {
      store.close()
      for (const client of clients) client.disconnect()
    }
  }

  it('can do everything', async () => {
    expect(rights).toContain('+eval')
    await tryWith(rights)
  })

  const needed = 'get set hmget hset hdel hgetall sadd sscan pexpire persist eval'.split(' ')
  it.each(needed)('needs %s', async (command) => {
    await expect(tryWith(rights.filter((right) => right !== `+${command}`))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    })
  })
})
