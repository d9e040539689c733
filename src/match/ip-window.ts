/** Stands for "in no range" where otherwise a prefix length of 0 to 128 stands. */
export const NONE = 255

/** The bits by whose value addresses are put into buckets, and those before them, in which all ranges agree. */
export interface Window {
  readonly skip: number
  readonly bits: number
}

/** From fewer ranges on, a directory would not pay. */
const FEWEST_WITH_DIRECTORY = 64
const MOST_BITS = 16

/** `sorted` are rows in order, `widest` is the shortest of their prefix lengths. */
export function windowOf(sorted: Uint32Array, width: number, widest: number): Window {
  const stride = width + 1
  const ranges = sorted.length / stride
  // Four to eight ranges to a bucket, which share a line of the cache; half as many of those that take most room.
  const bits =
    ranges < FEWEST_WITH_DIRECTORY ? 0 : Math.min(MOST_BITS, 29 - Math.clz32(ranges) + (width > 2 ? 1 : 0))
  let shared = 0
  for (let word = 0; word < width && shared === 32 * word; word += 1) {
    shared += Math.clz32((sorted[word] as number) ^ (sorted[sorted.length - stride + word] as number))
  }
  return { skip: Math.min(shared, widest, 32 * width - bits), bits }
}

/** The bits that begin at a bit of a word, and may go on in the next word. */
export function bucketOf(words: ArrayLike<number>, word: number, shift: number, bits: number): number {
  let window = (words[word] as number) << shift
  if (shift + bits > 32) window |= (words[word + 1] as number) >>> (32 - shift)
  // In two steps, because a shift by 32 would change nothing.
  return (window >>> 1) >>> (31 - bits)
}
