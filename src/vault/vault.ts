import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto'
import { ConfigError, SECRET, UnavailableError } from '../errors.ts'

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
  /** Encrypts text or bytes. It opens only in the same context, so it cannot be moved to another app, person or field. */
  seal(content: string | Uint8Array, context: string): string
  /**
   * Decrypts what `seal` has returned, as text.
   *
   * @throws UnavailableError when the key is not in the ring, the context is another one, or the text was changed.
   */
  open(sealed: string, context: string): string
  /** As `open`, as bytes. */
  openBytes(sealed: string, context: string): Uint8Array
  /**
   * Tells whether two contents are the same without telling what they are: HMAC-SHA-256 under a key that is derived from
   * each key of the ring, that of the key which seals first. The same content in the same context gives the same strings, of
   * at most 76 characters of `A-Z a-z 0-9 . _ -`.
   */
  fingerprints(content: string, context: string): readonly string[]
}

const VERSION = 'v1'
const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
const KEY_ID = /^[A-Za-z0-9._-]{1,32}$/
const SEALED = /^v1:([A-Za-z0-9._-]{1,32}):([A-Za-z0-9_-]+)$/

/**
 * Makes a vault: AES-256-GCM (NIST SP 800-38D) with a random nonce for each text, the context as additional data. One key
 * must not seal more than 2^32 texts.
 *
 * @throws ConfigError; no key appears in it.
 */
export function createVault(options: VaultOptions): Vault {
  const ring = new Map<string, KeyObject>()
  for (const [index, { id, key }] of keysIn(options).entries()) {
    const path = `createVault.keys[${index}]`
    // Not shown either: a key may have been written in its place.
    if (typeof id !== 'string' || !KEY_ID.test(id))
      throw new ConfigError(`${path}.id`, '1-32 characters of A-Z a-z 0-9 . _ -', SECRET)
    if (ring.has(id)) throw new ConfigError(`${path}.id`, 'the id of one key only', SECRET)
    ring.set(id, parseKey(key, `${path}.key`))
  }
  const [activeId, activeKey] = ring.entries().next().value as [string, KeyObject]

  function openBytes(sealed: string, context: string): Buffer {
    const [, id = '', content = ''] = SEALED.exec(sealed) ?? []
    const key = ring.get(id)
    if (key === undefined) throw new UnavailableError('no key of the vault has sealed this')
    const bytes = Buffer.from(content, 'base64url')
    // One spelling only, so that a text that was changed is always refused.
    if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== content)
      throw new UnavailableError('a sealed string is damaged')
    const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(additionalData(id, context))
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
    } catch {
      throw new UnavailableError('a sealed string was changed, or belongs elsewhere')
    }
  }

  return {
    seal(content, context) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, activeKey, nonce)
      cipher.setAAD(additionalData(activeId, context))
      const bytes = typeof content === 'string' ? Buffer.from(content) : content
      const sealed = Buffer.concat([nonce, cipher.update(bytes), cipher.final(), cipher.getAuthTag()])
      return `${VERSION}:${activeId}:${sealed.toString('base64url')}`
    },
    open: (sealed, context) => openBytes(sealed, context).toString(),
    openBytes,
    fingerprints: (content, context) =>
      [...ring].map(([id, key]) => {
        // RFC 5869: a key that is never used to seal.
        const derived = hkdfSync('sha256', key, '', `portcullis fingerprint ${context}`, 32)
        const mac = createHmac('sha256', Buffer.from(derived)).update(content)
        return `${id}.${mac.digest('base64url')}`
      }),
  }
}

/** As `checkOptions` does, but shows nothing that was given: whatever was misplaced may be a key. */
function keysIn(options: unknown): readonly { readonly id?: unknown; readonly key?: unknown }[] {
  if (typeof options !== 'object' || options === null)
    throw new ConfigError('createVault options', 'an object with `keys`', SECRET)
  for (const name of Object.keys(options)) {
    if (name !== 'keys')
      throw new ConfigError(`createVault.${name}`, 'left out: the options are keys', SECRET)
  }
  const keys = (options as { keys?: unknown }).keys
  if (!Array.isArray(keys) || keys.length === 0)
    throw new ConfigError(
      'createVault.keys',
      'an array of at least one key',
      keys === undefined ? keys : SECRET,
    )
  for (const [index, key] of keys.entries()) {
    if (typeof key !== 'object' || key === null)
      throw new ConfigError(`createVault.keys[${index}]`, 'an object with `id` and `key`', SECRET)
  }
  return keys as object[]
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
