import { createPublicKey, createSecretKey, verify, type KeyObject } from 'node:crypto'
import { PolicyError, type PolicyIssue } from '../errors.ts'
import { INSTANT_RULE, parseInstant } from '../instant.ts'
import { isKeyId } from '../names.ts'
import { LEAST_SECRET_BYTES } from './base.ts'
import { hmacSha256, type Mac } from './hmac.ts'

/** A key of an app, with which its servers sign requests. */
export interface AppKey {
  /** 1-128 characters of `A-Z a-z 0-9 . _ : -`; the `keyid` of a signature. */
  readonly id: string
  readonly algorithm: 'hmac-sha256' | 'ed25519'
  /** Base64. For `hmac-sha256` the secret, at least 32 bytes; for `ed25519` the public key, its 32 raw bytes. */
  readonly secret: string
  /** ISO 8601; before it the key is not accepted. */
  readonly notBefore?: string | undefined
  /** ISO 8601; from it on the key is not accepted. */
  readonly notAfter?: string | undefined
}

/** A key that checks signatures. The secret can neither be read from it nor printed. */
export class VerifierKey {
  readonly id: string
  readonly algorithm: AppKey['algorithm']
  /** Milliseconds since the epoch; before it the key is not accepted. */
  readonly notBefore: number | undefined
  /** Milliseconds since the epoch; from it on the key is not accepted. */
  readonly notAfter: number | undefined
  /** How long a signature by this key is, in bytes. */
  readonly signatureLength: number
  // A private field is not seen by util.inspect, JSON.stringify, structuredClone or a spread.
  readonly #key: KeyObject
  readonly #mac: Mac | undefined

  constructor(
    id: string,
    algorithm: AppKey['algorithm'],
    key: KeyObject,
    notBefore?: number | undefined,
    notAfter?: number | undefined,
  ) {
    this.id = id
    this.algorithm = algorithm
    this.notBefore = notBefore
    this.notAfter = notAfter
    this.signatureLength = SIGNATURE_LENGTHS[algorithm]
    this.#key = key
    this.#mac = algorithm === 'hmac-sha256' ? hmacSha256(key) : undefined
  }

