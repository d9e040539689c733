import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto'
import { SealedError } from '../errors.ts'

const ALGORITHM = 'aes-256-gcm'
export const NONCE_BYTES = 12
const TAG_BYTES = 16
/** How many bytes sealing adds to the content. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES

/**
 * Encrypts with AES-256-GCM (NIST SP 800-38D). Returns nonce, ciphertext and tag. With a random nonce, at most 2^32 calls are
 * allowed for one key.
 */
export function encrypt(
  key: KeyObject,
  additionalData: Uint8Array,
  content: Uint8Array,
  nonce: Uint8Array = randomBytes(NONCE_BYTES),
): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(additionalData)
  return Buffer.concat([nonce, cipher.update(content), cipher.final(), cipher.getAuthTag()])
}

/**
 * Decrypts a result of {@link encrypt}.
 *
 * @throws SealedError if it is too short, was changed, or was sealed with another key or other additional data.
 */
export function decrypt(key: KeyObject, additionalData: Uint8Array, sealed: Uint8Array): Buffer {
  if (sealed.length < SEAL_BYTES) throw damaged()
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(additionalData)
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()])
  } catch {
    throw new SealedError(
      'SEALED_CHANGED',
      'a sealed string does not open: it was sealed with another key or for another place, or was changed',
    )
  }
}

/** The bytes of a sealed string in base64url. Only the canonical form is accepted, so that every change is detected. */
export function bytesOf(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) throw damaged()
  return bytes
}

export function damaged(): SealedError {
  return new SealedError('SEALED_DAMAGED', 'a sealed string is damaged')
}
