import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ConfigError, diskSnapshot, UnavailableError, type PolicySnapshot } from 'portcullis'
import type { SnapshotEntry } from 'portcullis'
import { createVault } from 'portcullis/vault'

const DAY = 86_400_000
const SECRET = randomBytes(32).toString('base64')
const sealingKey = (id: string) => ({ id, key: randomBytes(32) })
const vaultKey = sealingKey('2026-11')
const vault = createVault({ keys: [vaultKey] })

function entryOf(appId: string, revision = 1, readAt = Date.now()): SnapshotEntry {
  return {
    app: {
      policy: { appId, ipWhitelist: { mode: 'enforce', lists: ['offices'] } },
      revision,
      keys: [{ id: 'server', algorithm: 'hmac-sha256', secret: SECRET }],
    },
    readAt,
  }
}

const nameOf = (appId: string): string => createHash('sha256').update(appId).digest('hex')

/** Waits for the next millisecond of the clock. */
async function tick(): Promise<void> {
  for (const now = Date.now(); Date.now() === now;) await pause(1)
}

let home: string
let directory: string
let opened: PolicySnapshot[]
let errors: { error: UnavailableError; appId: string | undefined }[]

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'portcullis-snapshot-'))
  directory = join(home, 'snapshot')
  opened = []
  errors = []
})

afterEach(async () => {
  await Promise.all(opened.map((snapshot) => snapshot.flush()))
  await rm(home, { recursive: true })
})

function open(options: object = {}): PolicySnapshot {
  const snapshot = diskSnapshot({
    directory,
    vault,
    onError: (error, appId) => errors.push({ error, appId }),
    ...options,
  })
  opened.push(snapshot)
  return snapshot
}

/** The data that a newly started process finds. */
function afterRestart(appId: string, maxAge = 60_000): Promise<SnapshotEntry | undefined> {
  return open().find(appId, maxAge)
}

async function keepOnDisk(...appIds: string[]): Promise<PolicySnapshot> {
  const snapshot = open()
  for (const appId of appIds) snapshot.keep(appId, entryOf(appId))
  await snapshot.flush()
  return snapshot
}

describe('diskSnapshot', () => {
  it('finds stored data unchanged after a restart', async () => {
    const entry = entryOf('a')
    const first = open()
    first.keep('a', entry)
    expect(await first.find('a', 60_000)).toEqual(entry)
    await first.flush()
    expect(await first.find('a', 60_000)).toEqual(entry)
    expect(await afterRestart('a')).toEqual(entry)
    expect(await afterRestart('b')).toBeUndefined()
    expect(errors).toEqual([])
  })

  it('stores documents with names of prototype members', async () => {
    const policy: unknown = JSON.parse('{"appId":"a","__proto__":{"off":true}}')
    const snapshot = open()
    snapshot.keep('a', { app: { policy, revision: 1, keys: [] }, readAt: Date.now() })
    await snapshot.flush()
    const found = await afterRestart('a')
    expect(JSON.stringify(found?.app.policy)).toBe(JSON.stringify(policy))
  })

  it('distinguishes apps whose ids differ only in case', async () => {
    await keepOnDisk('App', 'app')
    expect((await afterRestart('App'))?.app.policy).toMatchObject({ appId: 'App' })
    expect((await afterRestart('app'))?.app.policy).toMatchObject({ appId: 'app' })
  })

  it('opens data sealed with an earlier key of the ring', async () => {
    await keepOnDisk('a')
    const rotated = open({ vault: createVault({ keys: [sealingKey('2026-12'), vaultKey] }) })
    expect(await rotated.find('a', 60_000)).toBeDefined()
  })

  const ages: [string, number, number, boolean][] = [
    ['finds what was read just now', 0, 60_000, true],
    ['finds what was read within the age', 30_000, 60_000, true],
    ['finds nothing older than the age', 60_001, 60_000, false],
    ['finds nothing that is to be of no age', 1, 0, false],
    ['finds nothing from the future', -10_000, 60_000, false],
    ['finds nothing for an age that is no number', 0, NaN, false],
  ]
  for (const [title, age, maxAge, found] of ages) {
    it(`${title}, whether it is queued or on disk`, async () => {
      const snapshot = open()
      snapshot.keep('a', entryOf('a', 1, Date.now() - age))
      expect((await snapshot.find('a', maxAge)) !== undefined).toBe(found)
      await snapshot.flush()
      expect((await snapshot.find('a', maxAge)) !== undefined).toBe(found)
    })
  }

  it('ignores data with an invalid time', async () => {
    for (const readAt of [NaN, Infinity, undefined as never]) {
      const snapshot = open()
      snapshot.keep('a', { ...entryOf('a'), readAt })
      expect(await snapshot.find('a', Infinity)).toBeUndefined()
      await snapshot.flush()
      expect(await afterRestart('a', Infinity)).toBeUndefined()
    }
  })
})

