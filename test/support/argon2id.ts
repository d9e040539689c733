/**
 * Argon2id (RFC 9106) and BLAKE2b (RFC 7693), written for comparison and not for speed. This is an oracle for the
 * library that hashes passwords. It supports the secret and the associated data that the test vectors of the RFC need.
 */

const MASK = (1n << 64n) - 1n
const IV = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n,
]
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
]
/** The eight quarters of a round, columns and then diagonals. */
const QUARTERS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const

const rotate = (value: bigint, by: bigint): bigint => ((value >> by) | (value << (64n - by))) & MASK

type Mix = (a: bigint, b: bigint) => bigint

/** One quarter of a round on four words. `add` is an addition in BLAKE2b, and also multiplies in Argon2. */
function quarter(v: bigint[], [a, b, c, d]: readonly number[], add: Mix, x = 0n, y = 0n): void {
  const [A, B, C, D] = [a ?? 0, b ?? 0, c ?? 0, d ?? 0]
  const at = (index: number): bigint => v[index] ?? 0n
  v[A] = (add(at(A), at(B)) + x) & MASK
  v[D] = rotate(at(D) ^ at(A), 32n)
  v[C] = add(at(C), at(D)) & MASK
  v[B] = rotate(at(B) ^ at(C), 24n)
  v[A] = (add(at(A), at(B)) + y) & MASK
  v[D] = rotate(at(D) ^ at(A), 16n)
  v[C] = add(at(C), at(D)) & MASK
  v[B] = rotate(at(B) ^ at(C), 63n)
}

/** RFC 7693, without a key. */
export function blake2b(content: Uint8Array, length: number): Buffer {
  const h = [...IV]
  h[0] = (h[0] ?? 0n) ^ 0x01010000n ^ BigInt(length)
  const blocks = Math.max(1, Math.ceil(content.length / 128))
  for (let index = 0; index < blocks; index += 1) {
    const block = Buffer.alloc(128)
    block.set(content.subarray(index * 128, index * 128 + 128))
    const isLast = index === blocks - 1
    const v = [...h, ...IV]
    v[12] = (v[12] ?? 0n) ^ BigInt(isLast ? content.length : (index + 1) * 128)
    if (isLast) v[14] = (v[14] ?? 0n) ^ MASK
    for (let round = 0; round < 12; round += 1) {
      const order = SIGMA[round % 10] ?? []
      for (const [at, words] of QUARTERS.entries())
        quarter(
          v,
          words,
          (a, b) => a + b,
          block.readBigUInt64LE((order[2 * at] ?? 0) * 8),
          block.readBigUInt64LE((order[2 * at + 1] ?? 0) * 8),
        )
    }
    for (let word = 0; word < 8; word += 1) h[word] = (h[word] ?? 0n) ^ (v[word] ?? 0n) ^ (v[word + 8] ?? 0n)
  }
  return wordsToBytes(h).subarray(0, length)
}

function wordsToBytes(words: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(words.length * 8)
  for (const [at, word] of words.entries()) bytes.writeBigUInt64LE(word, at * 8)
  return bytes
}

function bytesToWords(bytes: Buffer): bigint[] {
  return Array.from({ length: bytes.length / 8 }, (_, at) => bytes.readBigUInt64LE(at * 8))
}

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const withLength = (bytes: Uint8Array): Buffer => Buffer.concat([number(bytes.length), bytes])

/** H' of RFC 9106, 3.3: a hash of any length. */
function longHash(content: Uint8Array, length: number): Buffer {
  const whole = Buffer.concat([number(length), content])
  if (length <= 64) return blake2b(whole, length)
  const parts: Buffer[] = []
  let v = blake2b(whole, 64)
  let left = length
  while (left > 64) {
    parts.push(v.subarray(0, 32))
    left -= 32
    v = blake2b(v, left > 64 ? 64 : left)
  }
  return Buffer.concat([...parts, v])
}

/** fBlaMka of RFC 9106, 3.6. */
const multiplied: Mix = (a, b) => a + b + 2n * (a & 0xffffffffn) * (b & 0xffffffffn)

