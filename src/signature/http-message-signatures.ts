import { hasContent } from './digest.ts'
import type { SignatureScheme } from './scheme.ts'
import { verifyMessage, type SignedMessage } from './verify.ts'

/**
 * The scheme that `serverOnly` uses by default: HTTP message signatures (RFC 9421) with digests of RFC 9530, by
 * `hmac-sha256` or `ed25519`, as the key says.
 */
export function httpMessageSignatures(): SignatureScheme {
  return {
    name: 'http-message-signatures',
    verify: (message, { keys, rules, now }) => verifyMessage(message, keys, rules, now),
    challenge: (message) => ({ 'Accept-Signature': acceptSignature(message) }),
  }
}

/** RFC 9421 5.1: what a signature of this message should cover. It tells nothing of an app. */
function acceptSignature(message: SignedMessage): string {
  const components = ['@method', '@authority', '@path', '@query']
  if (hasContent(message.body)) components.push('content-digest')
  if (message.header('x-origin').length > 0) components.push('x-origin')
  return `sig1=(${components.map((name) => `"${name}"`).join(' ')});created`
}