describe('the contents of the directory', () => {
  it('are readable only by the owner', async () => {
    await keepOnDisk('a')
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
    expect((await stat(join(directory, nameOf('a')))).mode & 0o777).toBe(0o600)
  })

  it('reveal no app id, key or document', async () => {
    await keepOnDisk('the-payroll-app', 'another-app')
    const names = await readdir(directory)
    expect(names).toHaveLength(2)
    for (const name of names) {
      const text = `${name}\n${await readFile(join(directory, name), 'utf8')}`
      for (const plain of ['payroll', 'another', SECRET, '192.0.2.0', 'ipWhitelist', 'offices']) {
        expect(text).not.toContain(plain)
        expect(Buffer.from(text.split(':').at(-1) ?? '', 'base64url').toString('latin1')).not.toContain(plain)
      }
    }
  })
})

describe('damage', () => {
  const path = (appId: string): string => join(directory, nameOf(appId))
  const text = (): Promise<string> => readFile(path('a'), 'utf8')
  const plain = JSON.stringify({ form: 1, readAt: Date.now(), app: entryOf('a').app })
  const inItsPlace = async (make: () => Promise<unknown>): Promise<void> => {
    await rm(path('a'))
    await make()
  }

  const kinds: [string, () => Promise<unknown>][] = [
    ['is empty', () => writeFile(path('a'), '')],
    ['lacks its end', async () => writeFile(path('a'), (await text()).slice(0, -1))],
    ['lacks most of it', async () => writeFile(path('a'), (await text()).slice(0, 20))],
    [
      'has a bit flipped',
      async () => {
        const bytes = await readFile(path('a'))
        bytes[60] = (bytes[60] ?? 0) ^ 1
        await writeFile(path('a'), bytes)
      },
    ],
    ['has a line more', async () => writeFile(path('a'), `${await text()}\n`)],
    ['is the file of another app', () => copyFile(path('b'), path('a'))],
    [
      'was sealed by a key that is not in the ring',
      () => writeFile(path('a'), createVault({ keys: [sealingKey('x')] }).seal(plain, 'snapshot:a')),
    ],
    [
      'was sealed by another key of the same id',
      () => writeFile(path('a'), createVault({ keys: [sealingKey(vaultKey.id)] }).seal(plain, 'snapshot:a')),
    ],
    ['was sealed for something else', () => writeFile(path('a'), vault.seal(plain, 'a'))],
    ['is plain JSON', () => writeFile(path('a'), plain)],
    ['holds no JSON', () => writeFile(path('a'), vault.seal('SECRET', 'snapshot:a'))],
    ['holds null', () => writeFile(path('a'), vault.seal('null', 'snapshot:a'))],
    [
      'is of another version',
      () => writeFile(path('a'), vault.seal(plain.replace('"form":1', '"form":2'), 'snapshot:a')),
    ],
    ['is a directory', () => inItsPlace(() => mkdir(path('a')))],
    ['is a pipe', () => inItsPlace(() => promisify(execFile)('mkfifo', [path('a')]))],
    [
      'is a link to a whole one',
      async () => {
        await rename(path('a'), join(home, 'a'))
        await symlink(join(home, 'a'), path('a'))
      },
    ],
    ['is a link to itself', () => inItsPlace(() => symlink(path('a'), path('a')))],
    ['is a link to what never ends', () => inItsPlace(() => symlink('/dev/zero', path('a')))],
  ]
  for (const [kind, damage] of kinds) {
    it(`a file that ${kind} is ignored, and reported without its contents`, async () => {
      await keepOnDisk('a', 'b')
      await damage()
      expect(await afterRestart('a')).toBeUndefined()
      expect(errors).toEqual([{ error: expect.any(UnavailableError), appId: 'a' }])
      expect(`${String(errors[0]?.error)} ${String(errors[0]?.error.cause)}`).not.toMatch(/SECRET|offices/)
      expect(await afterRestart('b')).toBeDefined()
    })
  }

  it('is repaired by the next write', async () => {
    await keepOnDisk('a')
    await writeFile(path('a'), 'damaged')
    await keepOnDisk('a')
    expect(await afterRestart('a')).toBeDefined()
  })

  it('a link instead of a file is replaced, and its target is not changed', async () => {
    await mkdir(directory)
    const elsewhere = join(home, 'elsewhere')
    await writeFile(elsewhere, 'untouched')
    await symlink(elsewhere, path('a'))
    await keepOnDisk('a')
    expect(await readFile(elsewhere, 'utf8')).toBe('untouched')
    expect(await afterRestart('a')).toBeDefined()
  })
})

