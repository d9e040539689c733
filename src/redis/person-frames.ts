import { FRAMES_OF_PERSON } from './frame-scripts.ts'

/** How many frames one script checks. */
const STEPS = 512
/** How many people are remembered, so that a report does not search from the newest frame for each page. */
const REMEMBERED = 16

/** The numbers of the frames that contain a person. Each frame points to the previous one of the same person. */
export class PersonFrames {
  readonly #key: string
  readonly #ask: (command: string, ...args: (string | number | Buffer)[]) => Promise<unknown>
  /** For each person, all frame numbers after `floor`, the oldest first. */
  readonly #known = new Map<string, { readonly floor: number; readonly numbers: readonly number[] }>()

  constructor(
    key: string,
    ask: (command: string, ...args: (string | number | Buffer)[]) => Promise<unknown>,
  ) {
    this.#key = key
    this.#ask = ask
  }

  /** The first `count` frame numbers after `floor`, the oldest first. */
  async numbersOf(person: string, floor: number, count: number): Promise<readonly number[]> {
    const known = this.#known.get(person)
    const kept = known !== undefined && known.floor <= floor ? known.numbers : []
    const rest = kept.filter((number) => number > floor)
    if (rest.length >= count && floor > 0) return rest.slice(0, count)
    const newest = rest.at(-1) ?? floor
    const numbers = [...rest, ...(await this.#behind(person, newest))]
    this.#known.delete(person)
    this.#known.set(person, { floor, numbers })
    for (const name of this.#known.keys()) {
      if (this.#known.size <= REMEMBERED) break
      this.#known.delete(name)
    }
    return numbers.slice(0, count)
  }

  async #behind(person: string, floor: number): Promise<readonly number[]> {
    const numbers: number[] = []
    let pointer: Buffer = Buffer.alloc(0)
    do {
      const reply = await this.#ask('EVAL', FRAMES_OF_PERSON, 1, this.#key, person, floor, STEPS, pointer)
      const [next, found] = reply as [Buffer, readonly Buffer[]]
      numbers.push(...found.map(Number))
      pointer = next
    } while (pointer.length > 0)
    return numbers.reverse()
  }

  /** Call it after frames or people were removed. */
  forget(): void {
    this.#known.clear()
  }
}
