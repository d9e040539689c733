import { randomBytes } from 'node:crypto'

/**
 * Names of writes: the time, the process, and a number. Of fixed length and hexadecimal, so that the later has the greater name by
 * whatever rule Redis sorts texts.
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
