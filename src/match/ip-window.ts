/** Means "in no range". Prefix lengths are 0 to 128. */
export const NONE = 255

/** The bits that assign addresses to buckets, and the number of bits before them, which all ranges share. */
export interface Window {
  readonly skip: number
  readonly bits: number
}

/** For fewer ranges, a directory does not pay off. */
const FEWEST_WITH_DIRECTORY = 64
const MOST_BITS = 16

/** Chooses the bits from sorted rows. `widest` is the shortest prefix length. */
export function windowOf(sorted: Uint32Array, width: number, widest: number): Window {
  const stride = width + 1
  const ranges = sorted.length / stride
  // Four to eight ranges per bucket, so that they share a cache line; half as many for IPv6 hosts, which are the largest.
  const bits =
    ranges < FEWEST_WITH_DIRECTORY ? 0 : Math.min(MOST_BITS, 29 - Math.clz32(ranges) + (width > 2 ? 1 : 0))
  let shared = 0
  for (let word = 0; word < width && shared === 32 * word; word += 1) {
    shared += Math.clz32((sorted[word] as number) ^ (sorted[sorted.length - stride + word] as number))
  }
  return { skip: Math.min(shared, widest, 32 * width - bits), bits }
}

/** Returns `bits` bits that begin at a bit of a word and may continue in the next word. */
export function bucketOf(words: ArrayLike<number>, word: number, shift: number, bits: number): number {
  let window = (words[word] as number) << shift
  if (shift + bits > 32) window |= (words[word + 1] as number) >>> (32 - shift)
  // Two shifts, because a shift by 32 has no effect.
  return (window >>> 1) >>> (31 - bits)
}
