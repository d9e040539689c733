import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import {
  createPolicySource,
  diskSnapshot,
  memoryStore,
  UnavailableError,
  UnreadableError,
  type PolicySnapshot,
  type PolicySource,
  type PolicyInput,
} from 'portcullis'
import type { PolicyStore } from 'portcullis/store'
import type { StoreListener } from 'portcullis/store'
import { createVault } from 'portcullis/vault'

const vault = createVault({ keys: [{ id: 'k', key: randomBytes(32) }] })
const key = { id: 'k', algorithm: 'hmac-sha256' as const, secret: randomBytes(32).toString('base64') }
const policy: PolicyInput = { appId: 'a', ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] } }

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'portcullis-snapshot-'))
})
afterEach(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }))

const snapshot = (): PolicySnapshot => diskSnapshot({ directory, vault })

/** Simulates an earlier process that read the app and ended. */
async function earlierProcess(store: PolicyStore = memoryStore([{ policy, keys: [key] }])): Promise<void> {
  const kept = snapshot()
  const source = createPolicySource({ store, snapshot: kept })
  await source.load('a')
  source.close()
  await kept.flush()
}

/** An unreachable store, whose feed the test controls. */
function storeThatIsDown() {
  let listener: StoreListener | undefined
  const store: PolicyStore = {
    read: async () => Promise.reject(new UnavailableError('down')),
    watch(given) {
      listener = given
      given.broken()
      return () => undefined
    },
  }
  return { store, feed: () => listener as StoreListener }
}

function started(store: PolicyStore, options: object = {}): PolicySource {
  return createPolicySource({ store, snapshot: snapshot(), ...options })
}

describe('a source with a snapshot', () => {
  it('serves what an earlier process has read, including keys, while the store is unreachable', async () => {
    await earlierProcess()
    const source = started(storeThatIsDown().store)
    const app = await source.load('a')
    expect(app).toMatchObject({ appId: 'a', revision: 1 })
    expect(app?.policy.ipWhitelist?.ranges.size).toBe(1)
    expect(app?.keys.map(({ id }) => id)).toEqual(['k'])
    expect(source.peek('a')).toBe(app)
    await expect(source.load('b')).rejects.toBeInstanceOf(UnavailableError)
  })

  it('serves it at most maxStale after it was read, by whichever process', async () => {
    await earlierProcess()
    let ahead = 0
    const options = { maxStale: 600_000, revalidateAfter: 600_000, now: () => Date.now() + ahead }
    const source = started(storeThatIsDown().store, options)
    await expect(source.load('a')).resolves.toMatchObject({ revision: 1 })
    ahead = 600_001
    expect(source.peek('a')).toBeUndefined()
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
    // Another process uses the system time.
    await sleep(30)
    await expect(
      started(storeThatIsDown().store, { maxStale: 20, revalidateAfter: 20 }).load('a'),
    ).rejects.toBeInstanceOf(UnavailableError)
  })

  it('stores nothing that changed while it was read', async () => {
    const memory = memoryStore([{ policy, keys: [key] }])
    let listener: StoreListener | undefined
    await earlierProcess({
      async read(appId) {
        const app = await memory.read(appId)
        listener?.changed('a')
        return app
      },
      watch: (given) => ((listener = given), () => undefined),
    })
    await expect(started(storeThatIsDown().store).load('a')).rejects.toBeInstanceOf(UnavailableError)
  })

  it('believes the store as soon as it answers', async () => {
    await earlierProcess()
    const { store } = storeThatIsDown()
    const source = started(store, { revalidateAfter: 0 })
    await source.load('a')
    store.read = async () => ({ policy: { appId: 'a' }, revision: 7, keys: [] })
    await sleep(5)
    source.peek('a')
    await sleep(5)
    expect(source.peek('a')).toMatchObject({ revision: 7 })
    store.read = async () => undefined
    const later = started(store)
    await expect(later.load('a')).resolves.toBeNull()
  })

  it('does not use it after the app has changed', async () => {
    await earlierProcess()
    const { store, feed } = storeThatIsDown()
    const source = started(store)
    feed().changed('a', 2)
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
  })

  it('does not use it after the feed was connected and may have announced changes', async () => {
    await earlierProcess()
    const { store, feed } = storeThatIsDown()
    const source = started(store)
    feed().restored()
    await expect(source.load('a')).rejects.toBeInstanceOf(UnavailableError)
  })

  it('does not use it if the store has found damage, or a removed app', async () => {
    await earlierProcess()
    const { store } = storeThatIsDown()
    store.read = async () => Promise.reject(new UnreadableError('damaged'))
    await expect(started(store).load('a')).rejects.toBeInstanceOf(UnavailableError)
    store.read = async () => undefined
    const kept = snapshot()
    const source = createPolicySource({ store, snapshot: kept })
    await expect(source.load('a')).resolves.toBeNull()
    await kept.flush()
    await expect(started(storeThatIsDown().store).load('a')).rejects.toBeInstanceOf(UnavailableError)
  })
})
