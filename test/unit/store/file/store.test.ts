import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFile,
  chmod,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from '@jest/globals'
import {
  ConfigError,
  createPolicySource,
  fileStore,
  UnavailableError,
  UnreadableError,
  type AppKey,
  type FileStore,
} from 'portcullis'
import { policyStoreContract } from 'portcullis/testing'
import { createVault } from 'portcullis/vault'
import { lockFile } from '../../../../src/store/file/lock.ts'
import { isRoot } from '../../../support/commands.ts'
import {
  contents,
  directory,
  errors,
  leftovers,
  listen,
  listenWhole,
  makeOld,
  named,
  open,
  opened,
  path,
  putInPlace,
  textOf,
  until,
} from './opened.ts'

const vault = createVault({ keys: [{ id: 'test', key: randomBytes(32) }] })
const SECRET = randomBytes(32).toString('base64')
const KEY: AppKey = { id: 'server', algorithm: 'hmac-sha256', secret: SECRET }
policyStoreContract('file', { describe, it }, async () => ({
  store: open({ create: true, vault }),
  dispose: () => undefined,
}))

describe('fileStore', () => {
  const wrong: [string, () => unknown, string][] = [
    ['a path that is no text', () => fileStore(5 as never), 'fileStore path'],
    ['an empty path', () => fileStore(''), 'fileStore path'],
    ['a path with a zero character', () => fileStore('a\0b'), 'fileStore path'],
    ['a directory that does not exist', () => fileStore(join(directory, 'x', 'y.json')), 'fileStore path'],
    [
      'a file in the place of the directory',
      () => fileStore(join(__filename, 'y.json'), { create: true }),
      'fileStore path',
    ],
    ['a vault that is none', () => open({ vault: {} as never }), 'fileStore.vault'],
    ['`create` that is neither true nor false', () => open({ create: 'yes' as never }), 'fileStore.create'],
    ['an unknown option', () => open({ creat: true } as never), 'fileStore.creat'],
  ]
  it.each(wrong)('refuses %s at construction', (_, make, option) => {
    expect(make).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', option }))
  })

  it('is unavailable if there is no file, because the path may be mistyped', async () => {
    const store = open()
    await expect(store.read('a')).rejects.toThrow(UnavailableError)
    await expect(store.appsByOrigin?.('https://a.example')).rejects.toThrow(/policies\.json.*ENOENT/)
    await expect(store.write({ policy: { appId: 'a' } }, 0)).rejects.toThrow(UnavailableError)
    expect(await readdir(directory)).toEqual([])
    expect(errors).toHaveLength(1)
  })

  it('creates an empty file if configured, for its owner only, and only once', async () => {
    const store = open({ create: true })
    expect(await readFile(path, 'utf8')).toBe('{\n  "apps": {}\n}\n')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(await readdir(directory)).toEqual(['policies.json'])
    expect(await store.read('a')).toBeUndefined()
    await store.write({ policy: { appId: 'a' } }, 0)
    expect(await open({ create: true }).read('a')).toBeDefined()
    await rm(path)
    await expect(store.read('a')).rejects.toThrow(UnavailableError)
  })

  it('needs only the policies, and returns them as written', async () => {
    await writeFile(path, '\uFEFF' + textOf({ a: named('a', 'A'), b: { policy: { appId: 'b', typo: 1 } } }))
    const store = open()
    expect(await store.read('a')).toEqual({ policy: { appId: 'a', name: 'A' }, revision: 1, keys: [] })
    expect(await store.read('b')).toEqual({ policy: { appId: 'b', typo: 1 }, revision: 1, keys: [] })
    expect(await store.write({ policy: { appId: 'a' } }, 1)).toBe(2)
    expect((await contents()).apps['b']).toEqual({ policy: { appId: 'b', typo: 1 } })
  })

  it('is not affected by one invalid app', async () => {
    const bad = [null, 5, 'text', [], {}, { appId: 'bad', serverOnly: 'maybe' }]
    await writeFile(path, textOf({ good: named('good', 'G') }))
    const store = open()
    const source = createPolicySource({ store })
    opened.push(source)
    for (const policy of bad) {
      await writeFile(path, textOf({ bad: { policy }, good: named('good', 'G') }))
      await expect(source.load('bad')).rejects.toThrow()
      expect((await source.load('good'))?.appId).toBe('good')
      expect((await store.list()).apps.map(({ appId }) => appId)).toEqual(['bad', 'good'])
    }
    // A valid document can replace it.
    expect(await store.write({ policy: { appId: 'bad' } }, 1)).toBe(2)
    expect((await source.load('bad'))?.revision).toBe(2)
  })

  const damages: [string, string | Buffer, string][] = [
    ['is empty', '', 'not JSON: line 1, column 1'],
    ['is cut off', `{"apps": {\n"a": {"policy": {"name": "${SECRET}`, 'not JSON: line 2, column 26'],
    ['has a comma too many', `{"apps": {\n"a":\n{"keys": "${SECRET}",}}}`, 'not JSON: line 3, column'],
    ['is not UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'not UTF-8'],
    ['is a text', JSON.stringify(SECRET), 'apps'],
    ['is an array', '[]', 'apps'],
    ['is null', 'null', 'apps'],
    ['has no apps', '{}', 'apps'],
    ['has a comment', `{\n  // ${SECRET}\n}`, 'not JSON: line 2, column 3: a comment'],
    [
      'is a policy',
      JSON.stringify({ appId: SECRET }),
      'a single policy: write `{ "apps": { "APP": { "policy"',
    ],
    ['has apps in an array', '{"apps":[]}', 'apps'],
    ['has another member', JSON.stringify({ apps: {}, [SECRET]: 1 }), 'apps'],
    ['has a name that no app can have', textOf({ [`${SECRET} `]: named('a', '') }), 'the id of an app'],
    ['has an app that is no object', textOf({ a: SECRET }), '`apps.a`'],
    ['has an app with another member', textOf({ a: { [SECRET]: 1, policy: { appId: 'a' } } }), '`apps.a`'],
    ['has an app with a prototype', '{"apps":{"a":{"__proto__":{"policy":{"appId":"a"}}}}}', '`apps.a`'],
    ['has a policy of another app', textOf({ a: named(SECRET, '') }), '`apps.a.policy.appId`'],
    ['has a revision of 0', textOf({ a: { revision: 0 } }), '`apps.a.revision`'],
    ['has a revision that is a text', textOf({ a: { revision: SECRET } }), '`apps.a.revision`'],
    ['has a revision that is not whole', textOf({ a: { revision: 1.5 } }), '`apps.a.revision`'],
    ['has keys in plain text', textOf({ a: { ...named('a', 'A'), keys: [KEY] } }), '`apps.a.keys`'],
    ['has a history that is none', textOf({ a: { history: SECRET } }), '`apps.a.history`'],
    ['has a revision without a time', textOf({ a: { history: [{ revision: 1 }] } }), 'history.0.at'],
  ]
  it.each(damages)('is unavailable if the file %s, without quoting it', async (_, text, place) => {
    await writeFile(path, textOf({ a: named('a', 'A') }))
    const store = open({ vault })
    await store.read('a')
    await writeFile(path, text)
    for (const question of [
      () => store.read('a'),
      () => store.read('nobody'),
      () => store.list(),
      () => store.history('a'),
      () => store.appsByOrigin?.('https://a.example'),
      () => store.remove('a', 0),
      () => store.write({ policy: { appId: 'a' } }, 1),
    ]) {
      const error: unknown = await question()?.then(
        () => undefined,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(UnavailableError)
      expect(error).not.toBeInstanceOf(UnreadableError)
      expect((error as Error).message).toContain(place)
    }
    // One error, although it was read seven times.
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining(place)])
    expect(`${errors[0]?.message} ${errors[0]?.stack}`).not.toContain(SECRET)
    expect(await readFile(path)).toEqual(Buffer.from(text))
    expect(await leftovers()).toEqual([])
  })

  it('does not wait for a pipe or read a directory instead of the file', async () => {
    await mkdir(path)
    await expect(open().read('a')).rejects.toThrow(UnavailableError)
    await rm(path, { recursive: true })
    await once(spawn('mkfifo', [path]), 'close')
    await expect(open().read('a')).rejects.toThrow(/it is not a file/)
  })

  it('writes in a stable order, one line per value, so that a change is a small difference', async () => {
    const store = open({ create: true })
    for (const appId of ['b', '__proto__', 'a', 'constructor']) await store.write({ policy: { appId } }, 0)
    const lines = async (): Promise<string[]> => (await readFile(path, 'utf8')).split(/,?\n/)
    const before = await lines()
    expect(Object.keys((await contents()).apps)).toEqual(['__proto__', 'a', 'b', 'constructor'])
    await store.write({ policy: { appId: 'b', name: 'B' } }, 1)
    const after = await lines()
    expect(before.filter((line) => !after.includes(line))).toEqual([])
    // In `b`: the revision, its name, and one history entry.
    expect(after.length - before.length).toBe(10)
    expect(after.at(-1)).toBe('')
    expect(await open().read('__proto__')).toMatchObject({ revision: 1 })
  })

  it('keeps the revision of a removed app', async () => {
    const store = open({ create: true, vault })
    await store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0)
    await store.remove('a', 1)
    const { a } = (await contents()).apps
    expect(Object.keys(a ?? {})).toEqual(['revision', 'history'])
    expect(a?.revision).toBe(2)
    expect(await open().read('a')).toBeUndefined()
  })
})

