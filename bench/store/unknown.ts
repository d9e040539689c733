import { Redis } from 'ioredis'
import { createPolicySource, memoryStore, type PolicySource } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { counted, feedOf, loadAll, memoryInUse } from './child.ts'
import { atMost, exactly, told, type Row } from './table.ts'

const IN_MEMORY = 10_000_000
const IN_REDIS = 200_000
const AT_ONCE = 1_000
const MOST_REMEMBERED = 10_000
const MEBIBYTE = 1024 * 1024

/** Measures requests with invented app ids. */
export async function measureUnknown(url: string): Promise<readonly Row[]> {
  const policies = createPolicySource({ store: memoryStore() })
  await inventIds(policies, AT_ONCE)
  const before = await memoryInUse()
  const perSecond = await inventIds(policies, IN_MEMORY)
  const growth = Math.max(0, (await memoryInUse()) - before) / MEBIBYTE
  const rows = [
    told(`${IN_MEMORY} unknown app ids, memory store`, `${perSecond.toFixed(0)} per s`),
    atMost('   growth of memory', growth, 4, 'MiB'),
    atMost('   unknown ids remembered', policies.status().unknown, MOST_REMEMBERED, '', 0),
  ]

  const redis = new Redis(url)
  const redisPolicies = redisStore(redis)
  const store = counted(redisPolicies)
  const overRedis = createPolicySource({ store })
  await feedOf(overRedis)
  const rate = await inventIds(overRedis, IN_REDIS)
  rows.push(
    told(`${IN_REDIS} unknown app ids, Redis store`, `${rate.toFixed(0)} per s`),
    exactly('   reads of the store', store.reads, IN_REDIS),
    atMost('   unknown ids remembered', overRedis.status().unknown, MOST_REMEMBERED, '', 0),
  )
  redisPolicies.close()
  redis.disconnect()
  return rows
}

/** Loads `count` ids that do not exist, and returns the rate per second. */
async function inventIds(policies: PolicySource, count: number): Promise<number> {
  const begun = performance.now()
  for (let asked = 0; asked < count; asked += AT_ONCE) {
    const ids = Array.from({ length: AT_ONCE }, () => `unknown-${Math.random().toString(36).slice(2)}`)
    await loadAll(policies, ids, AT_ONCE)
  }
  return (count / (performance.now() - begun)) * 1000
}
