import { randomBytes } from 'node:crypto'
import type { Content } from '../../../src/signature/digest.ts'
import { parseAppKeys, type VerifierKey } from '../../../src/signature/keys.ts'
import type { SignedMessage } from '../../../src/signature/verify.ts'

/** A request as plain data, so that a test can change one part of it. */
export interface PlainMessage {
  method: string
  authority: string | undefined
  target: string
  scheme?: 'http' | 'https' | undefined
  headers: Readonly<Record<string, string | readonly string[]>>
  body?: string | Uint8Array | Content | undefined
}

export function messageOf({ headers, body, ...rest }: PlainMessage): SignedMessage {
  return {
    ...rest,
    header: (name) => (Object.hasOwn(headers, name) ? [headers[name] ?? []].flat() : []),
    body: contentOf(body),
  }
}

function contentOf(body: PlainMessage['body']): Content {
  if (body === undefined) return { kind: 'none' }
  if (typeof body === 'string') return { kind: 'bytes', bytes: Buffer.from(body) }
  return body instanceof Uint8Array ? { kind: 'bytes', bytes: body } : body
}

export const SECRET: string = randomBytes(32).toString('base64')

export const NOW = 1_750_000_000_000

export const RULES = { maxAge: 300, requireDigest: true, requireContentType: true }

export const KEYS: readonly VerifierKey[] = parseAppKeys([
  { id: 'key-1', algorithm: 'hmac-sha256', secret: SECRET },
])
