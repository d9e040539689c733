import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import { createPolicySource, type PolicySource } from 'portcullis'
import { redisStore, type RedisStore } from 'portcullis/redis'

/** How long a policy may be used during a fault: short, so that tests can wait for its end. */
export const MAX_STALE = 1_500

/** What a caller received: a revision, `unknown` for "no such app", or `unavailable`. */
export interface Answer {
  readonly at: number
  /** The duration in milliseconds. */
  readonly took: number
  readonly what: number | 'unknown' | 'unavailable'
}

/** Store and source of one process, with a caller that reads every 10 ms, like guards. */
export interface PolicyProcess {
  readonly store: RedisStore
  readonly source: PolicySource
  readonly client: Redis | Cluster
  readonly answers: readonly Answer[]
  ask(appId: string): Promise<Answer>
  /** Stops the caller, the source, the store and the client. */
  stop(): Promise<void>
}

export function startProcess(client: Redis | Cluster, prefix: string, appId: string): PolicyProcess {
  client.on('error', () => undefined)
  const store = redisStore(client, { prefix, commandTimeout: 300 })
  const source = createPolicySource({ store, maxStale: MAX_STALE, revalidateAfter: 200, readTimeout: 500 })
  const answers: Answer[] = []
  let stopped = false

  async function ask(about: string): Promise<Answer> {
    const at = performance.now()
    const what = await answer(about).catch(() => 'unavailable' as const)
    return { at, took: performance.now() - at, what }
  }

  async function answer(about: string): Promise<Answer['what']> {
    const remembered = source.peek(about)
    const app = remembered === undefined ? await source.load(about) : remembered
    return app?.revision ?? 'unknown'
  }

  const calling = (async () => {
    while (!stopped) {
      answers.push(await ask(appId))
      await sleep(10)
    }
  })()

  return {
    store,
    source,
    client,
    answers,
    ask,
    async stop() {
      stopped = true
      await calling
      source.close()
      store.close()
      client.disconnect()
    },
  }
}

/** Waits for a condition, and fails if it does not become true in time. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limit = 60_000,
): Promise<void> {
  const until = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > until) throw new Error(`not within ${limit} ms: ${what}`)
    await sleep(5)
  }
}
