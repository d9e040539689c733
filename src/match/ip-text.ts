/**
 * Reads addresses and ranges from text directly into words of 32 bits. Nothing is allocated, so a list of a million entries
 * creates no garbage. `scanned` contains the result until the next call.
 */
export const scanned = {
  /** The most significant word first; IPv4 uses the first one only. */
  words: new Uint32Array(4),
  prefix: 0,
}

/**
 * The spelling of the last IPv6 address: the index of the group at `::` (-1 if there is no `::`) and how many groups it
 * replaces.
 */
let gap = -1
let gapLength = 0
/** Whether it has no upper case, no leading zeros and no dotted tail. */
let plain = true

/** The longest spelling of an address: six full groups and a full dotted tail. */
const LONGEST_ADDRESS = 45
const LONGEST_RANGE = LONGEST_ADDRESS + '/128'.length

const DOT = 46
const ZERO = 48
const COLON = 58

/**
 * Reads an address in any spelling that `parseIp` accepts. Returns the version, 4 or 6 (4 for an IPv4-mapped address), or 0
 * for any other text.
 */
export function scanIp(text: string): 0 | 4 | 6 {
  if (text.length > LONGEST_ADDRESS) return 0
  const { words } = scanned
  if (!hasEarlyColon(text)) return scanDotted(text, 0, text.length, 0) ? 4 : 0
  if (!scanGroups(text, text.length)) return 0
  if (!isMapped(words)) return 6
  words[0] = words[3] as number
  return 4
}

/**
 * Reads a range in canonical form; an address with its full prefix length is accepted too. Returns the version, 4 or 6, or 0
 * for any other text. `parseIpRange` reports why.
 */
export function scanRange(text: string): 0 | 4 | 6 {
  if (text.length > LONGEST_RANGE) return 0
  const { words } = scanned
  const slash = text.indexOf('/')
  const end = slash === -1 ? text.length : slash
  const version = hasEarlyColon(text) ? 6 : 4
  if (version === 4 && !scanDotted(text, 0, end, 0)) return 0
  if (version === 6 && (!scanGroups(text, end) || isMapped(words) || !isCanonical())) return 0
  const width = version === 4 ? 1 : 4
  const prefix = slash === -1 ? 32 * width : scanPrefix(text, slash + 1)
  if (prefix === -1 || prefix > 32 * width) return 0
  for (let word = 0; word < width; word += 1) {
    if (((words[word] as number) & ~mask(prefix - 32 * word)) !== 0) return 0
  }
  scanned.prefix = prefix
  return version
}

/** Every IPv6 address has a colon in its first five characters, and no IPv4 address has one. */
function hasEarlyColon(text: string): boolean {
  const end = Math.min(text.length, 5)
  for (let index = 0; index < end; index += 1) if (text.charCodeAt(index) === COLON) return true
  return false
}

/** Whether the address is IPv4-mapped: in `::ffff:0:0/96`. */
function isMapped(words: Uint32Array): boolean {
  return words[2] === 0xffff && words[0] === 0 && words[1] === 0
}

/** A word whose highest `bits` bits are set: none if `bits` is below 1, all if it is above 31. */
export function mask(bits: number): number {
  // `<<` takes its count modulo 32, so a shift by 32 has no effect.
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}

/** Reads one to three digits without a leading zero, up to the end of the text. Returns -1 for any other text. */
function scanPrefix(text: string, start: number): number {
  const digits = text.length - start
  if (digits < 1 || digits > 3 || (digits > 1 && text.charCodeAt(start) === ZERO)) return -1
  let prefix = 0
  for (let index = start; index < text.length; index += 1) {
    const digit = text.charCodeAt(index) - ZERO
    if (digit < 0 || digit > 9) return -1
    prefix = prefix * 10 + digit
  }
  return prefix
}