describe('the last use of keys', () => {
  const document = { policy: { appId: 'a' }, keys: [KEY] }
  const used = async (store: FileStore): Promise<string | undefined> => (await store.keys('a'))?.[0]?.lastUsed
  const now = new Date().toISOString()

  it('is known to other stores and after a restart, and is stored in a separate file', async () => {
    const store = open({ create: true, vault })
    await store.write(document, 0)
    const before = await readFile(path, 'utf8')
    await store.noteKeyUse('a', KEY.id, Date.parse(now))
    expect(await used(store)).toBe(now)
    expect(await used(open({ vault }))).toBe(now)
    expect(await readFile(path, 'utf8')).toBe(before)
    expect((await readdir(directory)).toSorted()).toEqual(['policies.json', 'policies.json.used'])
    expect(JSON.parse(await readFile(`${path}.used`, 'utf8'))).toEqual({ a: { server: now } })
  })

  it('is not announced, because nothing has changed', async () => {
    const store = open({ create: true, vault })
    await store.write(document, 0)
    const heard: string[] = []
    const listener = { broken() {}, restored() {} }
    const leave = store.watch?.({ ...listener, changed: (appId) => heard.push(appId) })
    await store.noteKeyUse('a', KEY.id, Date.now())
    await store.read('a')
    expect(heard).toEqual([])
    leave?.()
  })

  it.each(['', '[', '[]', 'null', '{"a":5}', '{"a":{"server":"x"}}', '{"__proto__":{"server":1}}'])(
    'is unknown if its file is %j, and recorded again',
    async (text) => {
      const store = open({ create: true, vault })
      await store.write(document, 0)
      await writeFile(`${path}.used`, text)
      expect(await used(store)).toBeUndefined()
      await store.noteKeyUse('a', KEY.id, Date.parse(now))
      expect(await used(store)).toBe(now)
    },
  )

  it('is forgotten after a year', async () => {
    const store = open({ create: true, vault })
    await store.write(document, 0)
    await store.noteKeyUse('a', KEY.id, Date.now() - 401 * 86_400_000)
    expect(await used(store)).toBeUndefined()
  })

  it('rejects if it cannot be recorded, and leaves nothing behind', async () => {
    const store = open({ create: true, vault })
    await store.write(document, 0)
    await mkdir(`${path}.used`)
    await expect(store.noteKeyUse('a', KEY.id, Date.now())).rejects.toBeInstanceOf(UnavailableError)
    expect((await readdir(directory)).toSorted()).toEqual(['policies.json', 'policies.json.used'])
    expect(await used(store)).toBeUndefined()
  })
})

