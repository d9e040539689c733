import { LRUCache } from 'lru-cache'
import { withDeadline } from '../deadline.ts'
import type { PolicyStore } from '../store/contract.ts'

/** The shortest time between two writes for one key, in milliseconds. */
const INTERVAL = 60_000
const MAX_REMEMBERED = 10_000
/** How many writes may be in progress. Further uses are skipped and noted later. */
const MAX_WRITING = 64
const LONGEST_WRITE = 10_000

/**
 * Reports to the store which keys are used, at most once a minute for each key. Requests do not wait for it. The returned
 * function never throws.
 */
export function createKeyUses(store: PolicyStore, now: () => number): (appId: string, keyId: string) => void {
  // Created on first use, because the cache allocates all its slots at once.
  let noted: LRUCache<string, number> | undefined
  let writing = 0

  async function write(appId: string, keyId: string): Promise<void> {
    try {
      await withDeadline(
        Promise.resolve(store.noteKeyUse?.(appId, keyId, Date.now())),
        LONGEST_WRITE,
        'the store',
      )
    } catch {
      // The next use of the key is noted instead.
    } finally {
      writing -= 1
    }
  }

  // Most uses are of the key that was used last, so its name need not be built.
  let latest = { appId: '', keyId: '', at: Number.NEGATIVE_INFINITY }

  return (appId, keyId) => {
    if (store.noteKeyUse === undefined) return
    const at = now()
    if (latest.keyId === keyId && latest.appId === appId && at - latest.at < INTERVAL) return
    const name = `${appId}/${keyId}`
    const before = noted?.get(name)
    if (before !== undefined) latest = { appId, keyId, at: before }
    if ((before !== undefined && at - before < INTERVAL) || writing >= MAX_WRITING) return
    noted ??= new LRUCache({ max: MAX_REMEMBERED })
    noted.set(name, at)
    latest = { appId, keyId, at }
    writing += 1
    void write(appId, keyId)
  }
}
