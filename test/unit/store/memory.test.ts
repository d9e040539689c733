import { randomBytes } from 'node:crypto'
import { describe, expect, it, jest } from '@jest/globals'
import { ConfigError, diffPolicies, memoryStore, PolicyError, RevisionConflict } from 'portcullis'
import { lintKeys } from 'portcullis/store'
import { namedListContract, policyStoreContract } from 'portcullis/testing'

policyStoreContract('memory', { describe, it }, async () => ({
  store: memoryStore(),
  dispose: () => undefined,
}))

namedListContract('memory', { describe, it }, async () => ({
  store: memoryStore(),
  dispose: () => undefined,
}))

describe('memoryStore', () => {
  it('starts with the given documents', async () => {
    const store = memoryStore([{ policy: { appId: 'a' } }])
    expect(await store.read('a')).toEqual({ policy: { appId: 'a' }, revision: 1, keys: [] })
  })

  it('finds its initial apps by their origins', async () => {
    const domainProtect = { mode: 'enforce', domains: ['https://*.example.org'] } as const
    const store = memoryStore([{ policy: { appId: 'a', domainProtect } }])
    expect(await store.appsByOrigin?.('https://x.example.org')).toEqual(['a'])
  })

  it('has written even if a listener throws, and notifies the others', async () => {
    const store = memoryStore()
    const heard: string[] = []
    const silent = { broken: () => undefined, restored: () => undefined }
    const uncaught: unknown[] = []
    const microtask = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => {
      try {
        task()
      } catch (error) {
        uncaught.push(error)
      }
    })
    const bug = new Error('a bug of the listener')
    store.watch?.({
      ...silent,
      changed() {
        throw bug
      },
    })
    store.watch?.({ ...silent, changed: (appId) => heard.push(appId) })
    expect(await store.write({ policy: { appId: 'a' } }, 0)).toBe(1)
    expect(heard).toEqual(['a'])
    expect(uncaught).toEqual([bug])
    microtask.mockRestore()
  })

  it('records the last use of existing keys, and of no others', async () => {
    const key = { id: 'k', algorithm: 'hmac-sha256' as const, secret: randomBytes(32).toString('base64') }
    const store = memoryStore([{ policy: { appId: 'a' } }])
    const lastUsed = async () => (await store.keys('a'))?.map((listed) => listed.lastUsed)
    await store.noteKeyUse?.('a', 'k', Date.now())
    await store.write({ policy: { appId: 'a' }, keys: [key] }, 1)
    expect(await lastUsed()).toEqual([undefined])
    await store.noteKeyUse?.('a', 'k', Date.now())
    expect(await lastUsed()).toEqual([expect.any(String)])
    await store.write({ policy: { appId: 'a' }, keys: [] }, 2)
    await store.write({ policy: { appId: 'a' }, keys: [key] }, 3)
    expect(await lastUsed()).toEqual([undefined])
  })

  it('keeps a hundred revisions of each app', async () => {
    const store = memoryStore()
    for (let revision = 0; revision < 105; revision += 1)
      await store.write({ policy: { appId: 'a', name: `n${revision}` } }, revision)
    const history = await store.history('a', { limit: 1_000 })
    expect(history).toHaveLength(100)
    expect([history[0]?.revision, history.at(-1)?.revision]).toEqual([105, 6])
  })

  it('removes no app with an invalid id', async () => {
    for (const appId of ['', 'a/b', '__proto__ ', 7 as never])
      for (const replaces of [0, 1])
        await expect(memoryStore().remove(appId, replaces)).rejects.toBeInstanceOf(RevisionConflict)
  })

  it('finds at most 64 apps by origin, those that added it last', async () => {
    const domainProtect = { mode: 'enforce' as const, domains: ['https://example.org'] }
    const store = memoryStore(
      Array.from({ length: 70 }, (_, index) => ({ policy: { appId: `a${index}`, domainProtect } })),
    )
    const found = (await store.appsByOrigin?.('https://example.org')) ?? []
    expect([found.length, found.includes('a5'), found.includes('a6')]).toEqual([64, false, true])
  })

  it('refuses two documents of one app, and an invalid document, at construction', () => {
    expect(() => memoryStore([{ policy: { appId: 'a' } }, { policy: { appId: 'a' } }])).toThrow(PolicyError)
    expect(() => memoryStore([{ policy: { appId: 'a', name: 5 as never } }])).toThrow(/`name`/)
  })

  it('names the app, the place and the entry of a refused document', () => {
    const wrong = { appId: 'a2', ipWhitelist: { mode: 'enforce', ranges: ['10.0.0.1/8'] } } as const
    expect(() => memoryStore([{ policy: { appId: 'a' } }, { policy: wrong }])).toThrow(
      'policy of app `a2` refused (`documents[1]` of `memoryStore`): `ipWhitelist.ranges[0]` ("10.0.0.1/8"): ' +
        'host bits are set; write `10.0.0.0/8`',
    )
    expect(() => memoryStore([{ policy: { appId: 'a b' } }])).toThrow(
      /^policy refused \(`documents\[0\]` of `memoryStore`\): `appId`/,
    )
    expect(() => memoryStore([{ policy: { appId: 'a' } }, { policy: { appId: 'a' } }])).toThrow(
      /^policy of app `a` refused \(`documents\[1\]` of `memoryStore`\): `appId`: .* `a`; give each app one/,
    )
  })

  it('names the app of a refused write, and shows no secret of a key or of an entry', async () => {
    const policy = { appId: 'a' }
    const key = { id: 'k', algorithm: 'hmac-sha256' as const, secret: 'c2VjcmV0' }
    const error = await memoryStore()
      .write({ policy, keys: [key] }, 0)
      .catch((thrown: Error) => thrown)
    expect(String(error)).toMatch(/policy of app `a` refused: `keys\[0\]\.secret`/)
    expect(String(error)).not.toContain(key.secret)
    const urls = ['https://person:pass-word@example.org/../?token=t0ken']
    const returnUrlGuard = { mode: 'enforce' as const, urls }
    const refused = () => memoryStore([{ policy: { appId: 'a', returnUrlGuard } }])
    expect(refused).toThrow(/`returnUrlGuard\.urls\[0\]` \("https:/)
    expect(refused).not.toThrow(/pass-word|t0ken/)
  })

  it('stores hosts in ASCII, so that history, differences and the index of origins have one spelling', async () => {
    const store = memoryStore()
    const policyOf = (...domains: string[]) => ({ appId: 'a', domainProtect: { mode: 'enforce', domains } })
    await store.write({ policy: policyOf('https://b\u00fccher.example') }, 0)
    await store.write({ policy: policyOf('https://xn--bcher-kva.example', 'https://\u00e4.example') }, 1)
    expect((await store.read('a'))?.policy).toMatchObject(
      policyOf('https://xn--bcher-kva.example', 'https://xn--4ca.example'),
    )
    const [after, before] = await store.history('a')
    expect(diffPolicies(before?.policy, after?.policy)).toEqual([
      { path: 'domainProtect.domains', removed: [], added: ['https://xn--4ca.example'] },
    ])
    expect(await store.appsByOrigin?.('https://xn--4ca.example')).toEqual(['a'])
  })

  it('refuses to start with two apps that have the same key, without showing its secret', () => {
    const key = { id: 'k', algorithm: 'hmac-sha256' as const, secret: randomBytes(32).toString('base64') }
    const documents = ['a', 'b'].map((appId) => ({ policy: { appId }, keys: [key] }))
    expect(() => memoryStore(documents)).toThrow(ConfigError)
    expect(() => memoryStore(documents)).toThrow(/`memoryStore documents\[1\]\.keys\[0\]`.*app `a`/)
    expect(() => memoryStore(documents)).not.toThrow(key.secret)
    expect(() => memoryStore(documents)).toThrow(
      '`memoryStore documents[1].keys[0]` of app `b` has the id and the secret of a key of app `a`; every app needs keys of its own',
    )
  })

  it('says how long the secret of a key must be', () => {
    const keys = [{ id: 'k', algorithm: 'hmac-sha256' as const, secret: 'secret' }]
    expect(() => memoryStore([{ policy: { appId: 'a' }, keys }])).toThrow(
      /`keys\[0\]\.secret`: must be base64 with padding of at least 32 bytes/,
    )
  })
})

describe('lintKeys', () => {
  const key = (id: string, fill: string) => ({
    id,
    algorithm: 'hmac-sha256' as const,
    secret: fill.repeat(43) + '=',
  })

  it('finds each key whose id and secret an earlier app has too', () => {
    const findings = lintKeys([
      { appId: 'a', keys: [key('k', 'A'), key('l', 'A')] },
      { appId: 'b', keys: [key('k', 'E'), key('l', 'A')] },
      { appId: 'c', keys: [key('k', 'A')] },
      { appId: 'd', keys: [key('m', 'A')] },
    ])
    expect(findings.map(({ code, path, severity }) => [code, path, severity])).toEqual([
      ['shared-key', 'b.keys[1]', 'danger'],
      ['shared-key', 'c.keys[0]', 'danger'],
    ])
    expect(JSON.stringify(findings)).not.toContain('AAAA')
  })
})
