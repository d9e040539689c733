import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { afterAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { RevisionConflict, UnavailableError } from 'portcullis'
import type { AppDocument } from 'portcullis/store'
import { redisStore, type RedisClient, type RedisStore } from 'portcullis/redis'
import { createVault } from 'portcullis/vault'
import { freshPrefix, sharedRedisUrl } from '../../support/redis.ts'

const vault = createVault({ keys: [{ id: 'k', key: randomBytes(32) }] })
const client = new Redis(sharedRedisUrl(), { disconnectTimeout: 50 })
afterAll(() => client.disconnect())

type Call = (command: string, ...args: (string | number)[]) => Promise<unknown>
const pass: Call = (command, ...args) => client.call(command, ...args)

/** The client with a function that intercepts its commands. */
function through(call: Call, isCluster = false): RedisClient {
  return { status: 'ready', isCluster, duplicate: () => client.duplicate(), call }
}

const open = (prefix: string, redis: RedisClient = client, options: object = {}): RedisStore =>
  redisStore(redis, { prefix, vault, ...options })

function signal(): { readonly given: Promise<void>; readonly give: () => void } {
  let give = (): void => undefined
  const given = new Promise<void>((resolve) => (give = resolve))
  return { given, give }
}

function withDomains(...domains: string[]): AppDocument {
  return { policy: { appId: 'a', domainProtect: { mode: 'enforce', domains } } }
}

describe('a write to Redis', () => {
  it('keeps an app in the index of an origin that a later writer restored while it was being removed', async () => {
    const prefix = freshPrefix()
    const store = open(prefix)
    const [dropping, mayDrop] = [signal(), signal()]
    const slow = through(async (...command) => {
      if (String(command[1]).includes('ZREM')) {
        dropping.give()
        await mayDrop.given
      }
      return pass(...command)
    })
    await store.write(withDomains('https://x.example'), 0)
    const first = open(prefix, slow).write(withDomains('https://y.example'), 1)
    await dropping.given
    await store.write(withDomains('https://x.example'), 2)
    mayDrop.give()
    await first
    expect(await store.appsByOrigin?.('https://x.example')).toEqual(['a'])
    expect(await store.appsByOrigin?.('https://y.example')).toEqual([])
  })

  it('keeps an app in the index if it was removed and created during the write', async () => {
    const prefix = freshPrefix()
    const store = open(prefix)
    let others = 1
    const overtaken = through(async (...command) => {
      if (String(command[1]).includes('conflict') && others-- > 0) {
        await store.write(withDomains('https://x.example'), 0)
        await store.remove('a', 1)
      }
      return pass(...command)
    })
    expect(await open(prefix, overtaken).write(withDomains('https://x.example'), 0)).toBe(3)
    expect(await store.appsByOrigin?.('https://x.example')).toEqual(['a'])
  })

  it('does not conflict with itself if the client sends it again after a disconnect', async () => {
    const prefix = freshPrefix()
    const twice = through(async (...command) => {
      await pass(...command)
      return pass(...command)
    })
    const store = open(prefix, twice)
    expect(await store.write(withDomains('https://x.example'), 0)).toBe(1)
    expect(await store.write(withDomains('https://y.example'), 1)).toBe(2)
    await expect(store.write(withDomains('https://z.example'), 1)).rejects.toBeInstanceOf(RevisionConflict)
    expect(await client.xlen(`${prefix}{feed}`)).toBe(2)
  })

  it('replaces a damaged document like any other', async () => {
    const prefix = freshPrefix()
    const store = open(prefix)
    await client.hset(`${prefix}app:{a}`, { policy: '{', revision: '7' })
    expect(await store.write(withDomains('https://x.example'), 7)).toBe(8)
  })

  it('is done even if it could not be announced, or the index could not be reduced', async () => {
    const prefix = freshPrefix()
    const errors: Error[] = []
    const failing = through((...command) => {
      const script = String(command[1])
      if (script.includes('ZREM') || (script.includes('XADD') && !script.includes('conflict')))
        return Promise.reject(new Error('away'))
      return pass(...command)
    }, true)
    const store = open(prefix, failing, { onError: (error: Error) => errors.push(error) })
    expect(await store.write(withDomains('https://x.example'), 0)).toBe(1)
    expect(await store.write(withDomains(), 1)).toBe(2)
    expect(errors).toHaveLength(3)
    expect(await store.read('a')).toMatchObject({ revision: 2 })
  })

  it('shows neither the document nor the keys in its error, however deep one looks', async () => {
    const prefix = freshPrefix()
    const spoilt = through(async (...command) => {
      if (String(command[1]).includes('conflict')) await client.set(`${prefix}app:{a}`, 'no hash')
      return pass(...command)
    })
    const secret = randomBytes(32).toString('base64')
    const error: unknown = await open(prefix, spoilt)
      .write(
        {
          policy: { appId: 'a', name: 'confidential' },
          keys: [{ id: 'k', algorithm: 'hmac-sha256', secret }],
        },
        0,
      )
      .catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(UnavailableError)
    expect(String(error)).toContain('WRONGTYPE')
    const shown = inspect(error, { depth: 9, showHidden: true })
    for (const text of ['confidential', 'v1:k:', secret]) expect(shown).not.toContain(text)
  })
})

describe('a write that ends in a conflict', () => {
  it.each([0, 2])('leaves the index of origins unchanged (it named revision %i)', async (replaces) => {
    const prefix = freshPrefix()
    const store = open(prefix)
    await store.write(withDomains('https://x.example'), 0)
    const conflict = store.write(withDomains('https://x.example', 'https://y.example'), replaces)
    await expect(conflict).rejects.toThrow(RevisionConflict)
    expect(await store.appsByOrigin?.('https://y.example')).toEqual([])
    expect(await client.keys(`${prefix}origin:*`)).toEqual([`${prefix}origin:{https://x.example}`])
  })
})

describe('the history in Redis', () => {
  it('continues from the last revision if the app itself was lost', async () => {
    const prefix = freshPrefix()
    const store = open(prefix)
    await store.write(withDomains('https://x.example'), 0)
    await store.write(withDomains('https://y.example'), 1)
    await client.del(`${prefix}app:{a}`)
    // Not "no such app", which would be final for its callers.
    await expect(store.read('a')).rejects.toThrow(UnavailableError)
    expect(await store.write(withDomains('https://z.example'), 0)).toBe(3)
    expect((await store.history('a')).map(({ revision }) => revision)).toEqual([3, 2, 1])
  })

  it('seals author and note if there is a vault, and is unavailable without it', async () => {
    const prefix = freshPrefix()
    await open(prefix).write({ policy: { appId: 'a' } }, 0, { author: 'alice@example.org', note: 'hush' })
    const stored = JSON.stringify(await client.lrange(`${prefix}history:{a}`, 0, -1))
    expect(stored).not.toMatch(/alice|hush/)
    expect(await open(prefix).history('a')).toMatchObject([{ author: 'alice@example.org', note: 'hush' }])
    await expect(open(prefix, client, { vault: undefined }).history('a')).rejects.toThrow(UnavailableError)
  })

  it('keeps the configured number of revisions', async () => {
    const store = open(freshPrefix(), client, { keptRevisions: 5 })
    for (let revision = 0; revision < 12; revision += 1)
      await store.write(withDomains('https://x.example'), revision)
    expect((await store.history('a')).map(({ revision }) => revision)).toEqual([12, 11, 10, 9, 8])
    expect((await store.history('a', { before: 10, limit: 5 })).map(({ revision }) => revision)).toEqual([
      9, 8,
    ])
    expect(await store.history('a', { before: 8 })).toEqual([])
  })
})

describe('a list from Redis', () => {
  it('has full pages even if many apps were removed', async () => {
    const store = open(freshPrefix())
    for (let index = 100; index < 120; index += 1) {
      await store.write({ policy: { appId: `app-${index}` } }, 0)
      if (index % 5 !== 0) await store.remove(`app-${index}`, 1)
    }
    const first = await store.list({ limit: 3 })
    expect(first.apps.map(({ appId }) => appId)).toEqual(['app-100', 'app-105', 'app-110'])
    const second = await store.list({ limit: 3, after: first.next })
    expect(second).toMatchObject({ apps: [{ appId: 'app-115' }], next: undefined })
  })
})

describe('a read from Redis', () => {
  const damages: [string, Record<string, string> | undefined, Record<string, string>?][] = [
    ['the document of another app', { policy: '{"appId":"b"}', revision: '1' }],
    ['a document that is no object', { policy: '"a"', revision: '1' }],
    ['a revision that is none', { policy: '{"appId":"a"}', revision: 'x' }],
    ['a revision of 0', { policy: '{"appId":"a"}', revision: '0' }],
    ['no document, but no word of its removal either', { revision: '1' }],
    ['no record of keys where there should be one', { policy: '{"appId":"a"}', revision: '1', secrets: '1' }],
    ['keys without a document', undefined, { revision: '1', sealed: 'v1:k:AAAA' }],
    [
      'keys of another revision than the app says',
      { policy: '{"appId":"a"}', revision: '2', secrets: '2' },
      { revision: '1', sealed: 'v1:k:AAAA' },
    ],
    [
      'keys that are not sealed',
      { policy: '{"appId":"a"}', revision: '1', secrets: '1' },
      { revision: '1', sealed: '[]' },
    ],
  ]
  for (const [title, fields, secrets] of damages) {
    it(`is unavailable if it finds ${title}`, async () => {
      const prefix = freshPrefix()
      if (fields !== undefined) await client.hset(`${prefix}app:{a}`, fields)
      if (secrets !== undefined) await client.hset(`${prefix}secrets:{a}`, secrets)
      await expect(open(prefix).read('a')).rejects.toBeInstanceOf(UnavailableError)
    })
  }

  it('finds no app with an invalid id', async () => {
    for (const appId of ['', '{x}', 'a b', 'a\r\nb', 'x'.repeat(129)])
      expect(await open(freshPrefix()).read(appId)).toBeUndefined()
  })

  it('is unavailable for keys without a vault', async () => {
    const prefix = freshPrefix()
    const keys = [{ id: 'k', algorithm: 'hmac-sha256', secret: randomBytes(32).toString('base64') }] as const
    await open(prefix).write({ policy: { appId: 'a' }, keys }, 0)
    await expect(open(prefix, client, { vault: undefined }).read('a')).rejects.toThrow(
      /no `vault` to open it/,
    )
  })
})
