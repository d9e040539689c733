import { Redis } from 'ioredis'
import { createPolicySource, type PolicySource } from 'portcullis'
import { redisStore } from 'portcullis/redis'
import { feedOf, loadAll, memoryInUse } from './child.ts'
import { appIdOf } from './population.ts'
import { atMost, median, told, type Row } from './table.ts'

const FEW = 10
const HOT = 10_000
const TOUCHED = 200_000
const ROUNDS = 31
const LOOK_UPS = 200_000
/** The limit for a hit among 10,000 apps, relative to one among 10: the effect of the CPU caches, and little more. */
const MOST_DEARER = 2.5

/** P9: measures a cache hit and the memory of a cached app while many more apps are stored. */
export async function measureScale(url: string, apps: number): Promise<readonly Row[]> {
  const redis = new Redis(url)
  const stores = ['few:', 'many:'].map((prefix) => redisStore(redis, { prefix }))
  const [few, many] = stores.map((store) => createPolicySource({ store, maxApps: HOT })) as [
    PolicySource,
    PolicySource,
  ]
  await Promise.all([feedOf(few), feedOf(many)])
  const fewIds = Array.from({ length: FEW }, (_, index) => appIdOf(index))
  const hotIds = someIds(apps, HOT)
  await loadAll(few, fewIds)
  const empty = await memoryInUse()
  await loadAll(many, hotIds)
  const full = await memoryInUse()

  const rows = [
    ...hits(few, fewIds, many, hotIds),
    told('   memory of a hot app', `${perApp(full - empty)} B`),
  ]

  const begun = performance.now()
  for (let touched = 0; touched < TOUCHED; touched += HOT) await loadAll(many, someIds(apps, HOT))
  const took = performance.now() - begun
  const growth = (100 * ((await memoryInUse()) - full)) / (full - empty)
  rows.push(
    told('   loads of random apps', `${((TOUCHED / took) * 1000).toFixed(0)} per s`),
    atMost(`P9 growth of the memory of cached apps after ${TOUCHED} others`, growth, 10, '%'),
    atMost('   cached apps', many.status().apps, HOT, '', 0),
  )
  for (const store of stores) store.close()
  redis.disconnect()
  return rows
}

function perApp(bytes: number): string {
  return (bytes / HOT).toFixed(0)
}

/** Different random ids. */
function someIds(apps: number, count: number): string[] {
  const numbers = new Set<number>()
  while (numbers.size < Math.min(count, apps)) numbers.add(Math.floor(Math.random() * apps))
  return [...numbers].map(appIdOf)
}

/** Measures cache hits, and look-ups in a bare Map, which show how much of the difference is due to the CPU caches. */
function hits(
  few: PolicySource,
  fewIds: readonly string[],
  many: PolicySource,
  hotIds: readonly string[],
): Row[] {
  const mapOf = (policies: PolicySource, ids: readonly string[]): Map<string, unknown> =>
    new Map(ids.map((appId) => [appId, { app: policies.peek(appId) }]))
  const [fewMap, manyMap] = [mapOf(few, fewIds), mapOf(many, hotIds)]
  const variants = [
    { find: few.peek, ids: fewIds },
    { find: many.peek, ids: hotIds },
    { find: (appId: string) => fewMap.get(appId), ids: fewIds },
    { find: (appId: string) => manyMap.get(appId), ids: hotIds },
  ].map(({ find, ids }) => ({ find, asked: inRandomOrder(ids), times: [] as number[] }))
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const { find, asked, times } of variants) times.push(timeOf(find, asked))
  }
  const [peekFew = 0, peekMany = 0, mapFew = 0, mapMany = 0] = variants.map(({ times }) => median(times))
  return [
    told('P9 a hit, 10 apps stored and hot', `${peekFew.toFixed(0)} ns`),
    told(`   a hit, all apps stored, ${hotIds.length} hot`, `${peekMany.toFixed(0)} ns`),
    atMost('P9 the second, relative to the first', peekMany / peekFew, MOST_DEARER, '', 2),
    told('   the same of a bare Map, due to the CPU caches', (mapMany / mapFew).toFixed(2)),
    told('   that Map, 10 and all', `${mapFew.toFixed(0)}, ${mapMany.toFixed(0)} ns`),
  ]
}

/** New strings equal to the ids, like those in requests, in random order. */
function inRandomOrder(ids: readonly string[]): string[] {
  const copies = ids.map((appId) => Buffer.from(appId).toString())
  return Array.from({ length: LOOK_UPS }, () => copies[Math.floor(Math.random() * copies.length)] as string)
}

/** The time of one look-up, in nanoseconds. */
function timeOf(find: (appId: string) => unknown, asked: readonly string[]): number {
  let found = 0
  const begun = performance.now()
  for (const appId of asked) if (find(appId) !== undefined) found += 1
  const took = performance.now() - begun
  if (found !== asked.length) throw new Error('a hot app was not cached')
  return (took * 1e6) / asked.length
}
