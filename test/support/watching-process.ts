/**
 * A process that reads a number of apps from its policy source in a loop, like guards. On request, it tells its parent
 * which revisions it enforces, and whether an older revision ever replaced a newer one. Forked with the port, the
 * prefix and the ids.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createPolicySource } from 'portcullis'
import { redisStore } from 'portcullis/redis'

export interface Report {
  /** The enforced revision of each app; 0 for "no such app". */
  readonly revisions: Readonly<Record<string, number>>
  /** Revisions that an older one replaced. */
  readonly wentBack: readonly string[]
  readonly answers: number
  readonly failures: number
}

const [port, prefix = '', ...appIds] = process.argv.slice(2)
const client = new Redis({ port: Number(port), disconnectTimeout: 50, retryStrategy: () => 50 })
client.on('error', () => undefined)
const store = redisStore(client, { prefix })
const source = createPolicySource({ store, maxStale: 5_000, revalidateAfter: 200 })

const revisions: Record<string, number> = {}
const highest: Record<string, number> = {}
const wentBack: string[] = []
let answers = 0
let failures = 0
let stopped = false

process.on('message', (message) => {
  if (message === 'report') process.send?.({ revisions, wentBack, answers, failures } satisfies Report)
  else stopped = true
})
process.on('disconnect', () => process.exit(1))

async function revisionOf(appId: string): Promise<number> {
  const remembered = source.peek(appId)
  return (remembered === undefined ? await source.load(appId) : remembered)?.revision ?? 0
}

process.send?.('ready')
while (!stopped) {
  for (const appId of appIds) {
    try {
      const revision = await revisionOf(appId)
      answers += 1
      const before = highest[appId] ?? 0
      if (revision !== 0 && revision < before) wentBack.push(`${appId}: ${before}, then ${revision}`)
      highest[appId] = Math.max(before, revision)
      revisions[appId] = revision
    } catch {
      failures += 1
    }
  }
  await turn()
}
source.close()
store.close()
client.disconnect()
process.disconnect()
