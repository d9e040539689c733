import { Redis } from 'ioredis'
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { redisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { APP, APP_DOCUMENT, startConsole, type ConsoleServer } from '../../support/console.ts'
import { startRedis, type RedisServer } from '../../support/redis.ts'

const vault = createVault({ keys: [{ id: 'root', key: Buffer.alloc(32, 1) }] })

let redis: RedisServer | undefined
let client: Redis
let server: ConsoleServer
beforeEach(async () => {
  redis ??= await startRedis()
  client = new Redis(redis.url)
  await client.flushall()
  const store = redisStore(client, { vault })
  await store.write(APP_DOCUMENT, 0)
  await store.write({ policy: { ...APP, name: 'Later' } }, 1)
  server = await startConsole({ store })
  // As another version may have written it.
  const policy = JSON.stringify({ ...APP, ipWhitelist: { mode: 'enforce', ranges: ['10.0.0.1/8'] } })
  await client.hset('portcullis:app:{shop}', 'policy', policy)
})
afterEach(async () => {
  await server.close()
  client.disconnect()
  if (server.faults.length > 0) throw new AggregateError(server.faults, 'the console was at fault')
})
afterAll(() => redis?.stop())

describe('an app whose stored policy is not valid', () => {
  it('is reported with its issues and its revision', async () => {
    const ada = await server.signIn()
    for (const path of ['apps/shop', 'apps/shop/keys', 'apps/shop/traffic']) {
      const { status, body } = await ada.ask('GET', path)
      expect([path, status, body.code, body.revision]).toEqual([path, 409, 'STORED_POLICY_INVALID', 2])
      expect(body.issues).toMatchObject([{ path: 'ipWhitelist.ranges[0]', corrected: '10.0.0.0/8' }])
    }
    expect((await ada.ask('GET', 'apps')).body.apps).toMatchObject([{ appId: 'shop', modes: {} }])
    expect((await ada.ask('GET', 'apps/shop/history')).body.rows).toHaveLength(2)
  })

  it('is named by a search for a key if its keys cannot be read', async () => {
    const ada = await server.signIn()
    expect((await ada.ask('GET', 'keys?find=shop-1')).body).toEqual({ apps: ['shop'], unread: [] })
    await client.hset('portcullis:secrets:{shop}', 'sealed', 'damaged')
    expect((await ada.ask('GET', 'keys?find=shop-1')).body).toEqual({ apps: [], unread: ['shop'] })
    // The operator is told too.
    expect(server.faults.splice(0)).toHaveLength(1)
  })

  it('is repaired by a rollback or by a policy, which need the right to widen', async () => {
    const back = { 'if-match': '"2"' }
    for (const [rights, status] of [
      ['narrow', 403],
      ['widen', 200],
    ] as const) {
      const somebody = await server.signIn('look', rights)
      const answer = await somebody.ask('POST', 'apps/shop/rollback', { to: 1 }, back)
      expect([rights, answer.status]).toEqual([rights, status])
    }
    const ada = await server.signIn()
    expect((await ada.ask('GET', 'apps/shop')).body).toMatchObject({ revision: 3, policy: { name: 'Shop' } })
    await client.hset('portcullis:app:{shop}', 'policy', '{"appId":"shop","nonsense":true}')
    const stale = await ada.ask('PUT', 'apps/shop/policy', APP, back)
    expect([stale.status, stale.body.code, stale.body.conflict]).toEqual([412, 'REVISION_STALE', undefined])
    const put = await ada.ask('PUT', 'apps/shop/policy', APP, { 'if-match': '"3"' })
    expect(put.body).toEqual({ revision: 4, replaced: 3 })
  })

  it('can be removed', async () => {
    const ada = await server.signIn()
    const removed = await ada.ask('DELETE', 'apps/shop', { appId: 'shop' }, { 'if-match': '"2"' })
    expect(removed.status).toBe(204)
    expect((await ada.ask('GET', 'apps/shop')).status).toBe(404)
  })
})
