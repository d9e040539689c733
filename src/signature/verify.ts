import { baseText, type MessageParts } from './base.ts'
import { digestProblem, hasContent, type Content } from './digest.ts'
import { readSignatures, type ReceivedSignature } from './fields.ts'
import type { ReadSignature } from './read-signature.ts'
import { decoyFor, findKey, type VerifierKey } from './keys.ts'
import { structuredFields } from './structured.ts'

/** A request as the verifier needs it: as received, before anything normalised or parsed it. */
export interface SignedMessage extends MessageParts {
  readonly body: Content
}

/** What the policy of the app asks of a signature. */
export interface SignatureRules {
  /** How far `created` may be from now, into the past and into the future, in seconds. */
  readonly maxAge: number
  /** Whether content must come with a covered `Content-Digest`. One that was sent must be covered and match anyway. */
  readonly requireDigest: boolean
}

/** The signature holds. Whether its nonce was used before is another question. */
export interface Verified {
  readonly ok: true
  /** Which key it was, for the trail. */
  readonly keyId: string
  /** What no second message by this key may have: 1 to 256 characters. */
  readonly nonce: string
  /** Milliseconds since the epoch; after it the message is refused for its age, so its nonce can be forgotten. */
  readonly usableUntil: number
}

/** A signature of RFC 9421 that holds. */
export interface VerifiedSignature extends Verified {
  /** Seconds since the epoch. */
  readonly created: number
  /** Seconds since the epoch. */
  readonly expires?: number
  readonly label: string
}

export interface Rejected {
  readonly ok: false
  readonly code: 'SIGNATURE_REQUIRED' | 'SIGNATURE_INVALID' | 'SIGNATURE_EXPIRED' | 'DIGEST_MISMATCH'
  /** For operators; never sent to the caller. */
  readonly detail: string
}

/**
 * Checks the signature of a request (RFC 9421) by the keys of the app that it claims to come from.
 *
 * Only who holds a key is told more than `SIGNATURE_INVALID`: the time window and the digest are judged after the
 * signature has been found to hold. An unknown key costs as much as a known one.
 *
 * @param now milliseconds since the epoch
 * @param tag which `tag` the signature must have; without it, that of the signature does not matter
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
    return reject('SIGNATURE_REQUIRED', 'there is no Signature')
  }
  const received = readSignatures(inputLines, signatureLines)
  if ('problem' in received) return invalid(received.problem)
  const choice = choose(received, keys, tag)
  const signature = choice.received.content
  if ('problem' in signature) return invalid(signature.problem)
  const decoy = decoyFor(signature.signatureLength)
  if (decoy === undefined) return invalid('the signature has a length that no algorithm makes')
  const unfit = coverageProblem(message, signature, rules)
  if (unfit !== undefined) return invalid(unfit)
  const { components, input, outline } = signature
  const base = baseText(message, components, input, structuredFields, outline)
  if (typeof base !== 'string') return invalid(base.problem)

  const problem = choice.problem ?? keyProblem(choice.key, signature, now)
  const key = problem === undefined ? choice.key : undefined
  const holds = (key ?? decoy).holds(base, signature.signature)
  if (key === undefined) return invalid(problem ?? 'no key')
  if (!holds) return invalid(`the signature by key \`${key.id}\` does not match what was received`)

  const usableUntil = Math.min(signature.created + rules.maxAge, signature.expires ?? Infinity) * 1000
  const late = timeProblem(signature, rules, usableUntil, now)
  if (late !== undefined) return reject('SIGNATURE_EXPIRED', late)
  if (signature.coverage.contentDigest) {
    const mismatch = digestProblem(message.header('content-digest'), message.body)
    if (mismatch !== undefined) return reject('DIGEST_MISMATCH', mismatch)
  }
  const { keyId, nonce, created, expires } = signature
  const { label } = choice.received
  const verified: VerifiedSignature = { ok: true, keyId, nonce, created, label, usableUntil }
  return expires === undefined ? verified : { ...verified, expires }
}

export interface Choice {
  readonly received: ReceivedSignature
  readonly key: VerifierKey | undefined
  readonly problem?: string
}

/**
 * The one signature that has the tag, if one is asked for, and is by a key of the app; others, such as those of a proxy,
 * are nobody's business here. Two are refused: each has its own nonce, so that claiming one would leave the other to be
 * replayed by itself.
 */
export function choose(
  received: readonly ReceivedSignature[],
  keys: readonly VerifierKey[],
  tag: string | undefined,
): Choice {
  let ours: Choice | undefined
  for (const one of received) {
    if (one.keyId === undefined || (tag !== undefined && one.tag !== tag)) continue
    const key = findKey(keys, one.keyId)
    if (key === undefined) continue
    if (ours !== undefined)
      return { ...ours, problem: 'more than one signature is by a key of the app: send one' }
    ours = { received: one, key }
  }
  return (
    ours ?? {
      received: received[0] as ReceivedSignature,
      key: undefined,
      problem: `no signature ${tag === undefined ? '' : `with the tag \`${tag}\` `}is by a key of the app`,
    }
  )
}

/**
 * Why this signature does not cover what it must, whatever its sender thinks. `x-origin` and `content-digest` must be
 * covered where they were sent, since they are relied upon.
 */
function coverageProblem(
  message: SignedMessage,
  { coverage }: ReadSignature,
  { requireDigest }: SignatureRules,
): string | undefined {
  const { missing, contentDigest, xOrigin } = coverage
  const noDigest =
    !contentDigest &&
    ((requireDigest && hasContent(message.body)) || message.header('content-digest').length > 0)
  const noOrigin = !xOrigin && message.header('x-origin').length > 0
  if (missing.length === 0 && !noDigest && !noOrigin) return undefined
  const names = [...missing, ...(noDigest ? ['content-digest'] : []), ...(noOrigin ? ['x-origin'] : [])]
  return `not covered: ${names.join(', ')}`
}

function keyProblem(key: VerifierKey | undefined, signature: ReadSignature, now: number): string | undefined {
  if (key === undefined) return 'no signature is by a key of the app'
  if (key.notBefore !== undefined && now < key.notBefore) return `key \`${key.id}\` is not valid yet`
  if (key.notAfter !== undefined && now >= key.notAfter) return `key \`${key.id}\` is not valid any more`
  // The algorithm belongs to the key; the message may repeat it but not choose it.
  if (signature.algorithm !== undefined && signature.algorithm !== key.algorithm) {
    return `\`alg\` is not the algorithm of key \`${key.id}\``
  }
  if (signature.signatureLength !== key.signatureLength) return `the signature is not one of ${key.algorithm}`
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
    return `created ${Math.round(early / 1000)} s in the future, more than ${maxAge} s`
  if (now <= usableUntil) return undefined
  if (expires !== undefined && expires * 1000 === usableUntil)
    return `expired ${seconds(now - usableUntil)} s ago`
  return `created ${seconds(-early)} s ago, more than ${maxAge} s`
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