describe('order', () => {
  it('a thousand writes of one app end with the last', async () => {
    const snapshot = open()
    for (let revision = 1; revision <= 1_000; revision += 1) {
      snapshot.keep('a', entryOf('a', revision))
      if (revision % 100 === 0) await pause(1)
    }
    await snapshot.flush()
    expect((await afterRestart('a'))?.app.revision).toBe(1_000)
    expect(await readdir(directory)).toEqual([nameOf('a')])
  })

  it('a deletion cancels a write at any stage', async () => {
    await keepOnDisk('a')
    for (let turns = 0; turns < 40; turns += 1) {
      const snapshot = open()
      snapshot.keep('a', entryOf('a', turns))
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
      snapshot.forget('a')
      expect(await snapshot.find('a', 60_000)).toBeUndefined()
      await snapshot.flush()
      expect(await readdir(directory)).toEqual([])
    }
  })

  it('a write cancels a deletion at any stage', async () => {
    for (let turns = 0; turns < 40; turns += 1) {
      const snapshot = await keepOnDisk('a')
      snapshot.forget('a')
      for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
      snapshot.keep('a', entryOf('a', 2 + turns))
      expect((await snapshot.find('a', 60_000))?.app.revision).toBe(2 + turns)
      await snapshot.flush()
      expect((await afterRestart('a'))?.app.revision).toBe(2 + turns)
    }
  })

  it('data deleted during a read is not found', async () => {
    for (let turns = 0; turns < 10; turns += 1) {
      const snapshot = await keepOnDisk('a')
      const finding = snapshot.find('a', 60_000)
      snapshot.forget('a')
      await Promise.race([snapshot.flush(), pause(turns)])
      expect(await finding).toBeUndefined()
    }
  })

  it('deleted data is never found, even while its successor is being written', async () => {
    const snapshot = await keepOnDisk('a')
    for (let revision = 2; revision < 50; revision += 1) {
      snapshot.forget('a')
      snapshot.keep('a', entryOf('a', revision))
      const flushed = snapshot.flush().then(() => 'flushed')
      do expect((await snapshot.find('a', 60_000))?.app.revision).toBe(revision)
      while ((await Promise.race([flushed, new Promise(setImmediate)])) !== 'flushed')
    }
  })

  it('a flush waits for earlier operations, not for later ones', async () => {
    const snapshot = open()
    snapshot.keep('a', entryOf('a'))
    const flushed = snapshot.flush()
    const later = setInterval(() => snapshot.keep(`later-${Math.random()}`, entryOf('later')), 0)
    await flushed
    clearInterval(later)
    expect(await afterRestart('a')).toBeDefined()
  })

  it('keeps the apps of several processes in one directory', async () => {
    await Promise.all(Array.from({ length: 10 }, (_, index) => keepOnDisk('shared', `app-${index}`)))
    expect(await afterRestart('shared')).toBeDefined()
    expect(await readdir(directory)).toHaveLength(11)
    expect(errors).toEqual([])
  })
})