describe('encrypted data in the file', () => {
  const note = { author: 'alice@example.org', note: 'because of ticket 7' }

  it('includes keys, and author and note of each change: none of them is readable', async () => {
    const store = open({ create: true, vault })
    await store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0, note)
    const text = await readFile(path, 'utf8')
    for (const secret of [SECRET, KEY.algorithm, 'alice', 'ticket']) expect(text).not.toContain(secret)
    const again = open({ vault })
    expect((await again.read('a'))?.keys).toEqual([KEY])
    expect(await again.history('a')).toEqual([
      { ...note, revision: 1, at: expect.any(String), policy: { appId: 'a' }, keysChanged: true },
    ])
  })

  it('cannot be read without the vault, or with another one; apps without keys can', async () => {
    const store = open({ create: true, vault })
    await store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0, note)
    await store.write({ policy: { appId: 'b' } }, 0)
    const other = createVault({ keys: [{ id: 'test', key: randomBytes(32) }] })
    for (const options of [{}, { vault: other }]) {
      const blind = open(options)
      await expect(blind.read('a')).rejects.toThrow(UnreadableError)
      await expect(blind.history('a')).rejects.toThrow(UnreadableError)
      expect(await blind.read('b')).toMatchObject({ keys: [] })
      expect((await blind.list()).apps).toHaveLength(2)
    }
  })

  it('cannot be written without a vault', async () => {
    const store = open({ create: true })
    await expect(store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      option: 'fileStore.vault',
    })
    expect(await store.read('a')).toBeUndefined()
    await store.write({ policy: { appId: 'a' }, keys: [] }, 0, note)
    expect(await store.history('a')).toMatchObject([note])
  })

  it('cannot be used in another app, and damage affects only its own app', async () => {
    const store = open({ create: true, vault })
    await store.write({ policy: { appId: 'a' }, keys: [KEY] }, 0)
    const keys = (await contents()).apps['a']?.['keys'] as string
    const damaged = [keys, '', 'v1:test:AAAA', vault.seal('no JSON', 'app-keys:b')]
    for (const keysOfB of damaged) {
      await writeFile(
        path,
        textOf({ a: { ...named('a', 'A'), keys }, b: { ...named('b', 'B'), keys: keysOfB } }),
      )
      await expect(store.read('b')).rejects.toThrow(UnreadableError)
      expect((await store.read('a'))?.keys).toEqual([KEY])
    }
  })
})

