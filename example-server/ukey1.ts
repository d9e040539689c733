import {
  constants,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  generateKeyPairSync,
  privateDecrypt,
  sign,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import type { RequestHandler } from 'express'
import {
  appIdFrom,
  httpMessageSignatures,
  type Rejected,
  type SchemeContext,
  type SignatureScheme,
  type SignedMessage,
  type Verified,
} from 'portcullis'
import type { Vault } from 'portcullis/vault'
import type { Storage } from './storage.ts'

/*
 * LEGACY: the signature scheme of the SDKs of Ukey1, which ended in 2020. For new apps, use HTTP message signatures.
 *
 * An SDK sends `X-Ukey1-App`, `X-Origin` and `X-Ukey1-Signature`. To create the signature, it concatenates app id,
 * method, path, body and access token (the last two only if present) without separators, computes SHA-512 in
 * hexadecimal, encrypts it with RSA-OAEP (SHA-1) to a public key, which the app received as its "Secret Key", and
 * writes it as URI-encoded base64. The signature covers neither a time nor a nonce, nor the host, the query and
 * `X-Origin`. Therefore:
 *
 * - Each ciphertext is accepted once, and remembered until its key expires after 90 days, so it cannot be replayed. But
 *   an attacker who intercepts a ciphertext before it is delivered can use it until then.
 * - A query is refused, because it could be changed. `X-Origin` is only a claim.
 * - Without separators, the text could be split in other ways. Here only one split is possible: no method or path is a
 *   prefix of another, and a body must be a JSON object.
 *
 * Only the apps in `UKEY1_LEGACY_APPS` may use this scheme, and only on requests without an HTTP message signature.
 */

const KEY_LIFETIME = 90 * 24 * 60 * 60_000
const MODULUS = { modulusLength: 2048 }

/** A ciphertext of a 2048-bit key has 344 characters in base64, and at most three times as many when URI-encoded. */
const MOST_CHARACTERS = 1032

// What the SDKs send. None is a prefix of another, and only a body contains braces, so the text has only one split.
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'DELETE'])
const PATHS: ReadonlySet<string> = new Set(['/auth/v2/connect', '/auth/v2/token', '/auth/v2/me'])
const TOKEN = /^Bearer ([\w.-]+)$/

interface StoredKey {
  readonly pkcs8: string
  readonly end: number
}

interface Key {
  readonly privateKey: KeyObject
  /** An identifier of the key, which reveals nothing about the private key. */
  readonly id: string
  /** The time of expiry, in milliseconds since the epoch. */
  readonly end: number
}

export interface Ukey1 {
  /** Creates a key for an app that has none, and resolves with its "Secret Key", which is not stored. */
  issue(appId: string): Promise<string | undefined>
  /**
   * Mount it before the body parsers and `serverOnly`: it adds the content type that the SDK for Node omits, and loads
   * the key.
   */
  readonly prepare: RequestHandler
  /** The app id in either header; `undefined` if the headers name two different apps. */
  appId(req: Parameters<ReturnType<typeof appIdFrom>>[0]): string | undefined
  /** Verifies HTTP message signatures, and the legacy scheme for apps that have a key for it. */
  readonly scheme: SignatureScheme
  /** The signature of the answer in the return URL: RSA-SHA512, in base64. `undefined` for an app without a key. */
  signAnswer(appId: string, answer: Readonly<Record<string, string>>): Promise<string | undefined>
}

/** The legacy scheme for these apps. Their private keys are stored encrypted. */
export function createUkey1(
  { storage, vault, apps }: { storage: Storage; vault: Vault; apps: readonly string[] },
  now: () => number = Date.now,
): Ukey1 {
  const standard = httpMessageSignatures()
  const ownId = appIdFrom({ header: 'x-app-id' })
  const theirId = appIdFrom({ header: 'x-ukey1-app' })
  // Has at most one key for each of `apps`. Every request reads the key again, so removing a key takes effect at once.
  const loaded = new Map<string, Key>()
  const decoy = generateKeyPairSync('rsa', MODULUS).privateKey

  async function load(appId: string): Promise<Key | undefined> {
    const sealed = apps.includes(appId) ? await storage.get(storageKey(appId)) : undefined
    if (sealed === undefined) return undefined
    const { pkcs8, end } = JSON.parse(vault.open(sealed, storageKey(appId))) as StoredKey
    if (end <= now()) return undefined
    const privateKey = createPrivateKey({ key: Buffer.from(pkcs8, 'base64'), format: 'der', type: 'pkcs8' })
    return { privateKey, id: `ukey1-${fingerprintOf(privateKey)}`, end }
  }

  const appId: Ukey1['appId'] = (req) => {
    const theirs = theirId(req)
    const ours = ownId(req)
    if (theirs === undefined || ours === undefined) return ours ?? theirs
    return theirs === ours ? ours : undefined
  }

  return {
    appId,

    async issue(app) {
      const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', MODULUS)
      const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64')
      const stored: StoredKey = { pkcs8, end: now() + KEY_LIFETIME }
      const sealed = vault.seal(JSON.stringify(stored), storageKey(app))
      const isNew = await storage.add(storageKey(app), sealed, KEY_LIFETIME)
      return isNew ? publicKey.export({ type: 'spki', format: 'der' }).toString('base64') : undefined
    },

    async prepare(req, _res, next) {
      if (speaksUkey1((name) => req.headers[name] !== undefined)) {
        if (req.headers['content-type'] === undefined) req.headers['content-type'] = 'application/json'
        const app = appId(req)
        const key = app === undefined ? undefined : await load(app)
        if (app !== undefined && key !== undefined) loaded.set(app, key)
        else if (app !== undefined) loaded.delete(app)
      }
      next()
    },

    scheme: {
      name: 'http-message-signatures, or ukey1 (legacy)',
      verify(message, context) {
        if (!speaksUkey1((name) => message.header(name).length > 0)) return standard.verify(message, context)
        return verifyUkey1(message, context, loaded.get(context.appId), decoy)
      },
      challenge: (message) => standard.challenge?.(message) ?? {},
    },

    async signAnswer(app, { request_id = '', connect_id = '', code = '', result = '' }) {
      const key = await load(app)
      const text = app + request_id + connect_id + code + result
      return key && sign('sha512', Buffer.from(text), key.privateKey).toString('base64')
    },
  }
}

