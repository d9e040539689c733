import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { createPolicySource, diskSnapshot, fileStore, memoryStore } from 'portcullis'
import { createVault, keysInUse, reseal } from 'portcullis/vault'

const a = { id: 'key-a', key: randomBytes(32) }
const b = { id: 'key-b', key: randomBytes(32) }
const before = createVault({ keys: [a] })
const both = createVault({ keys: [b, a] })
const after = createVault({ keys: [b, { id: 'key-a', state: 'destroyed' }] })

const appKey = (appId: string) => ({
  id: `${appId}-1`,
  algorithm: 'hmac-sha256' as const,
  secret: randomBytes(32).toString('base64'),
})

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-reseal-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

describe('a file store whose vault has a new key', () => {
  it('is resealed: keys of apps, notes of apps and lists are readable as before, with only the new key', async () => {
    const path = join(folder, 'policies.json')
    const store = fileStore(path, { vault: before, create: true })
    const keys = new Map(['one', 'two'].map((appId) => [appId, appKey(appId)]))
    for (const [appId, key] of keys) {
      await store.write({ policy: { appId }, keys: [key] }, 0, { author: 'ada', note: 'first' })
      await store.write({ policy: { appId } }, 1, { author: 'bob', note: 'second' })
    }
    await store.writeList('office', [{ range: '192.0.2.1', note: 'desk' }], 0, { author: 'eve' })
    const seen = await Promise.all([store.read('one'), store.history('two'), store.lists()])
    store.close()

    const rotating = fileStore(path, { vault: both })
    expect((await keysInUse({ vault: both, holders: [rotating] })).sealedBy).toEqual({ 'key-a': 7 })
    const report = await reseal({ vault: both, holders: [rotating] })
    expect(report.places.map(({ name, resealed }) => [name, resealed])).toEqual([
      ['keys of apps', 2],
      ['change notes', 4],
      ['change notes of lists', 1],
    ])
    expect([report.done, report.sealedBy]).toEqual([true, { 'key-b': 7 }])
    rotating.close()

    const files = [path, join(`${path}.lists`, 'office.txt')]
    for (const file of files) expect(await readFile(file, 'utf8')).not.toContain('key-a')
    const rotated = fileStore(path, { vault: after })
    expect(await Promise.all([rotated.read('one'), rotated.history('two'), rotated.lists()])).toEqual(seen)
    expect((await rotated.read('two'))?.keys).toEqual([keys.get('two')])
    const list = await rotated.readList('office')
    expect([list?.revision, list?.size]).toEqual([1, 1])
    for await (const entries of list?.chunks() ?? []) expect(entries).toMatchObject([{ note: 'desk' }])
    rotated.close()
  })
})

describe('a snapshot whose vault has a new key', () => {
  it('loses the copies of the old key, and restores them with the next read', async () => {
    const store = memoryStore([{ policy: { appId: 'a' }, keys: [appKey('a')] }])
    const read = async (vault: typeof before): Promise<ReturnType<typeof diskSnapshot>> => {
      const snapshot = diskSnapshot({ directory: folder, vault })
      const source = createPolicySource({ store, snapshot })
      await source.load('a')
      source.close()
      await snapshot.flush()
      return snapshot
    }
    await read(before)
    const snapshot = diskSnapshot({ directory: folder, vault: both })
    expect((await snapshot.find('a', 60_000))?.app.revision).toBe(1)
    const report = await reseal({ vault: both, holders: [snapshot] })
    expect([report.done, report.places[0]?.resealed, report.sealedBy]).toEqual([true, 1, {}])
    expect(await snapshot.find('a', 60_000)).toBeUndefined()
    expect((await (await read(both)).find('a', 60_000))?.app.revision).toBe(1)
    expect((await keysInUse({ vault: both, holders: [snapshot] })).sealedBy).toEqual({ 'key-b': 1 })
  })
})
