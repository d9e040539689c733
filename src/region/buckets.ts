import { hash } from 'node:crypto'

/** People are spread over so many buckets, each of which lies in one slot of a Cluster. */
const COUNT = 64

/** The bucket of the moves that are on their way. Their ids have no jurisdiction in front. */
export const MOVES = 'moves'

/** All buckets, that of the moves included. */
export const BUCKETS: readonly string[] = [
  ...Array.from({ length: COUNT }, (_, index) => String(index)),
  MOVES,
]

/** In which bucket a person, or a move, lies. */
export function bucketOf(id: string): string {
  if (id.startsWith(`${MOVES}:`)) return MOVES
  return String(hash('sha256', id, 'buffer').readUInt8() % COUNT)
}
