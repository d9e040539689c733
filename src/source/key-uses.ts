import { LRUCache } from 'lru-cache'
import { withDeadline } from '../deadline.ts'
import type { PolicyStore } from '../store/contract.ts'

/** How often the use of one key is written at most, in milliseconds. */
const INTERVAL = 60_000
const MAX_REMEMBERED = 10_000
/** More at once are left for later. */
const MAX_WRITING = 64
const LONGEST_WRITE = 10_000

/** Tells the store which keys are used, seldom, and without holding up a request. What it returns never throws. */
export function createKeyUses(store: PolicyStore, now: () => number): (appId: string, keyId: string) => void {
  // Made when it is first needed, for the cache takes all of its places at once.
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
      // The next use is noted in its place.
    } finally {
      writing -= 1
    }
  }

  // Most uses are of the key that was used last, and need no name for it.
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
