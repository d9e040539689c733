import { randomBytes } from 'node:crypto'
import { describe, expect, it, jest } from '@jest/globals'
import { ConfigError, diffPolicies, lintKeys, memoryStore, PolicyError } from 'portcullis'
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
  it('begins with the documents that it is given', async () => {
    const store = memoryStore([{ policy: { appId: 'a' } }])
    expect(await store.read('a')).toEqual({ policy: { appId: 'a' }, revision: 1, keys: [] })
  })

  it('finds the apps that it began with by their origins', async () => {
    const domainProtect = { mode: 'enforce', domains: ['https://*.example.org'] }
    const store = memoryStore([{ policy: { appId: 'a', domainProtect } }])
    expect(await store.appsByOrigin?.('https://x.example.org')).toEqual(['a'])
  })

  it('has written although a listener throws, and tells the others', async () => {
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

  it('refuses two documents of one app, and a document that is not good, at construction', () => {
    expect(() => memoryStore([{ policy: { appId: 'a' } }, { policy: { appId: 'a' } }])).toThrow(PolicyError)
    expect(() => memoryStore([{ policy: { appId: 'a', name: 5 } }])).toThrow(/`name`/)
  })

  it('stores hosts in ASCII, so that history, difference and index of origins have one spelling', async () => {
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

  it('refuses to begin with two apps that have the same key, and shows nothing of its secret', () => {
    const key = { id: 'k', algorithm: 'hmac-sha256' as const, secret: randomBytes(32).toString('base64') }
    const documents = ['a', 'b'].map((appId) => ({ policy: { appId }, keys: [key] }))
    expect(() => memoryStore(documents)).toThrow(ConfigError)
    expect(() => memoryStore(documents)).toThrow(/`memoryStore documents\[1\]\.keys\[0\]`.*app `a`/)
    expect(() => memoryStore(documents)).not.toThrow(key.secret)
  })
})

describe('lintKeys', () => {
  const key = (id: string, fill: string) => ({
    id,
    algorithm: 'hmac-sha256' as const,
    secret: fill.repeat(43) + '=',
  })

  it('finds each key, id and secret, that an earlier app has too', () => {
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