  /** Whether this is, in base64, the signature of the text, which must be ASCII. Takes the same time for every wrong one. */
  holds(text: string, signature: string): boolean {
    if (this.#mac !== undefined) return this.#mac.holds(text, signature)
    return verify(null, Buffer.from(text, 'latin1'), this.#key, Buffer.from(signature, 'base64'))
  }

  /** The key of somebody who takes the base64 text of the secret for the secret itself, to find that mistake. */
  takenForText(): VerifierKey {
    if (this.algorithm === 'ed25519') return this
    return new VerifierKey(
      this.id,
      this.algorithm,
      createSecretKey(Buffer.from(this.#key.export().toString('base64'))),
    )
  }
}

const SIGNATURE_LENGTHS = { 'hmac-sha256': 32, ed25519: 64 } as const

const DECOYS = [
  new VerifierKey('', 'hmac-sha256', createSecretKey(new Uint8Array(LEAST_SECRET_BYTES))),
  // RFC 8032 7.1, test 1: any point of full order does.
  new VerifierKey(
    '',
    'ed25519',
    ed25519Key(Buffer.from('11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=', 'base64')),
  ),
]

/**
 * A key of nobody, to do the same work with as with a real one for a signature of this length; `undefined` when no
 * key makes signatures of this length. What it says about a signature must not be believed.
 */
export function decoyFor(signatureLength: number): VerifierKey | undefined {
  for (const decoy of DECOYS) if (decoy.signatureLength === signatureLength) return decoy
  return undefined
}

/** The key with this id. Looks at all of them, so that the time tells nothing of its place. */
export function findKey(keys: readonly VerifierKey[], id: string): VerifierKey | undefined {
  let found: VerifierKey | undefined
  for (const key of keys) if (key.id === id) found = key
  return found
}

/** An app with more is refused: each signature is compared with the ids of all. */
const MOST_KEYS = 100

/**
 * The keys of an app as they came from a store. Throws a `PolicyError` with every reason when they are not in order;
 * no reason shows anything of a secret. `name` is what they are called in it.
 */
export function parseAppKeys(keys: unknown, name = 'keys'): readonly VerifierKey[] {
  if (!Array.isArray(keys)) throw new PolicyError([{ path: name, message: 'must be an array' }])
  if (keys.length > MOST_KEYS)
    throw new PolicyError([{ path: name, message: `must be at most ${MOST_KEYS} keys` }])
  const issues: PolicyIssue[] = []
  const parsed: VerifierKey[] = []
  const ids = new Set<string>()
  for (const [index, given] of keys.entries()) {
    const path = `${name}[${index}]`
    const key = parseAppKey(given, (member, message) => {
      issues.push({ path: member === '' ? path : `${path}.${member}`, message })
    })
    if (key === undefined) continue
    if (ids.has(key.id)) issues.push({ path: `${path}.id`, message: 'is the id of an earlier key too' })
    ids.add(key.id)
    parsed.push(key)
  }
  if (issues.length > 0) throw new PolicyError(issues)
  return Object.freeze(parsed)
}

const MEMBERS: ReadonlySet<string> = new Set(['id', 'algorithm', 'secret', 'notBefore', 'notAfter'])

type Report = (member: string, message: string) => void

function parseAppKey(given: unknown, refuse: Report): VerifierKey | undefined {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    refuse('', 'must be an object')
    return undefined
  }
  // Own members only: what a prototype holds was never written by anyone.
  const members = new Map<string, unknown>(Object.entries(given))
  for (const name of members.keys()) {
    // The name is not shown: a secret may have slipped into it.
    if (!MEMBERS.has(name)) refuse('', `has a member other than ${[...MEMBERS].join(', ')}`)
  }
  const id = members.get('id')
  const idIsGood = isKeyId(id)
  if (!idIsGood) refuse('id', 'must be 1 to 128 characters of A-Z a-z 0-9 . _ : -')
  const algorithm = members.get('algorithm')
  const key = parseSecret(algorithm, members.get('secret'), refuse)
  const notBefore = readInstant(members.get('notBefore'), 'notBefore', refuse)
  const notAfter = readInstant(members.get('notAfter'), 'notAfter', refuse)
  if (notBefore !== undefined && notAfter !== undefined && notBefore >= notAfter) {
    refuse('notAfter', 'must be after `notBefore`')
  }
  if (!idIsGood || key === undefined) return undefined
  return new VerifierKey(id, algorithm as AppKey['algorithm'], key, notBefore, notAfter)
}

function parseSecret(algorithm: unknown, secret: unknown, refuse: Report): KeyObject | undefined {
  if (algorithm !== 'hmac-sha256' && algorithm !== 'ed25519') {
    refuse('algorithm', 'must be `hmac-sha256` or `ed25519`')
    return undefined
  }
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'base64') : undefined
  // Node skips what is not base64, so only what it prints back was base64.
  if (bytes === undefined || bytes.length === 0 || bytes.toString('base64') !== secret) {
    refuse('secret', 'must be base64 with padding')
    return undefined
  }
  if (algorithm === 'hmac-sha256') {
    if (bytes.length >= LEAST_SECRET_BYTES) return createSecretKey(bytes)
    refuse('secret', `must be at least ${LEAST_SECRET_BYTES} bytes long`)
    return undefined
  }
  if (bytes.length !== 32) refuse('secret', 'must be the 32 raw bytes of an Ed25519 public key')
  else if (isOfSmallOrder(bytes)) refuse('secret', 'is a point of small order, for which anyone can sign')
  else return ed25519Key(bytes)
  return undefined
}

function ed25519Key(bytes: Buffer): KeyObject {
  return createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') },
    format: 'jwk',
  })
}

// The y coordinates of the eight points of small order, little-endian, with the two that are written unreduced.
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
])

function isOfSmallOrder(publicKey: Buffer): boolean {
  const y = Buffer.from(publicKey)
  y[31] = (y[31] ?? 0) & 0x7f // the highest bit is the sign of x
  return SMALL_ORDER.has(y.toString('hex'))
}

function readInstant(given: unknown, member: string, refuse: Report): number | undefined {
  if (given === undefined) return undefined
  const instant = parseInstant(given)
  if (instant === undefined) refuse(member, INSTANT_RULE)
  return instant
}