/** Reads four decimal parts without leading zeros. Writes their word to `scanned` at `place`. */
function scanDotted(text: string, start: number, end: number, place: number): boolean {
  let word = 0
  let index = start
  for (let dots = 0; ; dots += 1) {
    if (index >= end) return false
    let part = text.charCodeAt(index) - ZERO
    if (part < 0 || part > 9) return false
    index += 1
    let next = index < end ? text.charCodeAt(index) - ZERO : NO_DIGIT
    if (next >= 0 && next <= 9) {
      if (part === 0) return false
      part = 10 * part + next
      index += 1
      next = index < end ? text.charCodeAt(index) - ZERO : NO_DIGIT
      if (next >= 0 && next <= 9) {
        part = 10 * part + next
        if (part > 255) return false
        index += 1
        next = index < end ? text.charCodeAt(index) - ZERO : NO_DIGIT
      }
    }
    word = (word << 8) | part
    if (dots === 3) break
    if (next !== DOT - ZERO) return false
    index += 1
  }
  scanned.words[place] = word
  return index === end
}

const NO_DIGIT = 255
const UPPER_CASE = 16

/** The value of each character as a hexadecimal digit. A table, because branches on letter or digit are hard to predict. */
const HEX = new Uint8Array(128).fill(NO_DIGIT)
for (let digit = 0; digit < 16; digit += 1) {
  const text = digit.toString(16)
  HEX[text.toUpperCase().charCodeAt(0)] = digit | UPPER_CASE
  HEX[text.charCodeAt(0)] = digit
}

const groups = new Uint16Array(8)

/**
 * Reads an IPv6 address: groups of hexadecimal digits, at most one `::`, at most one dotted tail. Writes the words to
 * `scanned` and records the spelling.
 */
function scanGroups(text: string, end: number): boolean {
  let count = 0
  gap = -1
  plain = true
  let seen = 0
  let index = 0
  if (end > 1 && text.charCodeAt(0) === COLON && text.charCodeAt(1) === COLON) {
    gap = 0
    index = 2
  }
  while (index < end) {
    if (count === 8) return false
    const begin = index
    let group = 0
    let code = 0
    for (; index < end; index += 1) {
      code = text.charCodeAt(index)
      const digit = code < HEX.length ? (HEX[code] as number) : NO_DIGIT
      if (digit === NO_DIGIT) break
      seen |= digit
      group = (group << 4) | (digit & 15)
    }
    const digits = index - begin
    if (index < end && code === DOT) {
      if (count > 6 || !scanDotted(text, begin, end, 3)) return false
      const tail = scanned.words[3] as number
      groups[count] = tail >>> 16
      groups[count + 1] = tail
      count += 2
      plain = false
      break
    }
    if (digits === 0 || digits > 4) return false
    if (digits > 1 && text.charCodeAt(begin) === ZERO) plain = false
    groups[count] = group
    count += 1
    if (index === end) break
    if (code !== COLON) return false
    index += 1
    if (index === end) return false
    if (text.charCodeAt(index) === COLON) {
      if (gap !== -1) return false
      gap = count
      index += 1
    }
  }
  // `::` replaces at least one group.
  if (gap === -1 ? count !== 8 : count > 7) return false
  const left = 8 - count
  if (gap !== -1) {
    for (let from = count - 1; from >= gap; from -= 1) groups[from + left] = groups[from] as number
    for (let zero = gap; zero < gap + left; zero += 1) groups[zero] = 0
  }
  const { words } = scanned
  for (let word = 0; word < 4; word += 1) {
    words[word] = ((groups[2 * word] as number) << 16) | (groups[2 * word + 1] as number)
  }
  gapLength = left
  if ((seen & UPPER_CASE) !== 0) plain = false
  return true
}

/** Whether the spelling follows RFC 5952: `::` replaces the first of the longest runs of two or more zeros. */
function isCanonical(): boolean {
  if (!plain) return false
  let best = -1
  let longest = 1
  for (let index = 0, run = 0; index < 8; index += 1) {
    run = groups[index] === 0 ? run + 1 : 0
    if (run > longest) {
      longest = run
      best = index + 1 - run
    }
  }
  return best === gap && (gap === -1 || gapLength === longest)
}
