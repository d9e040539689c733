import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { ConfigError, SECRET, UnavailableError } from '../errors.ts'
import { checkOptions, required } from '../options.ts'

export interface VaultKey {
  /** 1-32 characters of `A-Z a-z 0-9 . _ -`. It stands in what the key has sealed. */
  readonly id: string
  /** 32 random bytes, or their base64. */
  readonly key: string | Uint8Array
}

export interface VaultOptions {
  /** The first key seals, all of them open. To rotate put a new one in front, and take the old one out when nothing needs it. */
  readonly keys: readonly VaultKey[]
}

/** Seals texts for storage. */
export interface Vault {
  /** Encrypts a text. It opens only in the same context, so it cannot be moved to another app, person or field. */
  seal(text: string, context: string): string
  /**
   * Decrypts what `seal` has returned.
   *
   * @throws UnavailableError when the key is not in the ring, the context is another one, or the text was changed.
   */
  open(sealed: string, context: string): string
}

const VERSION = 'v1'
const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_ID = /^[A-Za-z0-9._-]{1,32}$/

/**
 * Makes a vault: AES-256-GCM (NIST SP 800-38D) with a random nonce for each text, the context as additional data. One key
 * must not seal more than 2^32 texts.
 *
 * @throws ConfigError; no key appears in it.
 */
export function createVault(options: VaultOptions): Vault {
  checkOptions('createVault', options, {
    keys: required({
      expected: 'an array of at least one key',
      accepts: (value) => Array.isArray(value) && value.length > 0,
    }),
  })
  const ring = new Map<string, KeyObject>()
  for (const [index, { id, key }] of options.keys.entries()) {
    const path = `createVault.keys[${index}]`
    if (typeof id !== 'string' || !KEY_ID.test(id))
      throw new ConfigError(`${path}.id`, '1-32 characters of A-Z a-z 0-9 . _ -', id)
    if (ring.has(id)) throw new ConfigError(`${path}.id`, 'the id of one key only', id)
    ring.set(id, parseKey(key, `${path}.key`))
  }
  const [activeId, activeKey] = ring.entries().next().value as [string, KeyObject]

  return {
    seal(text, context) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, activeKey, nonce)
      cipher.setAAD(additionalData(activeId, context))
      const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${VERSION}:${activeId}:${sealed.toString('base64url')}`
    },
    open(sealed, context) {
      const [version, id = '', content = ''] = sealed.split(':')
      const key = ring.get(id)
      if (version !== VERSION || key === undefined)
        throw new UnavailableError('no key of the vault has sealed this')
      const bytes = Buffer.from(content, 'base64url')
      if (bytes.length < NONCE_BYTES + TAG_BYTES) throw new UnavailableError('a sealed text is damaged')
      const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES))
      decipher.setAAD(additionalData(id, context))
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        return (
          decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
        )
      } catch {
        throw new UnavailableError('a sealed text was changed, or belongs elsewhere')
      }
    },
  }
}

function additionalData(keyId: string, context: string): Buffer {
  return Buffer.from(`${VERSION}:${keyId}:${context}`)
}

function parseKey(key: unknown, path: string): KeyObject {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : key
  const canonical = typeof key !== 'string' || (bytes as Buffer).toString('base64') === key
  if (!(bytes instanceof Uint8Array) || bytes.length !== 32 || !canonical) {
    throw new ConfigError(path, '32 bytes, as a Uint8Array or in base64', SECRET)
  }
  return createSecretKey(bytes)
}
