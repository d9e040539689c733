import { setTimeout as sleep } from 'node:timers/promises'
import { UnavailableError } from '../errors.ts'
import { unavailable } from './client.ts'

/** The part of a client of a single Redis server that is used. */
export interface RewriteClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
}

const POLLED_EACH = 50

/**
 * Makes Redis rewrite its files, and waits for it. Until then, deleted data is still in the append-only file and in the snapshot.
 * On a Cluster, call it for each server.
 *
 * @throws UnavailableError (as a rejection) if Redis refuses, or does not finish within `timeout` milliseconds.
 */
export async function rewriteRedis(redis: RewriteClient, timeout = 600_000): Promise<void> {
  const deadline = Date.now() + timeout
  const persistence = async (): Promise<ReadonlyMap<string, string>> => {
    const text = String(await redis.call('INFO', 'persistence'))
    return new Map(text.split('\r\n').map((line) => line.split(':') as [string, string]))
  }
  const idle = async (): Promise<ReadonlyMap<string, string>> => {
    for (;;) {
      const info = await persistence()
      const busy = ['aof_rewrite_in_progress', 'aof_rewrite_scheduled', 'rdb_bgsave_in_progress']
      if (busy.every((name) => info.get(name) !== '1')) return info
      if (Date.now() > deadline) throw new UnavailableError('Redis did not rewrite its files in time (audit)')
      await sleep(POLLED_EACH)
    }
  }
  try {
    const before = await idle()
    if (before.get('aof_enabled') === '1') {
      await redis.call('BGREWRITEAOF')
      const info = await idle()
      if (info.get('aof_last_bgrewrite_status') !== 'ok') {
        throw new UnavailableError('Redis could not rewrite its append-only file (audit)')
      }
    }
    // A snapshot of an earlier save still contains the deleted data.
    await redis.call('BGSAVE')
    const info = await idle()
    if (info.get('rdb_last_bgsave_status') !== 'ok') {
      throw new UnavailableError('Redis could not save a new snapshot (audit)')
    }
  } catch (error) {
    throw error instanceof UnavailableError ? error : unavailable(error, 'audit')
  }
}
