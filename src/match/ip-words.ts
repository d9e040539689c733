/* Addresses as words of 32 bits in an array, the most significant word first. */

const ALL_BITS = 0xffffffff

/** Compares two addresses. Negative: the first one is lower. */
export function order(
  one: Uint32Array,
  at: number,
  other: Uint32Array,
  otherAt: number,
  width: number,
): number {
  for (let word = 0; word < width; word += 1) {
    const difference = (one[at + word] as number) - (other[otherAt + word] as number)
    if (difference !== 0) return difference
  }
  return 0
}

export function copy(from: Uint32Array, at: number, to: Uint32Array, toAt: number, width: number): void {
  for (let word = 0; word < width; word += 1) to[toAt + word] = from[at + word] as number
}

/** Writes the next address. The given one must not be the last of all. */
export function stepOver(words: Uint32Array, at: number, after: Uint32Array): void {
  copy(words, at, after, 0, after.length)
  for (let word = after.length - 1; word >= 0; word -= 1) {
    after[word] = (after[word] as number) + 1
    if (after[word] !== 0) return
  }
}

/** Writes the previous address. The given one must not be the first of all. */
export function stepBefore(words: Uint32Array, at: number, before: Uint32Array): void {
  copy(words, at, before, 0, before.length)
  for (let word = before.length - 1; word >= 0; word -= 1) {
    before[word] = (before[word] as number) - 1
    if (before[word] !== ALL_BITS) return
  }
}
