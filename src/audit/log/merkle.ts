import { hash } from 'node:crypto'

/** The length of a hash, in bytes. */
export const HASH_BYTES = 32

/** The hash of a leaf (RFC 6962, section 2.1): SHA-256 of a zero byte and the content. */
export function leafHash(content: string | Uint8Array): Buffer {
  if (typeof content === 'string') return hash('sha256', `\0${content}`, 'buffer')
  const bytes = Buffer.allocUnsafe(content.length + 1)
  bytes[0] = 0
  bytes.set(content, 1)
  return hash('sha256', bytes, 'buffer')
}

/** The hash of an inner node (RFC 6962): SHA-256 of the byte 1 and both children. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(1 + 2 * HASH_BYTES)
  bytes[0] = 1
  bytes.set(left, 1)
  bytes.set(right, 1 + HASH_BYTES)
  return hash('sha256', bytes, 'buffer')
}

/** The root of the tree over these leaf hashes. For an empty tree it is the SHA-256 of the empty string. */
export function merkleRoot(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 0) return hash('sha256', '', 'buffer')
  let level = leaves
  // Pairing from the left gives the same tree as splitting at the largest power of two: a node without a partner moves up
  // unchanged.
  while (level.length > 1) {
    const above: Buffer[] = []
    for (let index = 0; index + 1 < level.length; index += 2) {
      above.push(nodeHash(level[index] as Buffer, level[index + 1] as Buffer))
    }
    if (level.length % 2 === 1) above.push(level.at(-1) as Buffer)
    level = above
  }
  return level[0] as Buffer
}

/** The largest power of two below `size`. */
function splitOf(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

/**
 * The hashes that lead from one leaf to the root (RFC 6962, 2.1.1), the lowest first.
 *
 * @throws RangeError if there is no such leaf.
 */
export function inclusionProof(leaves: readonly Buffer[], index: number): Buffer[] {
  if (!Number.isSafeInteger(index) || index < 0 || index >= leaves.length) {
    throw new RangeError(`there is no leaf ${index} among ${leaves.length} leaves`)
  }
  if (leaves.length === 1) return []
  const split = splitOf(leaves.length)
  if (index < split) {
    return [...inclusionProof(leaves.slice(0, split), index), merkleRoot(leaves.slice(split))]
  }
  return [...inclusionProof(leaves.slice(split), index - split), merkleRoot(leaves.slice(0, split))]
}

/** The root that an inclusion proof leads to (RFC 9162, 2.1.3.2); `undefined` if the proof does not fit this leaf. */
export function rootOfInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
): Buffer | undefined {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size)
    return undefined
  let [node, last] = [index, size - 1]
  let root: Buffer = Buffer.from(leaf)
  for (const sibling of proof) {
    if (last === 0) return undefined
    if (node % 2 === 1 || node === last) {
      root = nodeHash(sibling, root)
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)]
    } else root = nodeHash(root, sibling)
    ;[node, last] = [half(node), half(last)]
  }
  return last === 0 ? root : undefined
}

/**
 * The hashes that prove that the tree over the first `oldSize` leaves is the beginning of the whole tree (RFC 6962, 2.1.2).
 *
 * @throws RangeError if the tree has fewer leaves.
 */
export function consistencyProof(leaves: readonly Buffer[], oldSize: number): Buffer[] {
  if (!Number.isSafeInteger(oldSize) || oldSize < 1 || oldSize > leaves.length) {
    throw new RangeError(`there are only ${leaves.length} leaves, not ${oldSize}`)
  }
  return subProof(leaves, oldSize, true)
}

function subProof(leaves: readonly Buffer[], oldSize: number, whole: boolean): Buffer[] {
  if (oldSize === leaves.length) return whole ? [] : [merkleRoot(leaves)]
  const split = splitOf(leaves.length)
  if (oldSize <= split) {
    return [...subProof(leaves.slice(0, split), oldSize, whole), merkleRoot(leaves.slice(split))]
  }
  return [...subProof(leaves.slice(split), oldSize - split, false), merkleRoot(leaves.slice(0, split))]
}

/** The size and the root of a tree. */
export interface TreeHead {
  readonly size: number
  readonly root: Uint8Array
}

/** Whether the proof shows that the older tree is the beginning of the newer one (RFC 9162, 2.1.4.2). */
export function isConsistent(older: TreeHead, newer: TreeHead, proof: readonly Uint8Array[]): boolean {
  if (older.size < 1 || older.size > newer.size) return false
  if (older.size === newer.size) return proof.length === 0 && same(older.root, newer.root)
  const path = isPowerOfTwo(older.size) ? [older.root, ...proof] : [...proof]
  const [first, ...rest] = path
  if (first === undefined) return false
  let [node, last] = [older.size - 1, newer.size - 1]
  while (node % 2 === 1) [node, last] = [half(node), half(last)]
  let [oldRoot, newRoot]: [Uint8Array, Uint8Array] = [first, first]
  for (const sibling of rest) {
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      oldRoot = nodeHash(sibling, oldRoot)
      newRoot = nodeHash(sibling, newRoot)
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)]
    } else newRoot = nodeHash(newRoot, sibling)
    ;[node, last] = [half(node), half(last)]
  }
  return last === 0 && same(oldRoot, older.root) && same(newRoot, newer.root)
}

// Not a bit shift, which has only 32 bits.
const half = (value: number): number => Math.floor(value / 2)
const isPowerOfTwo = (value: number): boolean => value === splitOf(value * 2)
const same = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0

/** A tree that grows at its end. It keeps only the roots of its full subtrees: one hash for each set bit of its size. */
export class GrowingTree {
  #size = 0
  /** The largest subtree first. */
  readonly #peaks: { readonly leaves: number; readonly root: Buffer }[] = []

  /**
   * A tree from its size and its {@link GrowingTree.peaks}.
   *
   * @throws RangeError if the number of hashes does not fit the size.
   */
  static from(size: number, peaks: readonly Uint8Array[]): GrowingTree {
    const tree = new GrowingTree()
    const rest = [...peaks]
    for (let bit = 2 ** 52; bit >= 1; bit /= 2) {
      if (Math.floor(size / bit) % 2 === 0) continue
      const root = rest.shift()
      if (root?.length !== HASH_BYTES) throw new RangeError(`these are not the hashes of ${size} leaves`)
      tree.#peaks.push({ leaves: bit, root: Buffer.from(root) })
    }
    if (rest.length > 0) throw new RangeError(`these are not the hashes of ${size} leaves`)
    tree.#size = size
    return tree
  }

  get size(): number {
    return this.#size
  }

  get peaks(): readonly Buffer[] {
    return this.#peaks.map(({ root }) => root)
  }

  add(leaf: Buffer): void {
    this.#size += 1
    let grown = { leaves: 1, root: leaf }
    while (this.#peaks.at(-1)?.leaves === grown.leaves) {
      const left = this.#peaks.pop() as { readonly root: Buffer }
      grown = { leaves: grown.leaves * 2, root: nodeHash(left.root, grown.root) }
    }
    this.#peaks.push(grown)
  }

  root(): Buffer {
    const [first, ...rest] = this.#peaks.map(({ root }) => root).reverse()
    if (first === undefined) return merkleRoot([])
    return rest.reduce((right, left) => nodeHash(left, right), first)
  }
}
