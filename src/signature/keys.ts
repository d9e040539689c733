import type { KeyObject } from 'node:crypto'
import { PolicyError, type PolicyIssue } from '../errors.ts'
import { INSTANT_RULE, parseInstant } from '../instant.ts'
import { isKeyId } from '../names.ts'
import { ALGORITHM_NAMES, ALGORITHMS, isAlgorithm, type AlgorithmName, type Checker } from './algorithms.ts'
import { LEAST_SECRET_BYTES } from './base.ts'
import { HEXADECIMAL, isHexadecimal } from './hexadecimal.ts'

/** A key of an app, with which its servers sign requests. */
export interface AppKey {
  /** 1-128 characters of `A-Z a-z 0-9 . _ : -`. The `keyid` of a signature. */
  readonly id: string
  readonly algorithm: AlgorithmName
  /** Base64. For `hmac-sha256`, the secret of at least 32 bytes; for `ed25519`, the 32 raw bytes of the public key. */
  readonly secret: string
  /** ISO 8601. The key is not accepted before this time. */
  readonly notBefore?: string | undefined
  /** ISO 8601. The key is not accepted from this time on. */
  readonly notAfter?: string | undefined
}

/** A key that verifies signatures. Its secret can be neither read nor printed. */
export class VerifierKey {
  readonly id: string
  readonly algorithm: AlgorithmName
  /** Milliseconds since the epoch. The key is not accepted before this time. */
  readonly notBefore: number | undefined
  /** Milliseconds since the epoch. The key is not accepted from this time on. */
  readonly notAfter: number | undefined
  /** The length of a signature by this key, in bytes. */
  readonly signatureLength: number
  // Private fields are hidden from `util.inspect`, `JSON.stringify`, `structuredClone` and spreads.
  readonly #key: KeyObject
  readonly #checker: Checker

  constructor(
    id: string,
    algorithm: AlgorithmName,
    key: KeyObject,
    notBefore?: number | undefined,
    notAfter?: number | undefined,
  ) {
    const { signatureLength, checker } = ALGORITHMS[algorithm]
    this.id = id
    this.algorithm = algorithm
    this.notBefore = notBefore
    this.notAfter = notAfter
    this.signatureLength = signatureLength
    this.#key = key
    this.#checker = checker(key)
  }

  /** Whether a base64 signature is valid for an ASCII text. The time is the same for every invalid signature. */
  holds(text: string, signature: string): boolean {
    return this.#checker.holds(text, signature)
  }

  /**
   * The checker for a signer that uses the base64 text of the secret as the secret. The doctor uses it to find this mistake.
   */
  takenForText(): Checker {
    return ALGORITHMS[this.algorithm].checkerOfText(this.#key)
  }
}

const NO_DECOYS: readonly VerifierKey[] = []

/** Created at the first signature, once per process, because reading the keys would add milliseconds to every start. */
let decoysByLength: ReadonlyMap<number, readonly VerifierKey[]> | undefined

function makeDecoys(): ReadonlyMap<number, readonly VerifierKey[]> {
  const decoys = ALGORITHM_NAMES.map((name) => {
    const key = ALGORITHMS[name].readKey(ALGORITHMS[name].decoy)
    if (typeof key === 'string') throw new TypeError(`the decoy of ${name} ${key}`)
    return new VerifierKey('', name, key)
  })
  return new Map(
    decoys.map(({ signatureLength }) => [
      signatureLength,
      decoys.filter((decoy) => decoy.signatureLength === signatureLength),
    ]),
  )
}

/**
 * For each algorithm with signatures of this length, a key that belongs to no app. Verifying with it takes the same time as
 * with a real key. Empty if no algorithm has this length. The result of a decoy must never be trusted.
 */
export function decoysFor(signatureLength: number): readonly VerifierKey[] {
  decoysByLength ??= makeDecoys()
  return decoysByLength.get(signatureLength) ?? NO_DECOYS
}

/** The key with this id. Compares all ids, so that the time does not depend on its position. */
export function findKey(keys: readonly VerifierKey[], id: string): VerifierKey | undefined {
  let found: VerifierKey | undefined
  for (let index = 0; index < keys.length; index += 1) {
    const key = keys[index] as VerifierKey
    if (key.id === id) found = key
  }
  return found
}

/** Each signature is compared with the ids of all keys, so their number is limited. */
const MOST_KEYS = 100

/**
 * Parses the keys of an app from a store. Throws a `PolicyError` with every reason if they are not valid; no reason contains
 * any part of a secret. `name` is the path of the keys in these reasons.
 */
export function parseAppKeys(keys: unknown, name = 'keys'): readonly VerifierKey[] {
  if (!Array.isArray(keys)) throw new PolicyError([{ path: name, message: 'must be an array' }])
  if (keys.length > MOST_KEYS)
    throw new PolicyError([{ path: name, message: `must have at most ${MOST_KEYS} keys` }])
  const issues: PolicyIssue[] = []
  const parsed: VerifierKey[] = []
  const ids = new Set<string>()
  for (const [index, given] of keys.entries()) {
    const path = `${name}[${index}]`
    const key = parseAppKey(given, (member, message) => {
      issues.push({ path: member === '' ? path : `${path}.${member}`, message })
    })
    if (key === undefined) continue
    if (ids.has(key.id)) issues.push({ path: `${path}.id`, message: 'is also the id of an earlier key' })
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
  // Only own properties, because inherited ones were not written in the document.
  const members = new Map<string, unknown>(Object.entries(given))
  for (const name of members.keys()) {
    // A long name is not shown, because it may be a misplaced secret.
    const shown = /^[A-Za-z]{1,16}$/.test(name) ? ` (\`${name}\`)` : ''
    if (!MEMBERS.has(name)) refuse('', `has a member other than ${[...MEMBERS].join(', ')}${shown}`)
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
  return new VerifierKey(id, algorithm as AlgorithmName, key, notBefore, notAfter)
}

function parseSecret(algorithm: unknown, secret: unknown, refuse: Report): KeyObject | undefined {
  if (!isAlgorithm(algorithm)) {
    const names = ALGORITHM_NAMES.map((name) => `\`${name}\``).join(' or ')
    refuse('algorithm', algorithm === undefined ? `is missing: expected ${names}` : `must be ${names}`)
    return undefined
  }
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'base64') : undefined
  // Node ignores invalid base64 characters, so the text must equal what Node prints.
  if (bytes === undefined || bytes.length === 0 || bytes.toString('base64') !== secret) {
    refuse(
      'secret',
      algorithm === 'hmac-sha256'
        ? `must be base64 with padding of at least ${LEAST_SECRET_BYTES} bytes, such as the result of \`randomBytes(32).toString('base64')\``
        : 'must be base64 with padding',
    )
    return undefined
  }
  if (isHexadecimal(secret)) {
    refuse('secret', `must be base64, got ${HEXADECIMAL}`)
    return undefined
  }
  const key = ALGORITHMS[algorithm].readKey(bytes)
  if (typeof key !== 'string') return key
  refuse('secret', key)
  return undefined
}

function readInstant(given: unknown, member: string, refuse: Report): number | undefined {
  if (given === undefined) return undefined
  const instant = parseInstant(given)
  if (instant === undefined) refuse(member, INSTANT_RULE)
  return instant
}