/** If a message has both kinds of signature, only the HTTP message signature counts. */
function speaksUkey1(has: (name: string) => boolean): boolean {
  return has('x-ukey1-signature') && !has('signature') && !has('signature-input')
}

function verifyUkey1(
  message: SignedMessage,
  { appId, now }: SchemeContext,
  key: Key | undefined,
  decoy: KeyObject,
): Verified | Rejected {
  const ciphertext = parseSignature(message.header('x-ukey1-signature'))
  if (ciphertext === undefined)
    return invalid('X-Ukey1-Signature must be 256 bytes in base64, URI-encoded, once')
  const text = signedText(appId, message)
  if ('problem' in text) return invalid(text.problem)
  const digest = Buffer.from(createHash('sha512').update(text.bytes).digest('hex'))
  // Without a key, a decoy makes the verification take the same time.
  const holds = opensTo(digest, ciphertext, key?.privateKey ?? decoy)
  if (key === undefined || key.end <= now) return invalid('the app has no key for legacy Ukey1 signatures')
  if (!holds) return invalid('X-Ukey1-Signature does not match the received request')
  return {
    ok: true,
    keyId: key.id,
    nonce: createHash('sha256').update(ciphertext).digest('base64url'),
    usableUntil: key.end, // the signature contains no time
  }
}

/** The ciphertext, if it is in canonical form. Another spelling would count as another nonce. */
function parseSignature(lines: readonly string[]): Buffer | undefined {
  const [line, second] = lines
  if (line === undefined || second !== undefined || line.length > MOST_CHARACTERS) return undefined
  let base64: string
  try {
    base64 = decodeURIComponent(line)
  } catch {
    return undefined
  }
  const bytes = Buffer.from(base64, 'base64')
  const isOnly = bytes.toString('base64') === base64 && encodeURIComponent(base64) === line
  return isOnly && bytes.length === MODULUS.modulusLength / 8 ? bytes : undefined
}

/** The bytes that the client hashed, or the reason why they cannot be determined. */
function signedText(appId: string, message: SignedMessage): { bytes: Buffer } | { problem: string } {
  const { method, target, body } = message
  if (!METHODS.has(method)) return { problem: `the method is not one of ${[...METHODS].join(', ')}` }
  if (!PATHS.has(target)) return { problem: 'the target is not a Ukey1 path without a query' }
  if (body.kind === 'unavailable') return { problem: 'the bytes of the body were not kept' }
  const content = body.kind === 'bytes' ? Buffer.from(body.bytes) : Buffer.alloc(0)
  if (content.length > 0 && (content[0] !== OPEN || content.at(-1) !== CLOSE)) {
    return { problem: 'the body is not a JSON object' }
  }
  const authorizations = message.header('authorization')
  if (authorizations.length > 1) return { problem: 'header `authorization` was sent more than once' }
  const [authorization] = authorizations
  const token = authorization === undefined ? '' : TOKEN.exec(authorization)?.[1]
  if (token === undefined) return { problem: '`authorization` is not a bearer token' }
  return { bytes: Buffer.concat([Buffer.from(appId + method + target), content, Buffer.from(token)]) }
}

const OPEN = '{'.charCodeAt(0)
const CLOSE = '}'.charCodeAt(0)

function opensTo(expected: Buffer, ciphertext: Buffer, key: KeyObject): boolean {
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  try {
    const opened = privateDecrypt({ key, padding, oaepHash: 'sha1' }, ciphertext)
    return opened.length === expected.length && timingSafeEqual(opened, expected)
  } catch {
    return false
  }
}

function fingerprintOf(privateKey: KeyObject): string {
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(spki).digest('base64url').slice(0, 12)
}

function storageKey(appId: string): string {
  return `ukey1:${appId}`
}

function invalid(detail: string): Rejected {
  return { ok: false, code: 'SIGNATURE_INVALID', detail }
}