describe('a file that is edited by hand', () => {
  const edits: [string, (text: string) => Promise<void>][] = [
    ['in place', (text) => writeFile(path, text)],
    ['by putting another in its place', (text) => putInPlace(text)],
    [
      'by removing it and writing it anew',
      async (text) => {
        await rm(path)
        await writeFile(path, text)
      },
    ],
    [
      'through a symbolic link that is put in its place',
      async (text) => {
        const target = join(directory, randomBytes(4).toString('hex'))
        await writeFile(target, text)
        await symlink(target, `${path}.link`)
        await rename(`${path}.link`, path)
      },
    ],
  ]
  it.each(edits)('%s is announced within a second, and breaks nothing', async (_, edit) => {
    await writeFile(path, textOf({ a: named('a', 'A'), b: named('b', 'B'), gone: named('gone', '') }))
    const store = open()
    const heard = await listenWhole(store)
    await edit(textOf({ a: named('a', 'other'), b: named('b', 'B'), gone: named('gone', ''), c: {} }))
    await until(() => heard.length > 0, 1_000)
    await until(() => heard.length === 2)
    expect(heard).toEqual(['changed a 1', 'changed c 1'])
    await edit(textOf({ a: { ...named('a', 'third'), revision: 5 }, b: named('b', 'B'), gone: {}, c: {} }))
    await until(() => heard.length === 4)
    expect(heard.slice(2)).toEqual(['changed a 5', 'changed gone 1'])
    expect(await store.read('gone')).toBeUndefined()
    expect(errors).toEqual([])
  })

  it('is noticed if only the keys of an app changed, with the same revision', async () => {
    const writer = open({ create: true, vault })
    await writer.write({ policy: { appId: 'a' }, keys: [KEY] }, 0)
    const store = open({ vault })
    const heard = await listenWhole(store)
    const { apps } = await contents()
    const { keys: _, ...withoutKeys } = apps['a'] ?? {}
    await putInPlace(textOf({ a: withoutKeys }))
    await until(() => heard.length > 0)
    expect(heard).toEqual(['changed a 1'])
    expect((await store.read('a'))?.keys).toEqual([])
  })

  it.each([
    ['nobody watches', false],
    ['somebody watches', true],
  ])('is read from then on, however similar both versions are, while %s', async (_, watched) => {
    await writeFile(path, textOf({ a: named('a', '000') }))
    const store = open()
    if (watched) await listenWhole(store)
    for (let edit = 100; edit < 200; edit += 1) {
      // With the same length, and often within one tick of the file system clock.
      await writeFile(path, textOf({ a: named('a', String(edit)) }))
      expect(await store.read('a')).toMatchObject({ policy: { name: String(edit) } })
    }
    await pause(2_100)
    expect(await store.read('a')).toMatchObject({ policy: { name: '199' } })
    await writeFile(path, textOf({ a: named('a', '200') }))
    expect(await store.read('a')).toMatchObject({ policy: { name: '200' } })
  })

  it('breaks the feed if it is invalid, and restores it with all changes when it is valid', async () => {
    const good = { a: named('a', 'A'), b: named('b', 'B') }
    await writeFile(path, textOf(good))
    const store = open()
    const heard = await listenWhole(store)
    // Atomically, like editors, because a half-written file would be reported as another error.
    const save = async (text: string): Promise<void> => {
      await writeFile(`${path}.new`, text)
      await rename(`${path}.new`, path)
    }
    await save(`${textOf(good)},`)
    await until(() => heard.length > 0, 1_000)
    expect(heard).toEqual(['broken'])
    expect(errors).toHaveLength(1)
    const late = listen(store)
    expect(late).toEqual(['broken'])
    await save(textOf({ ...good, b: named('b', 'other') }))
    await until(() => heard.length === 3, 1_000)
    expect(heard).toEqual(['broken', 'changed b 1', 'restored true'])
    expect(late).toEqual(heard)
    await rm(path)
    await until(() => heard.length === 4, 1_500)
    await save(textOf({ ...good, b: named('b', 'other') }))
    await until(() => heard.length === 5, 1_000)
    expect(heard.slice(3)).toEqual(['broken', 'restored true'])
    expect(errors).toHaveLength(2)
  })

  it('has no working feed before it was read, and then reports no earlier changes', async () => {
    const heard = listen(open())
    expect(heard).toEqual(['broken'])
    await pause(50)
    await writeFile(path, textOf({ a: named('a', 'A') }))
    await until(() => heard.length > 1)
    expect(heard).toEqual(['broken', 'restored false'])
  })

  it('may be an earlier version, whose revisions are valid again at once', async () => {
    const store = open({ create: true })
    const source = createPolicySource({ store })
    opened.push(source)
    await store.write({ policy: { appId: 'a', name: 'first' } }, 0)
    const earlier = await readFile(path, 'utf8')
    await store.write({ policy: { appId: 'a', name: 'second' } }, 1)
    await store.write({ policy: { appId: 'b' } }, 0)
    expect((await source.load('a'))?.revision).toBe(2)
    const heard = await listenWholeAgain(store)
    await putInPlace(earlier)
    await until(() => heard.length === 4)
    expect(heard).toEqual(['broken', 'changed a 1', 'changed b undefined', 'restored false'])
    expect((await source.load('a'))?.revision).toBe(1)
    expect(await source.load('b')).toBeNull()
    expect(await store.write({ policy: { appId: 'a' } }, 1)).toBe(2)
  })

  /** Listens to a feed that already runs, which does not notify later listeners of its state. */
  async function listenWholeAgain(store: FileStore): Promise<string[]> {
    const heard = listen(store)
    await store.read('a')
    heard.length = 0
    return heard
  }

  it('reports that all data was lost, so that known apps are not reported as unknown', async () => {
    const store = open({ create: true })
    for (const appId of ['a', 'b']) await store.write({ policy: { appId } }, 0)
    const source = createPolicySource({ store, maxStale: 60_000 })
    opened.push(source)
    expect((await source.load('a'))?.revision).toBe(1)
    await until(() => source.status().feed === 'whole')
    await putInPlace(textOf({}))
    await until(() => source.status().emptied)
    expect((await source.load('a'))?.revision).toBe(1)
    for (const appId of ['b', 'nobody']) await expect(source.load(appId)).rejects.toThrow(/acceptEmpty/)
    await store.write({ policy: { appId: 'b' } }, 0)
    expect((await source.load('b'))?.revision).toBe(1)
    source.acceptEmpty()
    for (const appId of ['a', 'nobody']) expect(await source.load(appId)).toBeNull()
  })

  it('reports no loss if the last app is removed through the store, or if there never was one', async () => {
    const store = open({ create: true })
    const source = createPolicySource({ store })
    opened.push(source)
    expect(await source.load('a')).toBeNull()
    await store.write({ policy: { appId: 'a' } }, 0)
    expect((await source.load('a'))?.revision).toBe(1)
    await store.remove('a', 1)
    expect(await source.load('a')).toBeNull()
    expect(source.status().emptied).toBe(false)
  })

  it('takes effect with the next request, with the same revision', async () => {
    const app = (mode: string): string => textOf({ a: { policy: { appId: 'a', serverOnly: { mode } } } })
    await writeFile(path, app('enforce'))
    const store = open()
    const source = createPolicySource({ store })
    opened.push(source)
    await until(() => source.status().feed === 'whole')
    await source.load('a')
    expect(source.peek('a')?.policy.serverOnly?.mode).toBe('enforce')
    await writeFile(path, app('report'))
    await until(() => source.peek('a') === undefined, 1_000)
    expect((await source.load('a'))?.policy.serverOnly?.mode).toBe('report')
    await writeFile(path, '{')
    await until(() => source.status().feed === 'broken', 1_000)
    expect(source.peek('a')?.policy.serverOnly?.mode).toBe('report')
    await expect(source.load('b')).rejects.toThrow(UnavailableError)
  })

  it('is not lost if a write is waiting', async () => {
    const store = open({ create: true })
    const lock = await lockFile(path)
    const written = store.write({ policy: { appId: 'a' } }, 0)
    await pause(100)
    await writeFile(path, textOf({ hand: named('hand', 'H') }))
    await lock.release()
    expect(await written).toBe(1)
    expect(Object.keys((await contents()).apps)).toEqual(['a', 'hand'])
  })

  it('is not lost during a write', async () => {
    // A large file, which takes a while to write.
    await writeFile(path, textOf({ bulk: { policy: 'x'.repeat(30_000_000) } }))
    const store = open()
    const written = store.write({ policy: { appId: 'a' } }, 0)
    await until(async () => {
      const [name] = await readdir(`${path}.lock`).catch(() => [])
      return name !== undefined && (await stat(join(`${path}.lock`, name))).size > 0
    })
    await putInPlace(textOf({ hand: named('hand', 'H') }))
    expect(await written).toBe(1)
    expect(Object.keys((await contents()).apps)).toEqual(['a', 'hand'])
  })

  it('finds apps by their current origins', async () => {
    const app = (appId: string, ...domains: string[]): object => ({
      policy: { appId, domainProtect: { mode: 'enforce', domains } },
    })
    await writeFile(path, textOf({ a: app('a', 'https://a.example'), bad: app('bad', 'no origin') }))
    const store = open()
    expect(await store.appsByOrigin?.('https://a.example')).toEqual(['a'])
    await writeFile(path, textOf({ a: app('a', 'https://b.example') }))
    expect(await store.appsByOrigin?.('https://a.example')).toEqual([])
    expect(await store.appsByOrigin?.('https://b.example')).toEqual(['a'])
  })
})

