import { rangeText } from '../../src/match/ip.ts'

/** Pseudo-random 32-bit numbers, which are the same in every run. */
export function randomWords(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return (state ^ (state >>> 15)) >>> 0
  }
}

type Random = () => number

/** IPv4: half single addresses, half ranges from /20 to /31. */
function four(random: Random): string {
  return rangeText([random()], random() % 2 === 0 ? 32 : 20 + (random() % 12))
}

/** IPv6 networks from /32 to /64 in 2000::/3, from which addresses are assigned. */
function network(random: Random): string {
  return rangeText([0x20000000 + (random() >>> 3), random(), 0, 0], 32 + (random() % 33))
}

function host(random: Random): string {
  return rangeText([0x20000000 + (random() >>> 3), random(), random(), random()], 128)
}

/** Half IPv4, three eighths IPv6 networks and one eighth IPv6 hosts. */
function mixed(random: Random): string {
  const kind = random() % 8
  return kind < 4 ? four(random) : kind < 7 ? network(random) : host(random)
}

/** Networks of a single /32, as a provider assigns them to its customers. */
function cornered(random: Random): string {
  return rangeText([0x20010db8, random(), 0, 0], 64)
}

export const kinds = { mixed, four, network, host, cornered }
export type Kind = keyof typeof kinds

export function* texts(kind: Kind, count: number): Generator<string> {
  const random = randomWords(count)
  for (let index = 0; index < count; index += 1) yield kinds[kind](random)
}

/** Texts in one buffer outside the heap. `cut` creates a new string from it, as if it came from a socket. */
export class Lines {
  readonly #bytes: Buffer
  readonly #ends: Uint32Array

  constructor(lines: Iterable<string>, count: number) {
    this.#ends = new Uint32Array(count)
    const parts: Buffer[] = []
    let batch: string[] = []
    let index = 0
    let end = 0
    for (const line of lines) {
      batch.push(line)
      end += line.length
      this.#ends[index] = end
      index += 1
      if (batch.length === 10_000 || index === count) {
        parts.push(Buffer.from(batch.join(''), 'latin1'))
        batch = []
      }
    }
    this.#bytes = Buffer.concat(parts)
  }

  get length(): number {
    return this.#ends.length
  }

  cut(index: number): string {
    return this.#bytes.toString('latin1', index === 0 ? 0 : this.#ends[index - 1], this.#ends[index])
  }
}

/** Addresses for look-ups: alternately one in a range of the set, and a random one of the same kind. */
export function* questions(kind: Kind, ranges: Lines, count: number): Generator<string> {
  const random = randomWords(count + 1)
  for (let index = 0; index < count; index += 1) {
    const range = index % 2 === 0 ? ranges.cut(random() % ranges.length) : kinds[kind](random)
    yield range.split('/')[0] as string
  }
}
