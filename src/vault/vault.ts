import { createHmac, hkdfSync, type KeyObject } from 'node:crypto'
import { SealedError } from '../errors.ts'
import { bytesOf, decrypt, encrypt, SEAL_BYTES, damaged } from './gcm.ts'
import { readRing, type ListedVaultKey, type VaultKey } from './ring.ts'

export interface VaultOptions {
  /**
   * Every key opens. Only one seals: the one with the state `active`, otherwise the first. To rotate, put a new key first, reseal
   * everything (`reseal`), and then set the state of the old key to `destroyed`.
   */
  readonly keys: readonly VaultKey[]
}

/** Seals strings and bytes for storage. */
export interface Vault {
  /**
   * Encrypts a string or bytes. The result opens only in the same context, so it cannot be moved to another app, person or field.
   */
  seal(content: string | Uint8Array, context: string): string
  /**
   * Decrypts a string returned by `seal`, as a string.
   *
   * @throws SealedError if the key is not in the ring, the context differs, or the string was changed.
   */
  open(sealed: string, context: string): string
  /** Like `open`, but returns bytes. */
  openBytes(sealed: string, context: string): Uint8Array
  /**
   * The same content sealed with the active key, or the unchanged string if that key sealed it.
   *
   * @throws SealedError as `open` does.
   */
  reseal(sealed: string, context: string): string
  /** The id of the key that sealed the string, even if it is not in the ring; `undefined` if no vault sealed it. */
  keyIdOf(sealed: string): string | undefined
  /** The keys of the ring, without their bytes. */
  readonly keys: readonly ListedVaultKey[]
  /**
   * Fingerprints, to compare two contents without revealing them: HMAC-SHA-256 under a key derived from each key of the ring that
   * opens, the active key first. The same content in the same context gives the same strings, of at most 76 characters of `A-Z
   * a-z 0-9 . _ -`.
   */
  fingerprints(content: string, context: string): readonly string[]
}

const VERSION = 'v1'
const SEALED = /^v1:([A-Za-z0-9._-]{1,32}):([A-Za-z0-9_-]+)$/

/**
 * Creates a vault: AES-256-GCM (NIST SP 800-38D) with a random nonce for each seal and the context as additional data. One key
 * must not seal more than 2^32 times.
 *
 * @throws ConfigError; no key appears in it.
 */
export function createVault(options: VaultOptions): Vault {
  const { activeId, keys, listed } = readRing('createVault', options)
  const activeKey = keys.get(activeId) as KeyObject

  function openBytes(sealed: string, context: string): Buffer {
    const [, id, content = ''] = SEALED.exec(sealed) ?? []
    if (id === undefined) throw notSealed(sealed)
    const key = keys.get(id)
    if (key === undefined) throw keyMissing(id, listed)
    const bytes = bytesOf(content)
    if (bytes.length < SEAL_BYTES) throw damaged()
    return decrypt(key, additionalData(id, context), bytes)
  }

  function seal(content: string | Uint8Array, context: string): string {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    const sealed = encrypt(activeKey, additionalData(activeId, context), bytes)
    return `${VERSION}:${activeId}:${sealed.toString('base64url')}`
  }

  const keyIdOf = (sealed: string): string | undefined => SEALED.exec(sealed)?.[1]

  return {
    seal,
    open: (sealed, context) => openBytes(sealed, context).toString(),
    openBytes,
    reseal: (sealed, context) =>
      keyIdOf(sealed) === activeId ? sealed : seal(openBytes(sealed, context), context),
    keyIdOf,
    keys: Object.freeze(listed),
    fingerprints: (content, context) =>
      [...keys].map(([id, key]) => {
        // Derived with HKDF (RFC 5869), so that the sealing key is not used for a second purpose.
        const derived = hkdfSync('sha256', key, '', `portcullis fingerprint ${context}`, 32)
        const mac = createHmac('sha256', Buffer.from(derived)).update(content)
        return `${id}.${mac.digest('base64url')}`
      }),
  }
}

function notSealed(sealed: string): SealedError {
  // A truncated string, or one of a later version, is damaged rather than never sealed.
  if (typeof sealed === 'string' && sealed.startsWith(`${VERSION}:`)) return damaged()
  return new SealedError('SEALED_DAMAGED', 'a string was not sealed by a vault of this version')
}

function keyMissing(id: string, listed: readonly ListedVaultKey[]): SealedError {
  const isDestroyed = listed.some((key) => key.id === id)
  return isDestroyed
    ? new SealedError('SEALED_KEY_DESTROYED', `this was sealed with the key \`${id}\`, which was destroyed`)
    : new SealedError(
        'SEALED_KEY_UNKNOWN',
        `this was sealed with the key \`${id}\`, which the vault does not have`,
      )
}

function additionalData(keyId: string, context: string): Buffer {
  return Buffer.from(`${VERSION}:${keyId}:${context}`)
}
