import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto'
import { ConfigError, SECRET, UnavailableError, wrongOption } from '../errors.ts'
import { issueOf, readOptions, required, type Expectation } from '../options.ts'

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

/** Seals strings and bytes for storage. */
export interface Vault {
  /** Encrypts a string or bytes. It opens only in the same context, so it cannot be moved to another app, person or field. */
  seal(content: string | Uint8Array, context: string): string
  /**
   * Decrypts what `seal` has returned, as a string.
   *
   * @throws UnavailableError when the key is not in the ring, the context is another one, or the string was changed.
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
 * Makes a vault: AES-256-GCM (NIST SP 800-38D) with a random nonce for each seal, the context as additional data. One key
 * must not seal more than 2^32 times.
 *
 * @throws ConfigError; no key appears in it.
 */
export function createVault(options: VaultOptions): Vault {
  const ring = readRing(options)
  const [activeId, activeKey] = ring.entries().next().value as [string, KeyObject]

  function openBytes(sealed: string, context: string): Buffer {
    const [, id = '', content = ''] = SEALED.exec(sealed) ?? []
    const key = ring.get(id)
    if (key === undefined) throw new UnavailableError('no key of the vault has sealed this')
    const bytes = Buffer.from(content, 'base64url')
    // One spelling only, so that a string that was changed is always refused.
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

const KEYS: Expectation = required({
  expected: 'an array of at least one key',
  accepts: (value) => Array.isArray(value) && value.length > 0,
  secret: true,
})

// Not shown either: a key may have been written in its place.
const AN_ID: Expectation = required({
  expected: '1-32 characters of A-Z a-z 0-9 . _ -',
  accepts: (value) => typeof value === 'string' && KEY_ID.test(value),
  secret: true,
})

const A_KEY: Expectation = required({
  expected: '32 bytes, as a Uint8Array or in base64',
  accepts: (value) => bytesOfKey(value) !== undefined,
  secret: true,
})

/**
 * The keys by their ids. Shows nothing that was given: whatever was misplaced may be a key.
 *
 * @throws ConfigError with everything that is wrong
 */
function readRing(options: unknown): Map<string, KeyObject> {
  const ring = new Map<string, KeyObject>()
  const [issues, { keys }] = readOptions('createVault', options, { keys: KEYS })
  for (const [index, given] of (KEYS.accepts(keys) ? (keys as unknown[]) : []).entries()) {
    const path = `createVault.keys[${index}]`
    if (typeof given !== 'object' || given === null) {
      issues.push(wrongOption(path, 'an object with `id` and `key`', SECRET))
      continue
    }
    // Own members alone: what a prototype holds was not written there.
    const { id, key } = Object.assign(Object.create(null), given) as { id?: unknown; key?: unknown }
    const found = [issueOf(`${path}.id`, id, AN_ID), issueOf(`${path}.key`, key, A_KEY)]
    issues.push(...found.filter((issue) => issue !== undefined))
    const bytes = bytesOfKey(key)
    if (typeof id !== 'string' || bytes === undefined) continue
    if (ring.has(id)) issues.push(wrongOption(`${path}.id`, 'the id of one key only', SECRET))
    ring.set(id, createSecretKey(bytes))
  }
  const [first, ...more] = issues
  if (first !== undefined) throw new ConfigError([first, ...more])
  return ring
}

function additionalData(keyId: string, context: string): Buffer {
  return Buffer.from(`${VERSION}:${keyId}:${context}`)
}

/** The 32 bytes of a key; `undefined` when it is something else, or base64 in another spelling than the usual one. */
function bytesOfKey(key: unknown): Uint8Array | undefined {
  const bytes = typeof key === 'string' ? Buffer.from(key, 'base64') : key
  if (!(bytes instanceof Uint8Array) || bytes.length !== 32) return undefined
  return typeof key !== 'string' || Buffer.from(bytes).toString('base64') === key ? bytes : undefined
}
