import { describe, expect, it } from '@jest/globals'
import { createPolicySource, memoryStore } from 'portcullis'
import type { PolicyStore } from 'portcullis/store'

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A source with a store that records key uses, or does what the test says. */
function sourceWith(noteKeyUse?: PolicyStore['noteKeyUse']) {
  let now = 0
  const told: string[] = []
  const store: PolicyStore = {
    read: async () => undefined,
    noteKeyUse: async (appId, keyId, at) => {
      told.push(`${appId} ${keyId}`)
      await noteKeyUse?.(appId, keyId, at)
    },
  }
  const source = createPolicySource({ store, now: () => now })
  const wait = (milliseconds: number): void => void (now += milliseconds)
  return { use: (appId: string, keyId: string) => source.noteKeyUse?.(appId, keyId), told, wait }
}

describe('the last use of keys', () => {
  it('is stored at once, and then at most once a minute per key', () => {
    const { use, told, wait } = sourceWith()
    for (let second = 0; second < 125; second += 1) {
      for (let request = 0; request < 10; request += 1) use('a', 'key-1')
      wait(1_000)
    }
    use('a', 'key-2')
    use('b', 'key-1')
    expect(told).toEqual(['a key-1', 'a key-1', 'a key-1', 'a key-2', 'b key-1'])
  })

  it('is stored with the time of the machine', async () => {
    const store = memoryStore([
      { policy: { appId: 'a' }, keys: [{ id: 'k', algorithm: 'hmac-sha256', secret: `${'A'.repeat(43)}=` }] },
    ])
    const begun = Date.now()
    createPolicySource({ store }).noteKeyUse?.('a', 'k')
    await settled()
    const [key] = (await store.keys('a')) ?? []
    expect(Date.parse(key?.lastUsed ?? '')).toBeGreaterThanOrEqual(begun)
  })

  const failures: readonly (readonly [how: string, noteKeyUse: PolicyStore['noteKeyUse']])[] = [
    ['rejects', async () => Promise.reject(new Error('down'))],
    [
      'throws',
      () => {
        throw new Error('down')
      },
    ],
    ['answers with no promise', () => undefined as never],
  ]
  it.each(failures)(
    'causes no failure if the store %s, and is stored again a minute later',
    async (_how, note) => {
      const { use, told, wait } = sourceWith(note)
      use('a', 'k')
      await settled()
      use('a', 'k')
      expect(told).toHaveLength(1)
      wait(60_000)
      use('a', 'k')
      await settled()
      expect(told).toHaveLength(2)
    },
  )

  it('is postponed while 64 calls are unanswered', async () => {
    let answer = (): void => undefined
    const answered = new Promise<void>((resolve) => (answer = resolve))
    const { use, told } = sourceWith(() => answered)
    for (let app = 0; app < 1_000; app += 1) use(`app-${app}`, 'k')
    expect(told).toHaveLength(64)
    answer()
    await settled()
    use('app-999', 'k')
    expect(told.at(-1)).toBe('app-999 k')
  })

  it('is not passed to a store that does not support it', () => {
    const source = createPolicySource({ store: { read: async () => undefined } })
    expect(() => source.noteKeyUse?.('a', 'k')).not.toThrow()
  })
})
