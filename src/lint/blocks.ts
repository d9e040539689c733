/** The addresses of one version from `first` to `last` (inclusive), as numbers. */
export interface Block {
  readonly first: bigint
  readonly last: bigint
}

/** Disjoint blocks in ascending order, never adjacent. */
export type Union = readonly Block[]

/** The union of blocks in any order. O(n log n). */
export function unionOf(blocks: readonly Block[]): Union {
  const union: Block[] = []
  for (const { first, last } of blocks.toSorted(byFirst)) {
    const before = union.at(-1)
    if (before === undefined || before.last + 1n < first) union.push({ first, last })
    else if (before.last < last) union[union.length - 1] = { first: before.first, last }
  }
  return union
}

export function byFirst(a: Block, b: Block): number {
  if (a.first === b.first) return 0
  return a.first < b.first ? -1 : 1
}

/** The addresses of `union` that are not in `removed`. O(n). */
export function without(union: Union, removed: Union): Union {
  const rest: Block[] = []
  let next = 0
  for (const { first, last } of union) {
    let start = first
    while (next < removed.length && (removed[next] as Block).last < start) next += 1
    for (let hole = removed[next]; hole !== undefined && hole.first <= last; hole = removed[next]) {
      if (start < hole.first) rest.push({ first: start, last: hole.first - 1n })
      start = hole.last + 1n
      // A hole that ends after this block may reach into the next one.
      if (hole.last > last) break
      next += 1
    }
    if (start <= last) rest.push({ first: start, last })
  }
  return rest
}

/** The addresses that both unions contain. O(n). */
export function intersection(one: Union, other: Union): Union {
  return without(one, without(one, other))
}

/** The number of addresses. */
export function sizeOf(union: Union): bigint {
  return union.reduce((sum, { first, last }) => sum + last - first + 1n, 0n)
}

/** Whether a union contains a whole block. One binary search. */
export function holds(union: Union, { first, last }: Block): boolean {
  const candidate = lastUpTo(union, first)
  return candidate !== undefined && candidate.last >= last
}

/** Whether a union and a block have an address in common. One binary search. */
export function meets(union: Union, { first, last }: Block): boolean {
  const candidate = lastUpTo(union, last)
  return candidate !== undefined && candidate.last >= first
}

/** The last block that begins at or before an address. */
function lastUpTo(union: Union, address: bigint): Block | undefined {
  let low = 0
  let high = union.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((union[middle] as Block).first <= address) low = middle + 1
    else high = middle
  }
  return union[low - 1]
}
