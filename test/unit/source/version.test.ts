import { describe, expect, it } from '@jest/globals'
import { createPolicySource } from 'portcullis'
import type { StoredApp } from 'portcullis/store'

/** A stored app whose document counts its serialisations. */
function counted(version: string | undefined, name: string) {
  let serialised = 0
  const policy = Object.defineProperty({ appId: 'a', name }, 'toJSON', {
    enumerable: false,
    value() {
      serialised += 1
      return { appId: 'a', name }
    },
  })
  const app: StoredApp = { policy, revision: 1, keys: [], ...(version !== undefined && { version }) }
  return { app, serialised: () => serialised }
}

async function readTwice(first: StoredApp, second: StoredApp) {
  const answers = [first, second]
  const source = createPolicySource({
    store: { read: async () => answers.shift() },
    maxStale: 0,
    revalidateAfter: 0,
  })
  return [await source.load('a'), await source.load('a')] as const
}

describe('an app whose store provides a version', () => {
  it('is recognised by it, without serialising its document', async () => {
    const [one, other] = [counted('v', 'n'), counted('v', 'n')]
    const [before, after] = await readTwice(one.app, other.app)
    expect(after).toBe(before)
    expect(one.serialised() + other.serialised()).toBe(0)
  })

  it('is compiled again if the version has changed, even if the revision has not', async () => {
    const [before, after] = await readTwice(counted('v', 'n').app, counted('w', 'm').app)
    expect(after).not.toBe(before)
  })

  it('is compared by its content if a read has no version', async () => {
    const [one, other] = [counted(undefined, 'n'), counted(undefined, 'n')]
    const [before, after] = await readTwice(one.app, other.app)
    expect(after).toBe(before)
    expect(one.serialised() + other.serialised()).toBe(2)
  })
})
