import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto'

// Of SHA-256, in bytes.
const LENGTH = 32
/** Of as many bytes in base64. */
export const MAC_CHARACTERS = 44

/** Checks HMAC-SHA256 (RFC 2104) by one key, as Node makes it. */
export function plainHmac(key: KeyObject): {
  /** Whether this is, in base64, the code of the text, of which each character is one byte. */
  holds(text: string, code: string): boolean
} {
  return {
    holds(text, code) {
      const received = Buffer.from(code, 'base64')
      const isOne = received.length === LENGTH && code.length === MAC_CHARACTERS && code.endsWith('=')
      const expected = createHmac('sha256', key).update(text, 'latin1').digest()
      return timingSafeEqual(expected, isOne ? received : NOT_RECEIVED) && isOne
    },
  }
}

const NOT_RECEIVED = Buffer.alloc(LENGTH)
