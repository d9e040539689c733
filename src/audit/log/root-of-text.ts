import { hash } from 'node:crypto'
import { HASH_BYTES, leafHash } from './merkle.ts'

const LINE_FEED = 10
/** The prefix byte of an inner node, and its two children. */
const PAIR = 1 + 2 * HASH_BYTES

/**
 * The Merkle root (RFC 6962) over the lines of a text, each of them a leaf; the same as {@link merkleRoot} of their leaf hashes.
 * All hashes of the tree are in one buffer, because creating a buffer takes longer than computing a hash.
 */
export function rootOfText(text: Buffer): Buffer {
  const ends = lineEnds(text)
  if (ends.length === 1) return leafHash(text)
  const pairs = Buffer.allocUnsafe(Math.ceil(ends.length / 2) * PAIR)
  const longest = ends.reduce((most, end, index) => Math.max(most, end - beginOf(ends, index)), 0)
  const leaf = Buffer.allocUnsafe(1 + longest)
  leaf[0] = 0
  for (const [index, end] of ends.entries()) {
    const length = text.copy(leaf, 1, beginOf(ends, index), end)
    put(pairs, index, hash('sha256', leaf.subarray(0, 1 + length), 'binary'))
  }
  for (let width = ends.length; width > 1; width = Math.ceil(width / 2)) foldLevel(pairs, width)
  return Buffer.from(pairs.subarray(1, 1 + HASH_BYTES))
}

/** Replaces the nodes by the level above. Each pair is read before its place is overwritten. */
function foldLevel(pairs: Buffer, width: number): void {
  const whole = Math.floor(width / 2)
  for (let index = 0; index < whole; index += 1) {
    const begin = index * PAIR
    pairs[begin] = 1
    put(pairs, index, hash('sha256', pairs.subarray(begin, begin + PAIR), 'binary'))
  }
  // A node without a partner moves up unchanged.
  const last = placeOf(width - 1)
  if (width % 2 === 1) pairs.copyWithin(placeOf(whole), last, last + HASH_BYTES)
}

/** The position of a node: in pairs, each with room for the prefix byte. */
function placeOf(index: number): number {
  return Math.floor(index / 2) * PAIR + 1 + (index % 2) * HASH_BYTES
}

function put(pairs: Buffer, index: number, digest: string): void {
  pairs.write(digest, placeOf(index), 'latin1')
}

/** Where each line ends; the last one ends with the text. */
function lineEnds(text: Buffer): readonly number[] {
  const ends: number[] = []
  for (let at = text.indexOf(LINE_FEED); at !== -1; at = text.indexOf(LINE_FEED, at + 1)) ends.push(at)
  ends.push(text.length)
  return ends
}

function beginOf(ends: readonly number[], index: number): number {
  return index === 0 ? 0 : (ends[index - 1] ?? 0) + 1
}
