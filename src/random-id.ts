import { randomFillSync } from 'node:crypto'

/** The number of ids for which random bytes are requested at a time. */
const AT_ONCE = 128
const LENGTH = 16

const pool = Buffer.alloc(AT_ONCE * LENGTH)
let used = pool.length

const DIGITS = Buffer.from('0123456789abcdef')
/** The position of each byte's digits in the text. */
const PLACES = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34]
const text = Buffer.from('00000000-0000-0000-0000-000000000000')

/**
 * Returns a random UUID (RFC 9562, version 4). It is written into one buffer, because `randomUUID` of `node:crypto` concatenates
 * twenty strings and takes ten times the memory. Each audited request needs two ids.
 */
export function randomId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  for (let index = 0; index < LENGTH; index += 1) {
    let byte = pool[used + index] as number
    if (index === 6) byte = (byte & 0x0f) | 0x40
    else if (index === 8) byte = (byte & 0x3f) | 0x80
    const place = PLACES[index] as number
    text[place] = DIGITS[byte >> 4] as number
    text[place + 1] = DIGITS[byte & 15] as number
  }
  // Ids that were handed out must not be readable from the pool.
  pool.fill(0, used, used + LENGTH)
  used += LENGTH
  return text.toString('latin1')
}
