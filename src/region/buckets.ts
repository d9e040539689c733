import { hash } from 'node:crypto'

/** How many buckets people are spread over. Each bucket is in one slot of a Cluster. */
const COUNT = 64

/** The bucket of the moves in progress. Their ids do not begin with a jurisdiction. */
export const MOVES = 'moves'

/** All buckets, including that of the moves. */
export const BUCKETS: readonly string[] = [
  ...Array.from({ length: COUNT }, (_, index) => String(index)),
  MOVES,
]

/** The bucket of a person or a move. */
export function bucketOf(id: string): string {
  if (id.startsWith(`${MOVES}:`)) return MOVES
  return String(hash('sha256', id, 'buffer').readUInt8() % COUNT)
}
