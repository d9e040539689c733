import { hash as hashOnce, timingSafeEqual } from 'node:crypto'
import { isArrayBuffer } from 'node:util/types'
import { readDictionary } from './structured.ts'

/** The content of a request, as far as it is available. */
export type Content =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** There is content, but its bytes were not kept. `digested`: its digest is checked while the bytes arrive. */
  | { readonly kind: 'unavailable'; readonly digested?: true }

/** Whether there is content to protect. An empty body is no content. */
export function hasContent(content: Content): boolean {
  return content.kind === 'unavailable' || (content.kind === 'bytes' && content.bytes.length > 0)
}

/** The server's fault: without the bytes, it cannot check any digest. */
const BYTES_NOT_KEPT =
  'this server has not kept the bytes of the body: mount bodyParsers() before serverOnly, with `keep` for types other than JSON and forms'

/**
 * Why a `Content-Digest` header (RFC 9530) does not match the content, or `undefined` if it does. Only `sha-256` and
 * `sha-512` are supported. At least one of them is required, and every one that was sent must match.
 */
export function digestProblem(lines: readonly string[], content: Content): string | undefined {
  if (content.kind === 'unavailable' && content.digested !== true) {
    return BYTES_NOT_KEPT
  }
  const digests = readDigests(lines)
  if ('problem' in digests) return digests.problem
  if (content.kind === 'unavailable') return undefined
  const bytes = content.kind === 'bytes' ? content.bytes : NO_BYTES
  // As a string, which Node passes from native code faster than a buffer.
  return mismatchOf(digests, ({ hash }) => Buffer.from(hashOnce(hash, bytes, 'binary'), 'latin1'))
}

/** A digest that the caller sent. */
export interface SentDigest {
  readonly name: string
  /** The name of the algorithm in `node:crypto`. */
  readonly hash: string
  readonly value: Uint8Array
}

/** The digests with known algorithms in a `Content-Digest` header, at least one, or why there are none. */
export function readDigests(lines: readonly string[]): readonly SentDigest[] | { readonly problem: string } {
  const digests = readDictionary(lines)
  if (digests === undefined) return { problem: 'Content-Digest is not a dictionary, or repeats a key' }
  const sent: SentDigest[] = []
  for (const { name, hash, length } of KNOWN) {
    const digest = digests.get(name)?.[0] as unknown
    if (digest === undefined) continue
    if (!isArrayBuffer(digest) || digest.byteLength !== length) {
      return { problem: `the ${name} digest is malformed` }
    }
    sent.push({ name, hash, value: new Uint8Array(digest) })
  }
  return sent.length > 0 ? sent : { problem: 'Content-Digest has neither sha-256 nor sha-512' }
}

/** Why the digests do not match the content, or `undefined` if they do. */
export function mismatchOf(
  digests: readonly SentDigest[],
  digestOf: (sent: SentDigest) => Uint8Array,
): string | undefined {
  for (const sent of digests) {
    if (!timingSafeEqual(sent.value, digestOf(sent))) {
      return `the ${sent.name} digest does not match the content`
    }
  }
  return undefined
}

const KNOWN = [
  { name: 'sha-256', hash: 'sha256', length: 32 },
  { name: 'sha-512', hash: 'sha512', length: 64 },
] as const

const NO_BYTES = new Uint8Array(0)
