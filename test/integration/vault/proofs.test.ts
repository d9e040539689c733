import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startRedis, type RedisServer } from '../../support/redis.ts'
import { SEED, seededRandom } from '../../support/seeded.ts'
import { rotate } from '../../support/vault/rotation.ts'
import { swapSealed, SWAPS } from '../../support/vault/swaps.ts'

/** The short form of `npm run proof:vault`. */
let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
})
afterAll(() => redis.stop())

describe(`the vault, with seed ${SEED}`, () => {
  it('opens a sealed value only where it belongs, and gives a reason for each refusal', async () => {
    const totals = await swapSealed(SWAPS.length * 150, seededRandom())
    expect(totals.wrong).toEqual([])
    expect(totals.right).toBe(SWAPS.length * 150)
    expect(Object.keys(totals.tries)).toEqual([...SWAPS])
    expect(totals.reasons['opened']).toBeUndefined()
  })

  it('loses no data if a rotation or Redis is killed at random moments, and restores nobody who was erased', async () => {
    const keys = { a: randomBytes(32).toString('base64'), b: randomBytes(32).toString('base64') }
    const task = { url: redis.url, prefix: 'rotation:', keys }
    const people = 3_000
    const random = seededRandom()
    const totals = await rotate(task, { people, kills: 6, random, patience: 600, server: redis })
    expect(totals).toMatchObject({ kills: 6, failed: 0, lost: 0, risen: 0, done: true })
    expect(totals.opened).toBe(people + totals.came - totals.erased - totals.unsure)
    expect(Math.min(totals.came, totals.serverKills)).toBeGreaterThan(0)
  })
})
