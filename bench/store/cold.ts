import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createPolicySource } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { counted, feedOf } from './child.ts'
import { appIdOf } from './population.ts'
import { exactly, told, type Row } from './table.ts'

const AT_ONCE = 10_000
/** The pause before each rush, in milliseconds. */
const PAUSE = 2_000

/** Measures many concurrent requests for apps that are not in memory, in a new process. */
export async function measureCold(url: string, apps: number): Promise<readonly Row[]> {
  const redis = new Redis(url)
  const redisPolicies = redisStore(redis, { prefix: 'many:' })
  const store = counted(redisPolicies)
  const policies = createPolicySource({ store })
  await feedOf(policies)

  const loadAtOnce = async (ids: readonly string[]): Promise<{ took: number; refused: number }> => {
    const begun = performance.now()
    const settled = await Promise.allSettled(ids.map((appId) => policies.load(appId)))
    const refused = settled.filter((load) => load.status === 'rejected' || load.value === null)
    return { took: performance.now() - begun, refused: refused.length }
  }

  await loadAtOnce(Array.from({ length: AT_ONCE }, () => appIdOf(0)))
  const rows = [exactly(`${AT_ONCE} concurrent loads of one cold app: reads of the store`, store.reads, 1)]
  for (const [turn, when] of ['just after the start', 'once more'].entries()) {
    // If a circuit breaker has opened, it closes during this pause.
    await sleep(PAUSE)
    const ids = Array.from({ length: AT_ONCE }, (_, index) => appIdOf((1 + turn * AT_ONCE + index) % apps))
    const { took, refused } = await loadAtOnce(ids)
    rows.push(
      told(`concurrent loads of ${AT_ONCE} cold apps, ${when}`, `${took.toFixed(0)} ms`),
      exactly('   refused', refused, 0),
    )
  }
  redisPolicies.close()
  redis.disconnect()
  return rows
}
