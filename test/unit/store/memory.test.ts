import { describe, expect, it } from '@jest/globals'
import { memoryStore, PolicyError } from 'portcullis'
import { policyStoreContract } from 'portcullis/testing'

policyStoreContract('memory', { describe, it }, async () => ({
  store: memoryStore(),
  dispose: () => undefined,
}))

describe('memoryStore', () => {
  it('begins with the documents that it is given', async () => {
    const store = memoryStore([{ policy: { appId: 'a' } }])
    expect(await store.read('a')).toEqual({ policy: { appId: 'a' }, revision: 1, keys: [] })
  })

  it('refuses two documents of one app, and a document that is not good, at construction', () => {
    expect(() => memoryStore([{ policy: { appId: 'a' } }, { policy: { appId: 'a' } }])).toThrow(PolicyError)
    expect(() => memoryStore([{ policy: { appId: 'a', name: 5 } }])).toThrow(/`name`/)
  })
})
