import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFile,
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import {
  createPolicySource,
  fileStore,
  parseList,
  UnavailableError,
  UnreadableError,
  type FileStore,
  type ListEntry,
  type PolicySource,
} from 'portcullis'
import type { FileStoreOptions } from '../../../../src/store/file/store.ts'
import { namedListContract } from 'portcullis/testing'
import { createVault } from 'portcullis/vault'
import { decideIpWhitelist } from '../../../../src/guards/ip-whitelist.ts'
import { parseIp } from '../../../../src/match/ip.ts'
import { compiled } from '../../../support/compiled.ts'

let directory: string
let path: string
let opened: FileStore[]

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'file-lists-'))
  path = join(directory, 'policies.json')
  opened = []
})

afterEach(async () => {
  for (const store of opened) store.close()
  await rm(directory, { recursive: true })
})

function open(options: FileStoreOptions = {}): FileStore {
  const store = fileStore(path, { create: true, ...options })
  opened.push(store)
  return store
}

namedListContract('file', { describe, it }, async () => ({ store: open(), dispose: () => undefined }))

const fileOf = (name: string): string => join(`${path}.lists`, `${name}.txt`)

/** Replaces the file of a list, like a person without our tools. */
async function edit(name: string, text: string | Buffer): Promise<void> {
  await mkdir(`${path}.lists`, { recursive: true })
  await writeFile(`${fileOf(name)}.new`, text)
  await rename(`${fileOf(name)}.new`, fileOf(name))
}

async function entriesOf(store: FileStore, name: string): Promise<ListEntry[]> {
  const entries: ListEntry[] = []
  for await (const piece of (await store.readList(name))?.chunks() ?? []) entries.push(...piece)
  return entries
}

/** The calls of a listener for lists, in order. */
function listen(store: FileStore): string[] {
  const heard: string[] = []
  store.watch?.({
    changed: () => undefined,
    listChanged: (name, revision) => heard.push(`${name} ${revision}`),
    broken: () => undefined,
    restored: () => undefined,
  })
  return heard
}

async function until(holds: () => boolean | Promise<boolean>, within = 30_000): Promise<void> {
  for (let passed = 0; !(await holds()); passed += 5) {
    if (passed > within) throw new Error(`not so within ${within} ms: ${String(holds)}`)
    await pause(5)
  }
}

const NOTED: readonly ListEntry[] = [
  { range: '192.0.2.0/24', note: 'head office' },
  { range: '198.51.100.7', note: '{"not": "details"}', owner: 'ada', expires: '2030-01-31T12:00:00Z' },
  { range: '2001:db8::/32' },
]