describe('too many operations at once', () => {
  it('drop the newest write, and report it', async () => {
    const snapshot = open({ maxPending: 2 })
    for (const appId of ['a', 'b', 'c', 'a']) snapshot.keep(appId, entryOf(appId))
    expect(errors).toEqual([{ error: expect.any(UnavailableError), appId: 'c' }])
    await snapshot.flush()
    expect(await afterRestart('a')).toBeDefined()
    expect(await afterRestart('b')).toBeDefined()
    expect(await afterRestart('c')).toBeUndefined()
  })

  it('delete everything rather than fail to delete one', async () => {
    await keepOnDisk('a', 'b')
    const snapshot = open({ maxPending: 1 })
    const finding = snapshot.find('a', 60_000)
    snapshot.forget('z')
    snapshot.forget('a')
    expect(errors).toEqual([{ error: expect.any(UnavailableError), appId: 'a' }])
    expect(await finding).toBeUndefined()
    expect(await snapshot.find('a', 60_000)).toBeUndefined()
    expect(await snapshot.find('b', 60_000)).toBeUndefined()
    await snapshot.flush()
    expect(await readdir(directory)).toEqual([])
    await tick()
    snapshot.keep('a', entryOf('a', 2))
    expect((await snapshot.find('a', 60_000))?.app.revision).toBe(2)
    await snapshot.flush()
    expect((await afterRestart('a'))?.app.revision).toBe(2)
  })
})

describe('a disk that refuses', () => {
  /** Replaces the directory with a file, which makes writes fail even for root. */
  async function block(): Promise<void> {
    await rename(directory, join(home, 'aside')).catch(() => undefined)
    await writeFile(directory, '')
  }
  async function unblock(): Promise<void> {
    await rm(directory)
    await rename(join(home, 'aside'), directory)
  }

  it('is reported at once and at every write, without throwing', async () => {
    await block()
    const snapshot = open()
    await snapshot.flush()
    expect(errors).toEqual([{ error: expect.any(UnavailableError), appId: undefined }])
    snapshot.keep('a', entryOf('a'))
    await snapshot.flush()
    expect(errors).toHaveLength(2)
    expect(errors[1]?.appId).toBe('a')
    expect(errors[1]?.error.message).toMatch(/^the app was not kept: E[A-Z]+$/)
    expect(errors[1]?.error.cause).toBeUndefined()
    expect(await snapshot.find('a', 60_000)).toBeUndefined()
  })

  it('loses no existing data: the next write is the next attempt', async () => {
    const snapshot = await keepOnDisk('a')
    await block()
    snapshot.keep('a', entryOf('a', 2))
    await snapshot.flush()
    await unblock()
    expect((await snapshot.find('a', 60_000))?.app.revision).toBe(1)
    snapshot.keep('a', entryOf('a', 3))
    await snapshot.flush()
    expect((await afterRestart('a'))?.app.revision).toBe(3)
    expect(await readdir(directory)).toEqual([nameOf('a')])
  })

  it('makes data that it did not remove unavailable', async () => {
    const snapshot = await keepOnDisk('a')
    await block()
    snapshot.forget('a')
    await snapshot.flush()
    await unblock()
    expect(await readdir(directory)).toEqual([nameOf('a')])
    expect(await snapshot.find('a', 60_000)).toBeUndefined()
    await tick()
    snapshot.keep('a', entryOf('a', 2))
    await snapshot.flush()
    expect((await snapshot.find('a', 60_000))?.app.revision).toBe(2)
  })

  it('leaves nothing of deleted data if the successor cannot be written', async () => {
    const snapshot = await keepOnDisk('a')
    snapshot.forget('a')
    snapshot.keep('a', { ...entryOf('a', 2), app: { policy: 1n, revision: 2, keys: [] } })
    await snapshot.flush()
    expect(errors).toEqual([{ error: new UnavailableError('the app was not kept: TypeError'), appId: 'a' }])
    expect(await readdir(directory)).toEqual([])
  })

  it('leaves no temporary files', async () => {
    await mkdir(join(directory, nameOf('a')), { recursive: true })
    await keepOnDisk('a')
    expect(errors).toEqual([{ error: expect.any(UnavailableError), appId: 'a' }])
    expect(await readdir(directory)).toEqual([nameOf('a')])
  })

  it('recovers with the next write if only the directory was removed', async () => {
    const snapshot = await keepOnDisk('a')
    await rm(directory, { recursive: true })
    expect(await snapshot.find('a', 60_000)).toBeUndefined()
    snapshot.keep('a', entryOf('a'))
    await snapshot.flush()
    expect(await afterRestart('a')).toBeDefined()
    expect(errors).toEqual([])
  })

  it('is not affected by a listener that throws, or by invalid calls', async () => {
    const snapshot = open({
      maxPending: 2,
      onError() {
        throw new Error('listener')
      },
    })
    snapshot.keep('a', {} as never)
    snapshot.keep(7 as never, entryOf('a'))
    snapshot.forget('c')
    snapshot.keep('d', entryOf('d'))
    await snapshot.flush()
    expect(await snapshot.find(undefined as never, 60_000)).toBeUndefined()
    await tick()
    snapshot.keep('b', entryOf('b'))
    await snapshot.flush()
    expect(await snapshot.find('b', 60_000)).toBeDefined()
  })
})

