/**
 * Reads addresses and ranges from text straight into words of 32 bits. Nothing is allocated: a list of a million entries
 * leaves no garbage. What was read stands in `scanned` until the next call.
 */
export const scanned = {
  /** The most significant word first; IPv4 uses the first one only. */
  words: new Uint32Array(4),
  prefix: 0,
}

/** The longest spelling of an address: six full groups and a full dotted tail. */
const LONGEST_ADDRESS = 45
const LONGEST_RANGE = LONGEST_ADDRESS + '/128'.length

const DOT = 46
const ZERO = 48
const COLON = 58

const NO_ADDRESS = 0
/** An address, in another spelling than that of RFC 5952. */
const OTHER_SPELLING = 1
const CANONICAL = 2

/** Reads an address in any spelling that `parseIp` takes: 4 or 6, the version, a mapped one being 4; 0, no address. */
export function scanIp(text: string): 0 | 4 | 6 {
  if (text.length > LONGEST_ADDRESS) return 0
  const { words } = scanned
  if (!hasEarlyColon(text)) return scanDotted(text, 0, text.length, 0) ? 4 : 0
  if (scanGroups(text, text.length) === NO_ADDRESS) return 0
  if (!isMapped(words)) return 6
  words[0] = words[3] as number
  return 4
}

/**
 * Reads a range in its canonical form (an address with its full prefix length is one too): 4 or 6, the version. 0 stands
 * for everything else, of which `parseIpRange` knows why.
 */
export function scanRange(text: string): 0 | 4 | 6 {
  if (text.length > LONGEST_RANGE) return 0
  const { words } = scanned
  const slash = text.indexOf('/')
  const end = slash === -1 ? text.length : slash
  const version = hasEarlyColon(text) ? 6 : 4
  if (version === 4 && !scanDotted(text, 0, end, 0)) return 0
  if (version === 6 && (scanGroups(text, end) !== CANONICAL || isMapped(words))) return 0
  const width = version === 4 ? 1 : 4
  const prefix = slash === -1 ? 32 * width : scanPrefix(text, slash + 1)
  if (prefix === -1 || prefix > 32 * width) return 0
  for (let word = 0; word < width; word += 1) {
    if (((words[word] as number) & ~mask(prefix - 32 * word)) !== 0) return 0
  }
  scanned.prefix = prefix
  return version
}

/** Among its first five characters every IPv6 address has a colon; IPv4 has none anywhere. */
function hasEarlyColon(text: string): boolean {
  const end = Math.min(text.length, 5)
  for (let index = 0; index < end; index += 1) if (text.charCodeAt(index) === COLON) return true
  return false
}

/** Is it in `::ffff:0:0/96`, IPv4 in the dress of IPv6? */
function isMapped(words: Uint32Array): boolean {
  return words[2] === 0xffff && words[0] === 0 && words[1] === 0
}

/** A word whose highest bits are set, as many as `bits` says: none below 1, all above 31. */
export function mask(bits: number): number {
  // `<<` takes its count modulo 32, so a shift by 32 would change nothing.
  if (bits <= 0) return 0
  return bits >= 32 ? -1 : -1 << (32 - bits)
}

/** One to three digits without a leading zero, to the end of the text; -1 when there is anything else. */
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

/** Four decimal parts without leading zeros; their word goes to `scanned`, at `place`. */
function scanDotted(text: string, start: number, end: number, place: number): boolean {
  let word = 0
  let part = 0
  let digits = 0
  let dots = 0
  for (let index = start; index < end; index += 1) {
    const code = text.charCodeAt(index)
    if (code === DOT) {
      if (digits === 0 || dots === 3) return false
      word = (word << 8) | part
      dots += 1
      part = 0
      digits = 0
      continue
    }
    const digit = code - ZERO
    const leadingZero = digits > 0 && part === 0
    if (digit < 0 || digit > 9 || leadingZero) return false
    part = part * 10 + digit
    digits += 1
    if (part > 255) return false
  }
  scanned.words[place] = (word << 8) | part
  return dots === 3 && digits > 0
}

const groups = new Uint16Array(8)

/**
 * An IPv6 address: groups of hexadecimal digits, one `::` at most, a dotted tail at most. The words go to `scanned`, the
 * answer is `NO_ADDRESS`, `OTHER_SPELLING` or `CANONICAL`.
 */
function scanGroups(text: string, end: number): 0 | 1 | 2 {
  let count = 0
  let gap = -1
  let plain = true
  let index = 0
  if (text.startsWith('::') && end > 1) {
    gap = 0
    index = 2
  }
  while (index < end) {
    if (count === 8) return NO_ADDRESS
    const begin = index
    let group = 0
    let code = 0
    for (; index < end; index += 1) {
      code = text.charCodeAt(index)
      let digit = code - ZERO
      if (digit < 0 || digit > 9) {
        digit = (code | 32) - 87
        if (digit < 10 || digit > 15) break
        if (code < 97) plain = false
      }
      group = (group << 4) | digit
    }
    const digits = index - begin
    if (index < end && code === DOT) {
      if (count > 6 || !scanDotted(text, begin, end, 3)) return NO_ADDRESS
      const tail = scanned.words[3] as number
      groups[count] = tail >>> 16
      groups[count + 1] = tail
      count += 2
      plain = false
      break
    }
    if (digits === 0 || digits > 4) return NO_ADDRESS
    if (digits > 1 && text.charCodeAt(begin) === ZERO) plain = false
    groups[count] = group
    count += 1
    if (index === end) break
    if (code !== COLON) return NO_ADDRESS
    index += 1
    if (index === end) return NO_ADDRESS
    if (text.charCodeAt(index) === COLON) {
      if (gap !== -1) return NO_ADDRESS
      gap = count
      index += 1
    }
  }
  // `::` stands for at least one group.
  if (gap === -1 ? count !== 8 : count > 7) return NO_ADDRESS
  const left = 8 - count
  if (gap !== -1) {
    for (let from = count - 1; from >= gap; from -= 1) groups[from + left] = groups[from] as number
    for (let zero = gap; zero < gap + left; zero += 1) groups[zero] = 0
  }
  const { words } = scanned
  for (let word = 0; word < 4; word += 1) {
    words[word] = ((groups[2 * word] as number) << 16) | (groups[2 * word + 1] as number)
  }
  return plain && shortened(gap, left) ? CANONICAL : OTHER_SPELLING
}

/** Does `::` stand where RFC 5952 wants it: for the first of the longest runs of two zeros and more? */
function shortened(gap: number, length: number): boolean {
  let best = -1
  let longest = 1
  for (let index = 0, run = 0; index < 8; index += 1) {
    run = groups[index] === 0 ? run + 1 : 0
    if (run > longest) {
      longest = run
      best = index + 1 - run
    }
  }
  return best === gap && (gap === -1 || length === longest)
}
