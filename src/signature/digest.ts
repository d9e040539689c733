import { createHash, timingSafeEqual } from 'node:crypto'
import { isArrayBuffer } from 'node:util/types'
import { readDictionary } from './structured.ts'

/** The content of a request as far as it is at hand. */
export type Content =
  | { readonly kind: 'none' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** There is content, but its bytes were not kept. */
  | { readonly kind: 'unavailable' }

/** Whether there is anything to protect. Content of no bytes is no content. */
export function hasContent(content: Content): boolean {
  return content.kind === 'unavailable' || (content.kind === 'bytes' && content.bytes.length > 0)
}

/** Not the caller's fault: the server cannot check any digest. */
const BYTES_NOT_KEPT =
  'this server has not kept the bytes of the body: mount bodyParsers() ahead of serverOnly, in place of other body parsers'

/**
 * Why the lines of a `Content-Digest` header (RFC 9530) do not hold for this content, or `undefined` when they do.
 * Of the algorithms only `sha-256` and `sha-512` are known; one must be there, and every one that is must match.
 */
export function digestProblem(lines: readonly string[], content: Content): string | undefined {
  if (content.kind === 'unavailable') {
    return BYTES_NOT_KEPT
  }
  const digests = readDictionary(lines)
  if (digests === undefined) return 'Content-Digest is not a dictionary without repetitions'
  const bytes = content.kind === 'bytes' ? content.bytes : NO_BYTES
  let matched = 0
  for (const [name, hash] of KNOWN) {
    const digest = digests.get(name)?.[0] as unknown
    if (digest === undefined) continue
    const expected = createHash(hash).update(bytes).digest()
    if (!isArrayBuffer(digest) || digest.byteLength !== expected.length)
      return `the ${name} digest is malformed`
    if (!timingSafeEqual(new Uint8Array(digest), expected))
      return `the ${name} digest does not match the content`
    matched++
  }
  return matched > 0 ? undefined : 'Content-Digest has neither sha-256 nor sha-512'
}

const KNOWN = [
  ['sha-256', 'sha256'],
  ['sha-512', 'sha512'],
] as const

const NO_BYTES = new Uint8Array(0)