describe('cleaning up', () => {
  const fileOf = (char: string): string => char.repeat(64)
  async function put(name: string, age: number): Promise<void> {
    await mkdir(directory, { recursive: true })
    const at = new Date(Date.now() - age)
    await writeFile(join(directory, name), '')
    await utimes(join(directory, name), at, at)
  }

  it('removes old files and files from the future at the start, and no foreign files', async () => {
    const foreign = ['notes.txt', `${fileOf('a')}.bak`, fileOf('A'), `x${fileOf('a')}`, fileOf('a').slice(1)]
    const temporary = (char: string): string => `${fileOf(char)}.${'0'.repeat(16)}.tmp`
    for (const name of foreign) await put(name, DAY)
    for (const name of [fileOf('b'), temporary('b')]) await put(name, DAY)
    for (const name of [fileOf('c'), temporary('c')]) await put(name, 60_000)
    await put(fileOf('d'), -DAY)
    await mkdir(join(directory, fileOf('e')))
    await utimes(join(directory, fileOf('e')), new Date(0), new Date(0))
    await open().flush()
    const left = [...foreign, fileOf('c'), temporary('c'), fileOf('e')]
    expect((await readdir(directory)).toSorted()).toEqual(left.toSorted())
    expect(errors).toEqual([])
  })

  it('removes files when they become old, and then stops', async () => {
    const snapshot = open({ retention: 100 })
    snapshot.keep('a', entryOf('a'))
    await snapshot.flush()
    expect(await readdir(directory)).toEqual([nameOf('a')])
    for (let waited = 0; waited < 100 && (await readdir(directory)).length > 0; waited += 1) await pause(50)
    expect(await readdir(directory)).toEqual([])
    await snapshot.flush()
    await rm(directory, { recursive: true })
    await pause(300)
    expect(errors).toEqual([])
  })
})

it('does not keep the process alive', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timers()
  await keepOnDisk('a')
  expect(timers()).toBe(before)
})

describe('options', () => {
  const wrong: [object | undefined, RegExp][] = [
    [undefined, /`diskSnapshot` takes an object with at least `directory`, `vault`, got undefined/],
    [{ vault }, /`diskSnapshot.directory` is missing: give the path of a directory/],
    [{ vault, directory: '' }, /`diskSnapshot.directory`/],
    [{ vault, directory: 7 }, /`diskSnapshot.directory`/],
    [{ vault, directory: 'a\0b' }, /`diskSnapshot.directory`/],
    [{ directory: 'x' }, /`diskSnapshot.vault` is missing: give a vault made by createVault\(\)/],
    [{ directory: 'x', vault: 'SECRET' }, /`diskSnapshot.vault` .*not shown/],
    [{ directory: 'x', vault: { seal() {} } }, /`diskSnapshot.vault`/],
    [
      { directory: 'x', vault, retention: 0 },
      /`diskSnapshot.retention` must be a whole number of milliseconds/,
    ],
    [{ directory: 'x', vault, maxPending: 0 }, /`diskSnapshot.maxPending` must be a whole number of apps/],
    [{ directory: 'x', vault, onError: 'log' }, /`diskSnapshot.onError` must be a function/],
    [{ directory: 'x', vault, maxAge: 1 }, /diskSnapshot: unknown option `maxAge`/],
  ]
  for (const [options, message] of wrong) {
    it(`refuses ${String(message)}`, () => {
      expect(() => diskSnapshot(options as never)).toThrow(message)
      expect(() => diskSnapshot(options as never)).toThrow(ConfigError)
      expect(() => diskSnapshot(options as never)).not.toThrow(/SECRET/)
    })
  }
})
