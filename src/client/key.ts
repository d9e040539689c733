import { bytesFromBase64 } from './base64.ts'

/** A `CryptoKey` of WebCrypto, in any runtime. */
export interface PrivateKey {
  readonly type: string
  readonly algorithm: { readonly name: string }
  readonly usages: readonly string[]
}

/** Signs the bytes of a signature base. */
export type Sign = (bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>

type ImportedKey = Awaited<ReturnType<typeof crypto.subtle.importKey>>

/** What a private key must be, as a phrase. */
export const PRIVATE_KEY_RULE =
  'the PKCS #8 of an Ed25519 private key, as PEM or base64, or a CryptoKey of one that may sign'

/** Whether a value is a `CryptoKey` that can sign with Ed25519, or a string that looks like an encoded one. */
export function isPrivateKey(value: unknown): boolean {
  if (typeof value === 'string') return bytesOfPrivateKey(value) !== undefined
  // By tag instead of class, because the key may come from another realm.
  if (Object.prototype.toString.call(value) !== '[object CryptoKey]') return false
  const { type, algorithm, usages } = value as PrivateKey
  return type === 'private' && algorithm.name === 'Ed25519' && usages.includes('sign')
}

/** Returns a function that signs with this key. The key is imported once, at the first signature. */
export function signWith({
  secret,
  privateKey,
}: {
  secret?: string | undefined
  privateKey?: string | PrivateKey | undefined
}): Sign {
  let key: Promise<ImportedKey> | undefined
  const algorithm = secret === undefined ? 'Ed25519' : 'HMAC'
  return async (bytes) => {
    key ??= secret === undefined ? importPrivateKey(privateKey) : importSecret(secret)
    return new Uint8Array(await subtle().sign(algorithm, await key, bytes))
  }
}

/** The part of WebCrypto that signs and computes digests. */
export function subtle(): typeof crypto.subtle {
  // Browsers hide it from pages that were not loaded over HTTPS.
  if (globalThis.crypto?.subtle === undefined) throw new TypeError('signing needs a runtime with WebCrypto')
  return crypto.subtle
}

async function importSecret(secret: string): Promise<ImportedKey> {
  const bytes = bytesFromBase64(secret) as Uint8Array<ArrayBuffer>
  return subtle().importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
}

async function importPrivateKey(given: string | PrivateKey | undefined): Promise<ImportedKey> {
  if (typeof given !== 'string') return given as ImportedKey
  const bytes = bytesOfPrivateKey(given) as Uint8Array<ArrayBuffer>
  try {
    return await subtle().importKey('pkcs8', bytes, { name: 'Ed25519' }, false, ['sign'])
  } catch (cause) {
    const unsupported = (cause as { name?: unknown } | null)?.name === 'NotSupportedError'
    throw new TypeError(
      unsupported
        ? 'the WebCrypto of this runtime has no Ed25519: sign with a `secret`, or with a newer runtime'
        : '`privateKey` cannot be read as the PKCS #8 of an Ed25519 key',
      { cause },
    )
  }
}

const PEM = /^\s*-----BEGIN PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*$/

// RFC 8410, section 7: an algorithm identifier that contains only the object identifier of Ed25519.
const ED25519 = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70]

function bytesOfPrivateKey(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = bytesFromBase64((PEM.exec(text)?.[1] ?? text).replace(/\s/g, ''))
  const at = 5 // after a SEQUENCE of less than 128 bytes, and the version
  return bytes?.[0] === 0x30 && ED25519.every((byte, index) => bytes[at + index] === byte) ? bytes : undefined
}