/** The compression function G of RFC 9106, 3.5, on 128 words. */
function compress(x: readonly bigint[], y: readonly bigint[]): bigint[] {
  const r = x.map((word, at) => word ^ (y[at] ?? 0n))
  const z = [...r]
  const permute = (places: readonly number[]): void => {
    for (const words of QUARTERS)
      quarter(
        z,
        words.map((word) => places[word] ?? 0),
        multiplied,
      )
  }
  for (let row = 0; row < 8; row += 1) permute(Array.from({ length: 16 }, (_, at) => row * 16 + at))
  for (let column = 0; column < 8; column += 1)
    permute(Array.from({ length: 16 }, (_, at) => (at >> 1) * 16 + column * 2 + (at & 1)))
  return z.map((word, at) => word ^ (r[at] ?? 0n))
}

export interface Argon2Input {
  readonly password: Uint8Array
  readonly salt: Uint8Array
  readonly secret?: Uint8Array
  readonly associated?: Uint8Array
  readonly lanes: number
  readonly memory: number
  readonly passes: number
  readonly length: number
}

const zeros = (): bigint[] => Array.from({ length: 128 }, () => 0n)

const NOTHING = new Uint8Array(0)

export function argon2id(input: Argon2Input): Buffer {
  const { password, salt, secret = NOTHING, associated = NOTHING, lanes, memory, passes, length } = input
  const head = [lanes, length, memory, passes, 0x13, 2].map(number)
  const h0 = blake2b(Buffer.concat([...head, ...[password, salt, secret, associated].map(withLength)]), 64)
  const columns = 4 * Math.floor(memory / (4 * lanes))
  const segment = columns / 4
  const blocks = Array.from({ length: lanes }, (_, lane) =>
    Array.from({ length: columns }, (_, column) =>
      column < 2 ? bytesToWords(longHash(Buffer.concat([h0, number(column), number(lane)]), 1024)) : zeros(),
    ),
  )
  for (let pass = 0; pass < passes; pass += 1) {
    for (let slice = 0; slice < 4; slice += 1) {
      for (let lane = 0; lane < lanes; lane += 1)
        fillSegment(blocks, { pass, slice, lane, segment, columns, memory: columns * lanes, passes, lanes })
    }
  }
  const last = blocks
    .map((lane) => lane[columns - 1] ?? [])
    .reduce((sum, block) => sum.map((word, at) => word ^ (block[at] ?? 0n)))
  return longHash(wordsToBytes(last), length)
}

interface Position {
  readonly pass: number
  readonly slice: number
  readonly lane: number
  readonly segment: number
  readonly columns: number
  readonly memory: number
  readonly passes: number
  readonly lanes: number
}

function fillSegment(blocks: bigint[][][], at: Position): void {
  const { pass, slice, lane, segment, columns, lanes } = at
  // In the first half of the first pass, positions do not depend on the password.
  const independent = pass === 0 && slice < 2
  let addresses: bigint[] = []
  for (let index = pass === 0 && slice === 0 ? 2 : 0; index < segment; index += 1) {
    const column = slice * segment + index
    const before = blocks[lane]?.[(column + columns - 1) % columns] ?? []
    if (independent && (addresses.length === 0 || index % 128 === 0))
      addresses = addressBlock(at, Math.floor(index / 128) + 1)
    const random = independent ? (addresses[index % 128] ?? 0n) : (before[0] ?? 0n)
    const other = pass === 0 && slice === 0 ? lane : Number((random >> 32n) % BigInt(lanes))
    const reference = blocks[other]?.[referenceOf(at, index, other, random & 0xffffffffn)] ?? []
    const made = compress(before, reference)
    const old = blocks[lane]?.[column] ?? []
    const row = blocks[lane] as bigint[][]
    row[column] = pass === 0 ? made : made.map((word, each) => word ^ (old[each] ?? 0n))
  }
}

function addressBlock({ pass, lane, slice, memory, passes }: Position, counter: number): bigint[] {
  const zero = zeros()
  const input = [pass, lane, slice, memory, passes, 2, counter].map(BigInt)
  return compress(zero, compress(zero, [...input, ...zero].slice(0, 128)))
}

/** RFC 9106, 3.4.2: the index of the block that is mixed in. */
function referenceOf(
  { pass, slice, lane, segment, columns }: Position,
  index: number,
  other: number,
  random: bigint,
): number {
  const isSame = other === lane
  const finished = pass === 0 ? slice * segment : columns - segment
  const size = isSame ? finished + index - 1 : finished - (index === 0 ? 1 : 0)
  const x = (random * random) >> 32n
  const relative = size - 1 - Number((BigInt(size) * x) >> 32n)
  const start = pass === 0 ? 0 : ((slice + 1) % 4) * segment
  return (start + relative) % columns
}
