import { randomBytes } from 'node:crypto'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  commandKey,
  createVault,
  environmentKey,
  fileKey,
  openVault,
  wrappedKey,
  type KeyProvider,
} from 'portcullis/vault'

const bytes = randomBytes(32)
const key = bytes.toString('base64')
const sealed = createVault({ keys: [{ id: 'a', key }] }).seal('text', 'c')

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portcullis-keys-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

async function keyFile(content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(folder, randomBytes(6).toString('hex'))
  await writeFile(path, content)
  await chmod(path, mode)
  return path
}

async function opened(from: KeyProvider): Promise<string> {
  return (await openVault({ keys: [{ id: 'a', from }] })).open(sealed, 'c')
}

/** A toy key service that inverts each byte instead of encrypting it. */
const service = { unwrap: async (wrapped: Uint8Array) => wrapped.map((byte) => 255 - byte) }
const wrapped = Buffer.from(bytes.map((byte) => 255 - byte)).toString('base64')

describe('a provider of keys', () => {
  it('reads an environment variable', async () => {
    expect(await opened(environmentKey('KEY', { KEY: `${key}\n` }))).toBe('text')
  })

  it('reads a file, in bytes or in base64', async () => {
    for (const content of [bytes, key, `${key}\n`])
      expect(await opened(fileKey(await keyFile(content)))).toBe('text')
  })

  it('reads the output of a program, without a shell', async () => {
    const print = (text: string): KeyProvider =>
      commandKey(process.execPath, ['-e', 'process.stdout.write(process.argv[1])', text])
    expect(await opened(print(`${key}\n`))).toBe('text')
    await expect(opened(print('$(echo SECRET)'))).rejects.toThrow(/`openVault.keys\[0\].from` must be/)
  })

  it('lets a service decrypt an encrypted key', async () => {
    expect(await opened(wrappedKey(service, wrapped))).toBe('text')
  })

  it('creates a ring of several keys, including destroyed ones', async () => {
    const vault = await openVault({
      keys: [
        { id: 'old', state: 'destroyed' },
        { id: 'a', from: environmentKey('KEY', { KEY: key }), state: 'decrypt-only' },
        { id: 'b', from: wrappedKey(service, wrapped) },
      ],
    })
    expect(vault.keys.map(({ state }) => state)).toEqual(['destroyed', 'decrypt-only', 'active'])
    expect(vault.open(sealed, 'c')).toBe('text')
  })
})

describe('a wrongly configured provider is refused by name, without its key:', () => {
  const wrong: [string, () => KeyProvider | Promise<KeyProvider>, RegExp][] = [
    ['a variable that is not set', () => environmentKey('KEY', {}), /`environmentKey\("KEY"\)` is missing/],
    ['an empty variable', () => environmentKey('KEY', { KEY: '' }), /`environmentKey\("KEY"\)` must be set/],
    ['a short key', () => environmentKey('KEY', { KEY: 'SECRET' }), /a provider of 32 bytes, .*not shown/],
    ['a file that is not there', () => fileKey('/no/such/SECRET-less'), /an existing file/],
    ['a file that all can read', async () => fileKey(await keyFile(key, 0o644)), /\(chmod 600\), got "644"/],
    ['a long file', async () => fileKey(await keyFile('SECRET'.repeat(500))), /a file with exactly one key/],
    ['a file with something else', async () => fileKey(await keyFile('SECRET')), /a provider of 32 bytes/],
  ]
  it.each(wrong)('%s', async (_, provider, message) => {
    const from = await provider()
    await expect(openVault({ keys: [{ id: 'a', from }] })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    })
    await expect(openVault({ keys: [{ id: 'a', from }] })).rejects.not.toThrow(/SECRET[^-]/)
  })

  it.each([
    [() => environmentKey(''), /`environmentKey name`/],
    [() => fileKey('a\0b'), /`fileKey path`/],
    [() => commandKey(''), /`commandKey program`/],
    [() => wrappedKey({} as never, wrapped), /`wrappedKey service`/],
    [() => wrappedKey(service, ''), /`wrappedKey wrapped`/],
  ])('a call %#', (call, message) => {
    expect(call).toThrow(message)
  })

  it.each([
    [{ keys: [] }, /`openVault.keys`/],
    [{ keys: [{ id: 'a' }] }, /`openVault.keys\[0\].from` is missing/],
    [{ keys: [{ id: 'a', key }] }, /openVault.keys\[0\]: unknown option `key`/],
    [{ keys: [{ id: 'a', from: 'SECRET' }] }, /`openVault.keys\[0\].from` must be a provider, .*not shown/],
    [{ keys: [{ id: 'a b', from: environmentKey('KEY', { KEY: key }) }] }, /`createVault.keys\[0\].id`/],
  ])('options %#', async (options, message) => {
    await expect(openVault(options as never)).rejects.toThrow(message)
  })
})

describe('an unreachable provider', () => {
  const away: [string, KeyProvider, RegExp][] = [
    ['a program that fails', commandKey(process.execPath, ['-e', 'process.exit(3)', 'SECRET']), /failed: 3/],
    ['a program that is not there', commandKey('/no/such/program'), /failed: ENOENT/],
    [
      'a program that writes too much',
      commandKey(process.execPath, ['-e', 'process.stdout.write("SECRET".repeat(9_999))']),
      /failed: /,
    ],
    [
      'a service that refuses',
      wrappedKey({ unwrap: async () => Promise.reject(new TypeError('SECRET')) }, wrapped),
      /the key service did not decrypt a key: TypeError/,
    ],
    [
      'a provider of somebody else',
      { readKey: async () => Promise.reject(new Error('SECRET')) },
      /did not return a key/,
    ],
  ]
  it.each(away)('%s is distinguished from a wrong configuration', async (_, from, message) => {
    await expect(opened(from)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(message),
    })
    await expect(opened(from)).rejects.not.toThrow(/SECRET/)
  })
})
