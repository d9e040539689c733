import { baseText, type MessageParts } from './base.ts'
import { digestProblem, hasContent, type Content } from './digest.ts'
import { readSignatures, type ReceivedSignature } from './fields.ts'
import type { ReadSignature } from './read-signature.ts'
import { decoysFor, findKey, type VerifierKey } from './keys.ts'
import { keepReading } from './kept-reading.ts'
import type { SchemeRefusalCode } from './refusals.ts'
import { rememberShape } from './scan.ts'
import { structuredFields } from './structured.ts'

/** A request as received, before anything normalises or parses it. */
export interface SignedMessage extends MessageParts {
  readonly body: Content
  /** Left out if handlers see `method` as received. */
  readonly methodOverride?: MethodOverride | undefined
}

/** A method that was changed after the message was received, for example by `method-override`. */
export interface MethodOverride {
  /** The method that handlers see. */
  readonly method: string
  /**
   * The headers, in lower case, that name this method. Empty if none does: the method was then in the query or the body, or
   * the server itself changed it.
   */
  readonly headers: readonly string[]
}

/** What an app's policy requires of a signature. */
export interface SignatureRules {
  /** The largest difference between `created` and now, in either direction, in seconds. */
  readonly maxAge: number
  /** Whether content requires a covered `Content-Digest`. A digest that was sent must always be covered and match. */
  readonly requireDigest: boolean
  /** Whether the `Content-Type` of content must be covered if it was sent. */
  readonly requireContentType: boolean
}

/** The signature is valid. Its nonce has not been checked yet. */
export interface Verified {
  readonly ok: true
  /** The id of the key, for the trail. */
  readonly keyId: string
  /** The nonce, 1 to 256 characters. No other message signed with this key may have it. */
  readonly nonce: string
  /** Milliseconds since the epoch. After this time, the message is refused as too old, so its nonce can be forgotten. */
  readonly usableUntil: number
}

/** A valid signature of RFC 9421. */
export interface VerifiedSignature extends Verified {
  /** Seconds since the epoch. */
  readonly created: number
  /** Seconds since the epoch. */
  readonly expires?: number
  readonly label: string
}

export interface Rejected {
  readonly ok: false
  readonly code: SchemeRefusalCode
  /** For operators; never sent to the caller. */
  readonly detail: string
}

/**
 * Verifies the signature of a request (RFC 9421) with the keys of the app that it claims to come from.
 *
 * Checks that depend only on the message come first, and are the same for every sender. Only callers that have a key learn
 * more than `SIGNATURE_INVALID`: the time window and the digest are checked after the signature. An unknown key takes as much
 * time as a known one.
 *
 * @param now milliseconds since the epoch
 * @param tag the `tag` that the signature must have; by default, any tag is accepted
 */
export function verifyMessage(
  message: SignedMessage,
  keys: readonly VerifierKey[],
  rules: SignatureRules,
  now: number,
  tag?: string,
): VerifiedSignature | Rejected {
  const inputLines = message.header('signature-input')
  const signatureLines = message.header('signature')
  if (inputLines.length === 0 && signatureLines.length === 0) {
    return reject('SIGNATURE_REQUIRED', 'the request is not signed')
  }
  const received = readSignatures(inputLines, signatureLines)
  if ('problem' in received) return invalid(received.problem)
  const choice = choose(received, keys, tag)
  const signature = choice.received.content
  if ('problem' in signature) return invalid(signature.problem)
  const decoys = decoysFor(signature.signatureLength)
  if (decoys.length === 0) return invalid('the signature has a length that no algorithm produces')
  const unfit = coverageProblem(message, signature, rules)
  if (unfit !== undefined) return invalid(unfit)
  const { components, input, outline } = signature
  const base = baseText(message, components, input, structuredFields, outline)
  if (typeof base !== 'string') return invalid(base.problem)

  const problem = choice.problem ?? keyProblem(choice.key, signature, now)
  const key = problem === undefined ? choice.key : undefined
  const holds = check(key, decoys, base, signature.signature)
  if (key === undefined || !holds) {
    keepReading(message, choice.received, base)
    return invalid(problem ?? `the signature by key \`${key?.id ?? ''}\` does not match the received request`)
  }
  if (signature.shape !== undefined) rememberShape(signature.shape)
  return judgeHolding(message, choice.received.label, signature, rules, now)
}

/**
 * Verifies with the key, and with a decoy for every other algorithm whose signatures have the same length, so that the time
 * reveals neither whether the key exists nor its algorithm.
 */
function check(
  key: VerifierKey | undefined,
  decoys: readonly VerifierKey[],
  base: string,
  signature: string,
): boolean {
  let holds = false
  for (let index = 0; index < decoys.length; index += 1) {
    const decoy = decoys[index] as VerifierKey
    const own = key?.algorithm === decoy.algorithm
    const answer = (own ? key : decoy).holds(base, signature)
    if (own) holds = answer
  }
  return holds
}