describe('the file of a list', () => {
  it('is next to the policies, with the same permissions, in the text format of parseList', async () => {
    const store = open()
    await chmod(path, 0o640)
    await store.writeList('office', NOTED, 0, { author: 'ada' })
    const text = await readFile(fileOf('office'), 'utf8')
    expect([...parseList(text, 'text')]).toEqual(NOTED)
    const [first, second, third] = text.split('\n')
    expect(first).toMatch(/^#portcullis \{"revision":1,.*"author":"ada"\}$/)
    expect([second, third]).toEqual(['', '192.0.2.0/24 # head office'])
    expect((await stat(fileOf('office'))).mode & 0o777).toBe(0o640)
    expect((await stat(`${path}.lists`)).mode & 0o777).toBe(0o750)
    expect(await readdir(`${path}.lists`)).toEqual(['office.txt'])
  })

  it('keeps its mode when it is written again, and remains a symbolic link if it is one', async () => {
    const store = open()
    await edit('office', '192.0.2.1\n')
    await chmod(fileOf('office'), 0o604)
    await rename(fileOf('office'), join(directory, 'elsewhere.txt'))
    await symlink(join(directory, 'elsewhere.txt'), fileOf('office'))
    expect(await store.writeList('office', NOTED, 1)).toBe(2)
    expect((await stat(join(directory, 'elsewhere.txt'))).mode & 0o777).toBe(0o604)
    expect(await readFile(join(directory, 'elsewhere.txt'), 'utf8')).toContain('192.0.2.0/24')
    expect(await entriesOf(store, 'office')).toEqual(NOTED)
  })

  for (const name of ['.', '..', 'a:b', '-', 'x'.repeat(128), 'office.txt', 'constructor']) {
    it(`can have the name ${name.slice(0, 20)}`, async () => {
      const store = open()
      await store.writeList(name, NOTED, 0)
      expect((await store.lists()).map((list) => list.name)).toEqual([name])
      expect(await entriesOf(open(), name)).toEqual(NOTED)
      expect((await readdir(directory)).sort()).toEqual(['policies.json', 'policies.json.lists'])
    })
  }

  it('encrypts author and note of a change if there is a vault, but not the entries', async () => {
    const vault = createVault({ keys: [{ id: 'k', key: randomBytes(32) }] })
    const store = open({ vault })
    await store.writeList('office', NOTED, 0, { author: 'ada', note: 'a secret reason' })
    expect(await readFile(fileOf('office'), 'utf8')).not.toContain('secret')
    expect(await store.lists()).toMatchObject([{ author: 'ada', note: 'a secret reason', size: 3 }])
    await expect(open().lists()).rejects.toBeInstanceOf(UnreadableError)
    expect(await entriesOf(open(), 'office')).toEqual(NOTED)
  })

  it('continues to count in other processes after a removal', async () => {
    const store = open()
    await store.writeList('office', NOTED, 0)
    await store.removeList('office', 1)
    const other = open()
    expect([await other.readList('office'), await other.lists()]).toEqual([undefined, []])
    expect(await other.writeList('office', NOTED, 0)).toBe(3)
  })
})

describe('a list that is edited by hand', () => {
  const texts: [string, string | Buffer, readonly ListEntry[]][] = [
    [
      'without our first line',
      '# partners\n\n192.0.2.1 # one\n2001:db8::/32\n',
      [{ range: '192.0.2.1', note: 'one' }, { range: '2001:db8::/32' }],
    ],
    [
      'with CRLF and a byte order mark',
      '\uFEFF192.0.2.1\r\n\r\n192.0.2.2',
      [{ range: '192.0.2.1' }, { range: '192.0.2.2' }],
    ],
    ['that is empty', '', []],
    [
      'whose characters lie across the parts in which it is read',
      `${'# ü\n'.repeat(9_000)}\n192.0.2.1 # ${'語'.repeat(256)}\n`.repeat(3),
      Array.from({ length: 3 }, () => ({ range: '192.0.2.1', note: '語'.repeat(256) })),
    ],
  ]
  for (const [what, text, entries] of texts) {
    it(`is read ${what}`, async () => {
      const store = open()
      await edit('office', text)
      expect(await entriesOf(store, 'office')).toEqual(entries)
      expect(await store.readList('office')).toMatchObject({ revision: 1, size: entries.length })
      expect(await store.lists()).toMatchObject([{ name: 'office', revision: 1, size: entries.length }])
      expect(await store.writeList('office', NOTED, 1)).toBe(2)
    })
  }

  it('keeps its revision, also with a byte order mark and CRLF, and reports its new size', async () => {
    const store = open()
    await store.writeList('office', NOTED, 0)
    await store.writeList('office', NOTED, 1)
    const text = await readFile(fileOf('office'), 'utf8')
    await edit('office', `\uFEFF${text.replaceAll('\n', '\r\n')}192.0.2.9\r\n`)
    expect(await store.readList('office')).toMatchObject({ revision: 2, size: 4 })
    expect((await entriesOf(store, 'office')).at(-1)).toEqual({ range: '192.0.2.9' })
    expect(await store.writeList('office', NOTED, 2)).toBe(3)
  })

  const bad: [string, string | Buffer, string][] = [
    ['a line is no entry', `192.0.2.0/24\n${'\n'.repeat(40_000)}10.0.0.1/8\n`, 'not an entry: line 40002'],
    ['a line below our own is none', '#portcullis {"revision":2}\n\n192.0.2.1\nx\n', 'not an entry: line 4'],
    [
      'many lines are none',
      'x\n'.repeat(1_000),
      'not an entry: line 1, line 2, line 3, line 4, line 5 and 95 more',
    ],
    ['it is not UTF-8', Buffer.from('192.0.2.1 # Z\xfcrich\n', 'latin1'), 'it is not UTF-8'],
    ['a line does not end', `192.0.2.1 # ${'x'.repeat(200_000)}`, 'a line is too long to be an entry'],
    [
      'our first line is damaged',
      '#portcullis {"revision":2\n\n192.0.2.1\n',
      'its first line, which the store has written, is damaged',
    ],
    [
      'our first line is another',
      '#portcullis {"revision":0}\n\n192.0.2.1\n',
      'its first line, which the store has written, has an unknown format',
    ],
  ]
  for (const [what, text, message] of bad) {
    it(`is unreadable, like its apps, if ${what}`, async () => {
      const store = open()
      await store.write({ policy: { appId: 'a', ipWhitelist: { mode: 'enforce', lists: ['office'] } } }, 0)
      await edit('office', text)
      const error: unknown = await entriesOf(store, 'office').catch((caught: unknown) => caught)
      expect(error).toBeInstanceOf(UnreadableError)
      expect((error as Error).message).toBe(
        `the list file \`${fileOf('office')}\` cannot be read: ${message}`,
      )
      const source = createPolicySource({ store })
      await expect(source.load('a')).rejects.toBeInstanceOf(UnreadableError)
      source.close()
    })
  }

  it('is unreadable if it is a directory, and unavailable if the process lacks permission', async () => {
    const store = open()
    await mkdir(fileOf('folder'), { recursive: true })
    await expect(store.readList('folder')).rejects.toBeInstanceOf(UnreadableError)
    // A link to itself fails even for root, which file modes do not restrict.
    await symlink(fileOf('closed'), fileOf('closed'))
    const error: unknown = await store.readList('closed').catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error).not.toBeInstanceOf(UnreadableError)
  })

  const much = (last: number): string =>
    Array.from(
      { length: 40_000 },
      (_, index) => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}\n`,
    ).join('') + `192.0.2.${last}\n`

  it('is unavailable if it is replaced between reading its attributes and its entries', async () => {
    const store = open()
    await edit('office', '192.0.2.1\n')
    const found = await store.readList('office')
    await writeFile(fileOf('next'), '192.0.2.2\n')
    await rename(fileOf('next'), fileOf('office'))
    const reading = (async () => {
      for await (const _ of found?.chunks() ?? []);
    })()
    await expect(reading).rejects.toThrow(/replaced while it was read/)
    await expect(reading).rejects.not.toBeInstanceOf(UnreadableError)
  })

  it('has a new version at each read, as long as a change could leave its timestamps unchanged', async () => {
    const store = open()
    await edit('office', '192.0.2.1\n')
    const versions = [(await store.readList('office'))?.version, (await store.readList('office'))?.version]
    expect(versions).toEqual([expect.any(String), expect.any(String)])
    expect(versions[0]).not.toBe(versions[1])
  })

  it('must be a file, because a device or a pipe would be an empty list, which refuses nobody', async () => {
    const store = open()
    await mkdir(`${path}.lists`)
    await symlink('/dev/null', fileOf('device'))
    await once(spawn('mkfifo', [fileOf('pipe')]), 'close')
    await mkdir(fileOf('folder'))
    for (const name of ['device', 'pipe', 'folder'])
      await expect(entriesOf(store, name)).rejects.toBeInstanceOf(UnreadableError)
  })

  it('is unavailable if it changes while its entries are read', async () => {
    const store = open()
    await edit('office', much(1))
    const chunks = (await store.readList('office'))?.chunks()[Symbol.asyncIterator]()
    await chunks?.next()
    await appendFile(fileOf('office'), '192.0.2.2\n')
    const rest = (async () => {
      while ((await chunks?.next())?.done !== true);
    })()
    await expect(rest).rejects.toThrow(/replaced while it was read/)
  })

  it('is not read while somebody writes it, because an empty one would refuse nobody', async () => {
    const store = open()
    // On a busy machine, a pause may look like the end of the edit. The edit is then repeated.
    let longest = Infinity
    let sizes: (number | undefined)[] = []
    while (longest > 50) {
      await edit('office', '192.0.2.1\n')
      sizes = []
      await writeFile(fileOf('office'), '')
      const reading = (async () => {
        for (let reads = 0; reads < 3; reads += 1) sizes.push((await store.readList('office'))?.size)
      })()
      longest = 0
      for (let line = 2; line < 8; line += 1) {
        const begun = performance.now()
        await pause(20)
        await appendFile(fileOf('office'), `192.0.2.${line}\n`)
        longest = Math.max(longest, performance.now() - begun)
      }
      await reading
    }
    expect(sizes).toEqual([6, 6, 6])
  })

  it('is announced when it is edited, in place or by replacement, and when it is deleted', async () => {
    const store = open()
    await store.writeList('office', NOTED, 0)
    const heard = listen(store)
    await until(() => heard.includes('office 1'))
    for (const change of [
      () => appendFile(fileOf('office'), '192.0.2.9\n'),
      () => edit('office', '192.0.2.1\n'),
      () => rm(fileOf('office')),
      () => edit('other', '192.0.2.1\n'),
    ]) {
      heard.length = 0
      await change()
      await until(() => heard.length > 0)
    }
    expect(heard).toContain('other 1')
  })

  it('takes effect after the edit, although its revision is the same', async () => {
    const store = open()
    const section = { mode: 'enforce', ranges: ['0.0.0.0/0'], denyLists: ['bad'] }
    await store.write({ policy: { appId: 'a', ipWhitelist: section } }, 0)
    await edit('bad', '192.0.2.1\n')
    const source = createPolicySource({ store })
    expect(await admits(source, '192.0.2.1')).toBe(false)
    expect(await admits(source, '192.0.2.7')).toBe(true)
    await edit('bad', '192.0.2.7\n')
    await until(() => admits(source, '192.0.2.1'))
    expect(await admits(source, '192.0.2.7')).toBe(false)
    await rm(fileOf('bad'))
    await until(async () => !(await admits(source, '192.0.2.1')))
    source.close()
  })
})

async function admits(source: PolicySource, text: string): Promise<boolean> {
  const app = source.peek('a') ?? (await source.load('a'))
  const address = parseIp(text)
  if (app === null || address === undefined) throw new Error('no such app, or no address')
  const facts = { address: { address, source: 'socket', hops: 0 }, now: Date.now() } as const
  return decideIpWhitelist(app.policy, facts).decision.effect === 'allow'
}

it('can be written by several processes at once: each revision belongs to one, and no write is lost', async () => {
  open()
  const script = compiled('test/unit/store/file/list-writer.ts')
  const writers = Array.from({ length: 3 }, () => {
    const child = spawn(process.execPath, [script, path, 'office', '6'])
    let [out, err] = ['', '']
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
    return once(child, 'close').then(([code]) => ({
      code: code as number,
      err,
      revisions: out.trim().split('\n').map(Number),
    }))
  })
  const ends = await Promise.all(writers)
  expect(ends.map(({ code, err }) => [code, err])).toEqual(ends.map(() => [0, '']))
  const revisions = ends.flatMap((end) => end.revisions).sort((a, b) => a - b)
  expect(revisions).toEqual(Array.from({ length: 18 }, (_, index) => index + 1))
  expect(await open().readList('office')).toMatchObject({ revision: 18, size: 3_000 })
  expect(await readdir(`${path}.lists`)).toEqual(['office.txt'])
})
