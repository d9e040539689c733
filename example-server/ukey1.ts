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
 * LEGACY: the scheme of the SDKs of Ukey1, which ended in 2020. Give your apps keys for HTTP message signatures.
 *
 * An SDK sends `X-Ukey1-App`, `X-Origin` and `X-Ukey1-Signature`: the URI-encoded base64 of SHA-512, in hexadecimal, of app
 * id, method, path, the body if there is one, and the access token if there is one, without anything between; encrypted by
 * RSA-OAEP (SHA-1) to a public key that was handed out as the "Secret Key" of the app. The signature covers neither a
 * time nor a nonce, nor host, query and `X-Origin`. What is made of that here:
 *
 * - Each ciphertext passes once. It is remembered until its key ends, so there is no later time at which it could pass
 *   again; a key is good for 90 days. But one that was caught and held back passes until then, unless it was used.
 * - A query is refused, for it could be changed. `X-Origin` is worth no more than a claim.
 * - Fields without a border between could be split in another way. They cannot be here: of the few methods and paths none is
 *   the beginning of another, and a body is the text of an object, so that there is one way.
 *
 * Only the apps of `UKEY1_LEGACY_APPS` may sign like that, and only where there is no HTTP message signature.
 */

const KEY_LIFETIME = 90 * 24 * 60 * 60_000
const MODULUS = { modulusLength: 2048 }

/** A ciphertext of a 2048-bit key takes 344 characters of base64, and no more than three times that in a URI. */
const MOST_CHARACTERS = 1032

// What the SDKs send. None is the beginning of another, and only a body has braces: so the text has one split.
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'DELETE'])
const PATHS: ReadonlySet<string> = new Set(['/auth/v2/connect', '/auth/v2/token', '/auth/v2/me'])
const TOKEN = /^Bearer ([\w.-]+)$/

interface StoredKey {
  readonly pkcs8: string
  readonly end: number
}

interface Key {
  readonly privateKey: KeyObject
  /** Tells keys of an app apart; says nothing of the key. */
  readonly id: string
  /** In milliseconds since the epoch. */
  readonly end: number
}

export interface Ukey1 {
  /** Makes a key for an app that has none, and answers with its "Secret Key"; it is not kept in this form. */
  issue(appId: string): Promise<string | undefined>
  /** Goes ahead of the parsers and of `serverOnly`: the SDK for Node names no content type. */
  readonly prepare: RequestHandler
  /** The app id of either kind of caller. */
  appId(req: Parameters<ReturnType<typeof appIdFrom>>[0]): string | undefined
  /** HTTP message signatures, and the old scheme for apps that have a key for it. */
  readonly scheme: SignatureScheme
  /** What SDKs verify on the return URL: RSA-SHA512, in base64; `undefined` for an app that has no key. */
  signAnswer(appId: string, answer: Readonly<Record<string, string>>): Promise<string | undefined>
}

/** The old scheme for these apps, with their private keys sealed in the storage. */
export function createUkey1(
  { storage, vault, apps }: { storage: Storage; vault: Vault; apps: readonly string[] },
  now: () => number = Date.now,
): Ukey1 {
  const standard = httpMessageSignatures()
  const ownId = appIdFrom({ header: 'x-app-id' })
  const theirId = appIdFrom({ header: 'x-ukey1-app' })
  // Never more than `apps`. It is read anew for each request, so that a key which is removed is gone at once.
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

/** A message that has both kinds of signatures is judged by the better one. */
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
  // The same work with a key of nobody.
  const holds = opensTo(digest, ciphertext, key?.privateKey ?? decoy)
  if (key === undefined || key.end <= now) return invalid('the app has no key for legacy Ukey1 signatures')
  if (!holds) return invalid('X-Ukey1-Signature does not match the received request')
  return {
    ok: true,
    keyId: key.id,
    nonce: createHash('sha256').update(ciphertext).digest('base64url'),
    usableUntil: key.end, // it does not say when it was made
  }
}

/** The ciphertext, if this is the one way to write it: each other way would be another nonce to the eye. */
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

/** What a client has made the digest of, or why there is no telling. */
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
