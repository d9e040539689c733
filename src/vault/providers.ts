import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { promisify } from 'node:util'
import { ConfigError, isPortcullisError, SECRET, UnavailableError } from '../errors.ts'
import { withDeadline } from '../deadline.ts'
import { checkOptions, required } from '../options.ts'
import { bytesOfKey, KEYS, type VaultKey } from './ring.ts'
import { createVault, type Vault } from './vault.ts'

/** Provides the bytes of a key when a process starts. */
export interface KeyProvider {
  /** Resolves with 32 bytes, or their base64. Rejects if there is no such key or it cannot be read. */
  readKey(): Promise<string | Uint8Array>
}

/** A key service, such as AWS KMS, Google Cloud KMS, Azure Key Vault, or the transit engine of HashiCorp Vault. */
export interface KeyService {
  /** Decrypts the key, which the service itself has encrypted. */
  unwrap(wrapped: Uint8Array): Promise<Uint8Array>
}

export interface ProvidedVaultKey extends Omit<VaultKey, 'key'> {
  /** Where its bytes come from. A destroyed key has none. */
  readonly from?: KeyProvider | undefined
}

export interface ProvidedVaultOptions {
  /** Like those of `createVault`, each with a provider in place of its bytes. */
  readonly keys: readonly ProvidedVaultKey[]
}

/** How long a provider may take, in milliseconds. */
const TIMEOUT = 30_000
/** More bytes than a key in base64 has, but fewer than a file put there by mistake. */
const LONGEST = 1_024

/**
 * Creates a vault whose keys come from providers, so that no key is in the code. Rejects with `UnavailableError` if a provider
 * cannot be reached.
 *
 * @throws ConfigError (as a rejection) that names the key by its path; no key appears in it.
 */
export async function openVault(options: ProvidedVaultOptions): Promise<Vault> {
  const { keys } = checkOptions<ProvidedVaultOptions>('openVault', options, { keys: KEYS })
  return createVault({
    keys: await Promise.all(keys.map((key, index) => provided(key, `openVault.keys[${index}]`))),
  })
}

async function provided(given: ProvidedVaultKey, path: string): Promise<VaultKey> {
  const { from, ...key } = checkOptions<ProvidedVaultKey>(path, given, {
    id: required({ expected: 'a string', accepts: (value) => typeof value === 'string', secret: true }),
    state: { expected: 'a state', accepts: (value) => typeof value === 'string', secret: true },
    from: {
      expected: 'a provider, such as `environmentKey(name)` or `fileKey(path)`',
      accepts: (value) => typeof (value as Partial<KeyProvider> | null)?.readKey === 'function',
      secret: true,
    },
  })
  if (from === undefined) {
    if (key.state === 'destroyed') return key
    throw new ConfigError(`${path}.from`, 'a provider, such as `environmentKey(name)`', undefined)
  }
  try {
    const bytes = await withDeadline(from.readKey(), TIMEOUT, 'the provider of a key')
    if (bytesOfKey(bytes) === undefined)
      throw new ConfigError(`${path}.from`, 'a provider of 32 bytes, or of their base64', SECRET)
    return { ...key, key: bytes }
  } catch (error) {
    // A foreign error may contain the key.
    throw isPortcullisError(error) ? error : new UnavailableError(`\`${path}.from\` did not return a key`)
  }
}

/** A key in base64 in an environment variable. */
export function environmentKey(
  name: string,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): KeyProvider {
  if (typeof name !== 'string' || name === '')
    throw new ConfigError('environmentKey name', 'the name of a variable', name)
  return {
    async readKey() {
      const text = environment[name]
      if (text === undefined || text === '')
        throw new ConfigError(`environmentKey(${JSON.stringify(name)})`, 'set to 32 bytes in base64', text)
      return text.trim()
    },
  }
}

/** A key in a file that only its owner can read: 32 bytes, or their base64. */
export function fileKey(path: string): KeyProvider {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new ConfigError('fileKey path', 'the path of a file', path)
  const called = `fileKey(${JSON.stringify(path)})`
  return {
    async readKey() {
      const file = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
          throw new ConfigError(called, 'an existing file', undefined)
        throw new UnavailableError(`the file of a key cannot be read: ${error.code ?? error.name}`)
      })
      try {
        const { mode, size } = await file.stat()
        // Windows has no such permissions.
        if (process.platform !== 'win32' && (mode & 0o077) !== 0)
          throw new ConfigError(called, 'a file that only its owner can read (chmod 600)', octal(mode))
        if (size > LONGEST) throw new ConfigError(called, 'a file with exactly one key', SECRET)
        return keyIn(await file.readFile())
      } finally {
        await file.close()
      }
    },
  }
}

/** A key that a program writes to standard output: 32 bytes, or their base64. The program runs without a shell. */
export function commandKey(program: string, args: readonly string[] = []): KeyProvider {
  if (typeof program !== 'string' || program === '')
    throw new ConfigError('commandKey program', 'the name of a program', program)
  return {
    async readKey() {
      try {
        const { stdout } = await promisify(execFile)(program, [...args], {
          encoding: 'buffer',
          timeout: TIMEOUT,
          maxBuffer: LONGEST,
          windowsHide: true,
        })
        return keyIn(stdout)
      } catch (error) {
        // Leaves out the output and the arguments of the program, because both may contain the key.
        const { code, signal } = error as { readonly code?: string | number; readonly signal?: string }
        throw new UnavailableError(
          `the program that prints a key failed: ${String(signal ?? code ?? 'unknown')}`,
        )
      }
    },
  }
}

/** A key encrypted by a key service, in base64, which the service decrypts at the start. */
export function wrappedKey(service: KeyService, wrapped: string): KeyProvider {
  if (typeof service?.unwrap !== 'function')
    throw new ConfigError('wrappedKey service', 'an object with `unwrap`', service)
  if (typeof wrapped !== 'string' || wrapped === '' || Buffer.from(wrapped, 'base64').length === 0)
    throw new ConfigError('wrappedKey wrapped', 'the encrypted key in base64', SECRET)
  return {
    async readKey() {
      try {
        return await service.unwrap(Buffer.from(wrapped, 'base64'))
      } catch (error) {
        const { name } = (error ?? {}) as { readonly name?: unknown }
        throw new UnavailableError(`the key service did not decrypt a key: ${String(name)}`)
      }
    },
  }
}

/** The bytes themselves, or their base64 with or without a line end. */
function keyIn(content: Uint8Array): string | Uint8Array {
  return content.length === 32 ? new Uint8Array(content) : Buffer.from(content).toString('latin1').trim()
}

function octal(mode: number): string {
  return (mode & 0o777).toString(8)
}
