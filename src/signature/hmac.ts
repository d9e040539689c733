import { createHmac, timingSafeEqual, type KeyObject } from 'node:crypto'

// Of SHA-256, in bytes.
const LENGTH = 32
/** The length of a code in base64. */
export const MAC_CHARACTERS = 44

/** Verifies HMAC-SHA256 (RFC 2104) with one key, by the functions of Node. */
export function plainHmac(key: KeyObject): {
  /** Whether a base64 code is valid for a text whose characters are bytes (Latin-1). */
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