/** Checks that follow a valid signature, so that no other caller learns their results. */
function judgeHolding(
  message: SignedMessage,
  label: string,
  signature: ReadSignature,
  rules: SignatureRules,
  now: number,
): VerifiedSignature | Rejected {
  const usableUntil = Math.min(signature.created + rules.maxAge, signature.expires ?? Infinity) * 1000
  const late = timeProblem(signature, rules, usableUntil, now)
  if (late !== undefined) return reject('SIGNATURE_EXPIRED', late)
  if (signature.coverage.contentDigest) {
    const mismatch = digestProblem(message.header('content-digest'), message.body)
    if (mismatch !== undefined) return reject('DIGEST_MISMATCH', mismatch)
  }
  const { keyId, nonce, created, expires } = signature
  const verified: VerifiedSignature = { ok: true, keyId, nonce, created, label, usableUntil }
  return expires === undefined ? verified : { ...verified, expires }
}

export interface Choice {
  readonly received: ReceivedSignature
  readonly key: VerifierKey | undefined
  readonly problem?: string
}

/**
 * Chooses the one signature by a key of the app, with the tag if one is required. Others, such as those of a proxy, are
 * ignored. Two are refused: each has its own nonce, so after one nonce is claimed, the other signature could still be
 * replayed.
 */
export function choose(
  received: readonly ReceivedSignature[],
  keys: readonly VerifierKey[],
  tag: string | undefined,
): Choice {
  let ours: Choice | undefined
  for (let index = 0; index < received.length; index += 1) {
    const one = received[index] as ReceivedSignature
    if (one.keyId === undefined || (tag !== undefined && one.tag !== tag)) continue
    const key = findKey(keys, one.keyId)
    if (key === undefined) continue
    if (ours !== undefined)
      return { ...ours, problem: 'more than one signature was made with a key of the app: send only one' }
    ours = { received: one, key }
  }
  return (
    ours ?? {
      received: received[0] as ReceivedSignature,
      key: undefined,
      problem: `no signature ${tag === undefined ? '' : `with the tag \`${tag}\` `}was made with a key of the app`,
    }
  )
}

/**
 * Why a signature does not cover what it must. `x-origin` and `content-digest` must be covered if they were sent, because the
 * server relies on them. So must the `content-type` of content, because another type gives the same bytes another meaning.
 */
function coverageProblem(
  message: SignedMessage,
  { coverage, components }: ReadSignature,
  { requireDigest, requireContentType }: SignatureRules,
): string | undefined {
  const { body, methodOverride } = message
  const { missing, contentDigest, contentType, xOrigin } = coverage
  const content = hasContent(body)
  const noDigest =
    !contentDigest && ((requireDigest && content) || message.header('content-digest').length > 0)
  const noType = !contentType && requireContentType && content && message.header('content-type').length > 0
  const noOrigin = !xOrigin && message.header('x-origin').length > 0
  const override =
    methodOverride === undefined ? NO_NAMES : uncoveredOverride(methodOverride, components, content)
  if (missing.length === 0 && !noDigest && !noType && !noOrigin && override.length === 0) return undefined
  const names = new Set(missing)
  if (noDigest) names.add('content-digest')
  if (noType) names.add('content-type')
  if (noOrigin) names.add('x-origin')
  for (const name of override) names.add(name)
  const reason = override.length === 0 ? '' : '; the method was changed after the request was received'
  return `not covered: ${[...names].join(', ')}${reason}`
}

const NO_NAMES: readonly string[] = []

/**
 * The parts that may have changed the method and are not covered. The query is always covered, and the digest covers the
 * body.
 */
function uncoveredOverride(
  { headers }: MethodOverride,
  components: ReadSignature['components'],
  content: boolean,
): readonly string[] {
  const sources = headers.length === 0 && content ? ['content-digest'] : headers
  return sources.filter((name) => !components.includes(name))
}

function keyProblem(key: VerifierKey | undefined, signature: ReadSignature, now: number): string | undefined {
  if (key === undefined) return 'no signature was made with a key of the app'
  if (key.notBefore !== undefined && now < key.notBefore) return `key \`${key.id}\` is not valid yet`
  if (key.notAfter !== undefined && now >= key.notAfter) return `key \`${key.id}\` is no longer valid`
  // The key determines the algorithm. The message may repeat it but not choose it.
  if (signature.algorithm !== undefined && signature.algorithm !== key.algorithm) {
    return `\`alg\` is not the algorithm of key \`${key.id}\``
  }
  if (signature.signatureLength !== key.signatureLength)
    return `the signature is not a valid ${key.algorithm} signature`
  return undefined
}

function timeProblem(
  { created, expires }: ReadSignature,
  { maxAge }: SignatureRules,
  usableUntil: number,
  now: number,
): string | undefined {
  const early = created * 1000 - now
  if (early > maxAge * 1000)
    return `created ${Math.round(early / 1000)} s in the future, more than the allowed ${maxAge} s`
  if (now <= usableUntil) return undefined
  if (expires !== undefined && expires * 1000 === usableUntil)
    return `expired ${seconds(now - usableUntil)} s ago`
  return `created ${seconds(-early)} s ago, more than the allowed ${maxAge} s`
}

function seconds(milliseconds: number): number {
  return Math.round(milliseconds / 1000)
}

function invalid(detail: string): Rejected {
  return reject('SIGNATURE_INVALID', detail)
}

function reject(code: Rejected['code'], detail: string): Rejected {
  return { ok: false, code, detail }
}
