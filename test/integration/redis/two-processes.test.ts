import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { rollbackPolicy } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { compiled } from '../../support/compiled.ts'
import { eventually } from '../../support/policy-process.ts'
import { SEED, seededRandom } from '../../support/seeded.ts'
import { askRedis, freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'
import type { Report } from '../../support/watching-process.ts'

const CHANGES = 1_000
const APPS = Array.from({ length: 10 }, (_, index) => `app-${index}`)

let server: RedisServer
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())

async function startWatching(prefix: string): Promise<ChildProcess> {
  const program = compiled('test/support/watching-process.ts')
  const child = fork(program, [String(server.port), prefix, ...APPS], { execArgv: [] })
  await once(child, 'message')
  return child
}

async function reportOf(child: ChildProcess): Promise<Report> {
  child.send('report')
  const [report] = (await once(child, 'message')) as [Report]
  return report
}

describe('two processes and 1,000 random changes', () => {
  for (const disturbed of [false, true]) {
    const how = disturbed ? 'while connections are cut at random' : 'on a quiet network'
    it(`never return to an older revision, and enforce the last one of each app, ${how} (TEST_SEED=${SEED})`, async () => {
      const random = seededRandom()
      const prefix = freshPrefix()
      const client = new Redis({ port: server.port, disconnectTimeout: 50 })
      const store = redisStore(client, { prefix })
      const children = await Promise.all([startWatching(prefix), startWatching(prefix)])
      const current: Record<string, number> = Object.fromEntries(APPS.map((appId) => [appId, 0]))
      try {
        for (let change = 0; change < CHANGES; change += 1) {
          const appId = APPS[Math.floor(random() * APPS.length)] as string
          const replaces = current[appId] ?? 0
          const chance = random()
          if (replaces !== 0 && chance < 0.1) {
            await store.remove(appId, replaces)
            current[appId] = 0
          } else if (replaces > 1 && chance < 0.2) {
            const to = Math.max(1, replaces - 1)
            const [target] = await store.history(appId, { before: to + 1, limit: 1 })
            if (target?.policy === undefined) continue
            current[appId] = await rollbackPolicy(store, appId, { to, replaces })
          } else {
            const policy = { appId, name: `change ${change}` }
            current[appId] = await store.write({ policy }, replaces)
          }
          if (chance > 0.5) await sleep(random() * 3)
          if (disturbed && chance > 0.97) await cutFeeds()
        }
        await eventually(
          'both enforce the last revision of every app',
          async () => {
            const reports = await Promise.all(children.map(reportOf))
            return reports.every(({ revisions }) =>
              APPS.every((appId) => revisions[appId] === current[appId]),
            )
          },
          disturbed ? 5_000 : 1_000,
        )
        for (const report of await Promise.all(children.map(reportOf))) {
          expect(report.wentBack).toEqual([])
          expect(report.answers).toBeGreaterThan(CHANGES)
          if (!disturbed) expect(report.failures).toBe(0)
        }
      } finally {
        for (const child of children) child.send('stop')
        await Promise.all(children.map((child) => child.exitCode ?? once(child, 'exit')))
        store.close()
        client.disconnect()
      }
    })
  }
})

/** Closes the connections on which the processes wait for changes. */
async function cutFeeds(): Promise<void> {
  const list = String(await askRedis(server.port, 'CLIENT', 'LIST'))
  for (const [, id = ''] of list.matchAll(/^id=(\d+) .*cmd=xread/gm))
    await askRedis(server.port, 'CLIENT', 'KILL', 'ID', id)
}