describe('a closed store', () => {
  it('notifies nobody, and still reads and writes', async () => {
    const store = open({ create: true })
    const heard = await listenWhole(store)
    store.close()
    expect(heard).toEqual(['broken'])
    await store.write({ policy: { appId: 'a' } }, 0)
    await putInPlace(textOf({ b: named('b', 'B') }))
    expect(await store.read('b')).toBeDefined()
    await pause(1_100)
    expect(heard).toEqual(['broken'])
  })

  it('can be watched again', async () => {
    const store = open({ create: true })
    await listenWhole(store)
    store.close()
    const heard = await listenWhole(store)
    await store.write({ policy: { appId: 'a' } }, 0)
    expect(heard).toEqual(['changed a 1'])
  })
})

describe('a write', () => {
  it('replaces the target of a symbolic link, and keeps link and mode', async () => {
    const target = join(directory, 'elsewhere', 'target.json')
    await mkdir(dirname(target))
    await writeFile(target, textOf({}))
    await chmod(target, 0o640)
    await symlink(target, path)
    const store = open()
    const heard = await listenWhole(store)
    await store.write({ policy: { appId: 'a' } }, 0)
    expect((await lstat(path)).isSymbolicLink()).toBe(true)
    expect((await stat(path)).mode & 0o777).toBe(0o640)
    expect(await readFile(target, 'utf8')).toContain('"a"')
    expect(await readdir(dirname(target))).toEqual(['target.json'])
    // A change outside the watched directory is noticed by polling.
    await appendFile(target, ' '.repeat(10))
    await putInPlace(textOf({ a: named('a', 'other') }), target)
    await until(() => heard.length === 2, 2_000)
    expect(heard).toEqual(['changed a 1', 'changed a 1'])
  })

  it('waits for the lock, and then reports it and writes nothing', async () => {
    const store = open({ create: true })
    const lock = await lockFile(path)
    const begun = performance.now()
    const write = store.write({ policy: { appId: 'a' } }, 0)
    await expect(write).rejects.toThrow(`${path}.lock`)
    await expect(write).rejects.toThrow(UnavailableError)
    expect(performance.now() - begun).toBeGreaterThan(1_900)
    expect(await store.read('a')).toBeUndefined()
    await lock.release()
    expect(await store.write({ policy: { appId: 'a' } }, 0)).toBe(1)
    expect(await leftovers()).toEqual([])
  })

  it('takes over a stale lock, whose holder can no longer write', async () => {
    const store = open({ create: true })
    const slept = await lockFile(path)
    await slept.prepare('{"apps":{"slept":{}}}')
    const [name = ''] = await readdir(`${path}.lock`)
    await makeOld(join(`${path}.lock`, name))
    expect(await store.write({ policy: { appId: 'a' } }, 0)).toBe(1)
    // Also if another store now has the lock.
    const other = await lockFile(path)
    await expect(slept.prepare('{}')).rejects.toThrow(/took it over/)
    await expect(slept.commit()).rejects.toThrow(/took it over/)
    await slept.release()
    await other.prepare(textOf({ other: {} }))
    await other.commit()
    expect(Object.keys((await contents()).apps)).toEqual(['other'])
    expect(await leftovers()).toEqual([])
  })

  it('respects the lock of another store, even next to a stale one', async () => {
    const store = open({ create: true })
    await mkdir(`${path}.lock`)
    for (const name of ['fresh', 'left behind']) await writeFile(join(`${path}.lock`, name), '')
    await makeOld(join(`${path}.lock`, 'left behind'))
    await expect(store.write({ policy: { appId: 'a' } }, 0)).rejects.toThrow(/another process holds/)
    expect(await readdir(`${path}.lock`)).toEqual(['fresh'])
  })

  it('has one winner if many take over the same lock', async () => {
    for (let round = 0; round < 10; round += 1) {
      await writeFile(path, '0')
      await mkdir(`${path}.lock`)
      await writeFile(join(`${path}.lock`, 'left behind'), '')
      await makeOld(join(`${path}.lock`, 'left behind'))
      await Promise.all(
        Array.from({ length: 10 }, async () => {
          const lock = await lockFile(path)
          await lock.prepare(String(Number(await readFile(path, 'utf8')) + 1))
          await lock.commit()
        }),
      )
      expect(await readFile(path, 'utf8')).toBe('10')
    }
    expect(await leftovers()).toEqual([])
  })

  it('removes only old files that others left behind', async () => {
    const old = ['policies.json.0123456789abcdef.tmp', 'policies.json.0123456789abcdee.tmp']
    const kept = ['policies.json.0123456789abcded.tmp', 'policies.json.bak.tmp', 'x.0123456789abcdef.tmp']
    const store = open({ create: true })
    await mkdir(join(directory, old[0] as string))
    await writeFile(join(directory, old[0] as string, 'inside'), '')
    for (const name of [old[1] as string, ...kept]) await writeFile(join(directory, name), '')
    for (const name of [...old, ...kept.slice(1)]) await makeOld(join(directory, name))
    await store.write({ policy: { appId: 'a' } }, 0)
    expect((await leftovers()).toSorted()).toEqual(kept.toSorted())
  })

  it('does not change a protected file, or a file in a protected directory', async () => {
    await writeFile(path, textOf({ a: named('a', 'A') }))
    const text = await readFile(path)
    const store = open()
    const refused = async (): Promise<void> => {
      const write = store.write({ policy: { appId: 'a' } }, 1)
      await expect(write).rejects.toThrow(/policies\.json` cannot be written: EACCES/)
      await expect(write).rejects.toThrow(UnavailableError)
      expect(await leftovers()).toEqual([])
      expect(await readFile(path)).toEqual(text)
      expect(await store.read('a')).toBeDefined()
    }
    await chmod(path, 0o444)
    await chmod(directory, 0o777)
    await withoutPrivilege(refused)
    await chmod(path, 0o666)
    await chmod(directory, 0o555)
    await withoutPrivilege(refused)
    await chmod(directory, 0o777)
    await withoutPrivilege(() => store.write({ policy: { appId: 'a' } }, 1))
    expect(await store.read('a')).toMatchObject({ revision: 2 })
  })

  /** Runs the work without root privileges, because file modes do not restrict root. */
  async function withoutPrivilege(work: () => Promise<unknown>): Promise<void> {
    const nobody = 65_534
    if (isRoot) process.seteuid?.(nobody)
    try {
      await work()
    } finally {
      if (isRoot) process.seteuid?.(0)
    }
  }
})

describe('several writers', () => {
  it('lose nothing as stores of one process', async () => {
    const stores = [open({ create: true }), open(), open()]
    const heard = await Promise.all(stores.map(listenWhole))
    await Promise.all(
      stores.flatMap((store, writer) =>
        Array.from({ length: 10 }, (_, app) => store.write({ policy: { appId: `app-${writer}-${app}` } }, 0)),
      ),
    )
    expect(Object.keys((await contents()).apps)).toHaveLength(30)
    for (const one of heard) await until(() => new Set(one).size === 30)
    const claims = await Promise.allSettled(stores.map((store) => store.write({ policy: { appId: 'x' } }, 0)))
    expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(await leftovers()).toEqual([])
  })
})

it('a ConfigError of the store shows the path, which is not secret', () => {
  expect(() => fileStore('/nowhere/at/all.json')).toThrow(ConfigError)
  expect(() => fileStore('/nowhere/at/all.json')).toThrow('/nowhere/at/all.json')
})
