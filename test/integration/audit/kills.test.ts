import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { linesOf } from '../../../src/audit/log/frame.ts'
import { auditLog } from '../../../src/audit/log/audit-log.ts'
import { parseEvent } from '../../../src/audit/line.ts'
import { verifyLog } from '../../../src/audit/proof/verify.ts'
import { redisFrames } from '../../../src/redis/frames.ts'
import { KillRound, type Strike } from '../../support/audit-kills.ts'
import { startRedis, until, type RedisServer } from '../../support/redis.ts'
import { SEED } from '../../support/seeded.ts'
import { canHaveSmallDisk } from '../../support/small-disk.ts'
import { fieldEvent } from '../../unit/audit/events.ts'

/** The short form of `npm run proof:audit-kills`. */
describe('an audited server whose processes are killed', () => {
  const rounds: readonly (readonly ['spool' | 'redis', readonly Strike[]])[] = [
    ['spool', ['process', 'cut', 'process']],
    ['spool', ['full', 'process']],
    ['redis', ['process', 'server']],
  ]
  it('delivers nothing unaudited and stores nothing twice, even if Redis is killed, its file truncated or the disk full', async () => {
    const running = rounds.map(async ([mode, strikes]) => {
      const round = new KillRound({ seed: SEED, mode, settlesAfter: 1_000 })
      const { unaudited, doubled, problems, delivered, kills, fulls } = await round.run(strikes)
      return { mode, unaudited, doubled, problems, found: round.problems, kills, fulls, some: delivered > 10 }
    })
    const whole = { unaudited: 0, doubled: 0, problems: 0, found: [], some: true }
    const canFill = await canHaveSmallDisk()
    expect([SEED, ...(await Promise.all(running))]).toEqual([
      SEED,
      ...rounds.map(([mode, strikes]) => {
        const fulls = canFill ? strikes.filter((strike) => strike === 'full').length : 0
        return { mode, kills: strikes.length, fulls, ...whole }
      }),
    ])
  }, 300_000)
})

describe('an append-only file that is truncated within a frame', () => {
  const folder = mkdtempSync(join(tmpdir(), 'portcullis-cut-'))
  let server: RedisServer
  let redis: Redis

  beforeAll(async () => {
    execFileSync('mkdir', ['-p', join(folder, 'redis')])
    server = await startRedis({
      args: ['--appendonly', 'yes', '--appendfsync', 'always', '--dir', join(folder, 'redis')],
    })
    redis = new Redis(server.url, { retryStrategy: () => 30, disconnectTimeout: 50 })
    redis.on('error', () => undefined)
  })
  afterAll(async () => {
    redis.disconnect()
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const file = async (): Promise<string> => {
    const names = await readdir(join(folder, 'redis', 'appendonlydir'))
    return join(folder, 'redis', 'appendonlydir', names.find((name) => name.endsWith('.incr.aof')) ?? '')
  }

  it('has each frame once after every further restart, wherever it was truncated', async () => {
    const store = redisFrames(redis, { settlesAfter: 60_000 })
    const log = auditLog({ store, storeTimeout: 2_000 })
    let made = 0
    const write = async (count: number): Promise<void> => {
      for (let index = 0; index < count; index += 1) {
        made += 3
        const ids = [made - 3, made - 2, made - 1]
        await log.write(ids.map((id) => fieldEvent(`e${id}`, { person: `p${id % 5}` })))
      }
    }
    await write(5)
    for (const part of [0.02, 0.2, 0.4, 0.6, 0.8, 0.99]) {
      const before = (await stat(await file())).size
      await write(4)
      const { size } = await stat(await file())
      await server.kill()
      truncateSync(await file(), before + Math.floor((size - before) * part))
      await server.restart()
      // The process notices that frames were lost, and sends them again.
      await until('Redis is there', async () => redis.status === 'ready')
      await write(2)
      await server.kill()
      await server.restart()
      await until('Redis is there', async () => redis.status === 'ready')
      const frames = await store.read(undefined, 1_000)
      const ids = frames.flatMap(({ bytes }) => linesOf(bytes).map((line) => parseEvent(line)?.id))
      expect(ids).toEqual(Array.from({ length: made }, (_, index) => `e${index}`))
      expect((await verifyLog({ frames })).problems).toEqual([])
      // The index from people to frames was truncated with them.
      const found = await store.readPerson('p0', undefined, 1_000)
      const own = frames.filter(({ bytes }) => linesOf(bytes).some((line) => line.includes('"person":"p0"')))
      expect(found).toEqual(own)
    }
    await log.close()
  })
})
