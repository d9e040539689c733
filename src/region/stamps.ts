import { randomBytes } from 'node:crypto'

/**
 * Names for writes, from the time, the process and a counter. They have a fixed length and are hexadecimal, so a later write has
 * a greater name, whatever string comparison Redis uses.
 */
export function createStamps(now: () => number): () => string {
  const writer = randomBytes(6).toString('hex')
  let last = 0
  let count = 0
  return () => {
    last = Math.max(last, Math.floor(now()))
    count = (count + 1) % 0x1_0000_0000
    return hex(last, 12) + hex(count, 8) + writer
  }
}

function hex(number: number, length: number): string {
  return number.toString(16).padStart(length, '0')
}
