import { checkOptions } from '../options.ts'
import { quote } from './components.ts'
import { hasContent } from './digest.ts'
import { diagnose } from './doctor.ts'
import type { SignatureScheme } from './scheme.ts'
import { verifyMessage, type SignedMessage } from './verify.ts'

export interface HttpMessageSignaturesOptions {
  /**
   * The `tag` of the signatures that are accepted (RFC 9421 2.3): 1 to 128 printable ASCII characters. Default: any tag; the
   * signature is then identified only by its key.
   */
  readonly tag?: string | undefined
}

/**
 * The default scheme of `serverOnly`: HTTP message signatures (RFC 9421) with digests of RFC 9530. The key determines the
 * algorithm: `hmac-sha256` or `ed25519`.
 *
 * @throws ConfigError
 */
export function httpMessageSignatures(options: HttpMessageSignaturesOptions = {}): SignatureScheme {
  const { tag } = checkOptions<HttpMessageSignaturesOptions>('httpMessageSignatures', options, {
    tag: {
      expected: '1 to 128 printable ASCII characters',
      accepts: (value) => typeof value === 'string' && /^[\x20-\x7e]{1,128}$/.test(value),
    },
  })
  return {
    name: 'http-message-signatures',
    verify: (message, { keys, rules, now }) => verifyMessage(message, keys, rules, now, tag),
    diagnose: (message, { keys }, options) => diagnose(message, keys, tag, options),
    challenge: (message) => ({ 'Accept-Signature': acceptSignature(message, tag) }),
  }
}

/** RFC 9421 5.1: what a signature of this message should cover. It reveals nothing about an app. */
function acceptSignature(message: SignedMessage, tag: string | undefined): string {
  const components = ['@method', '@authority', '@path', '@query']
  if (hasContent(message.body)) {
    components.push('content-digest')
    if (message.header('content-type').length > 0) components.push('content-type')
  }
  if (message.header('x-origin').length > 0) components.push('x-origin')
  return `sig1=(${components.map(quote).join(' ')});created${tag === undefined ? '' : `;tag=${quote(tag)}`}`
}
