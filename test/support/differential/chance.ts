import { seededRandom } from '../seeded.ts'

/** Pseudo-random choices from a seed. */
export class Chance {
  readonly #random: () => number

  constructor(seed: number) {
    this.#random = seededRandom(seed)
  }

  /** An integer from 0 to `end`, exclusive. */
  below(end: number): number {
    return Math.floor(this.#random() * end)
  }

  /** True in this share of all cases. */
  is(share: number): boolean {
    return this.#random() < share
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)] as Value
  }

  /** Each of them in half of all cases. */
  some<Value>(values: readonly Value[]): Value[] {
    return values.filter(() => this.is(0.5))
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)))
  }
}
