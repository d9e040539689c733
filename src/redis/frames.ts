import { lastOf, linesOf } from '../audit/log/frame.ts'
import type { FrameStore, FrameToStore, StoredFrame } from '../audit/log/frame-store.ts'
import type { LogStart } from '../audit/log/log-start.ts'
import { peopleOfLines } from '../audit/log/people-of-lines.ts'
import { ConfigError, SECRET, UnavailableError } from '../errors.ts'
import { checkOptions, wholeNumber } from '../options.ts'
import { isDisconnected, unavailable, type BytesClient } from './client.ts'
import { APPEND_FRAMES, FORGET_BEFORE } from './frame-scripts.ts'
import { createKeyspace, PREFIX } from './keyspace.ts'
import { PersonFrames } from './person-frames.ts'

export interface RedisFramesOptions {
  /** The prefix of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
  /**
   * How long Redis may lose data after it has acknowledged it, in milliseconds. The process keeps its own copy of each frame for
   * this time. Default 5,000, which suits `appendfsync everysec`; use 0 for `always`.
   */
  readonly settlesAfter?: number | undefined
}

/** How many frames are read at once when all are read. */
const PAGE = 256
/** How many people one script may receive: Lua passes at most 8,000 values to a command. */
const MOST_PEOPLE = 3_600
/** Precede the bytes of a frame: the time when it was stored and the number of its people, then a pointer for each person. */
const HEAD = 10
const POINTER = 8

/**
 * Keeps frames in Redis, through your own client. All frames are in one hash, and each write is one command, which a crash leaves
 * whole or not at all. A frame that is sent twice is stored once. Works on a single server, Sentinel and Cluster.
 *
 * @param redis a client of ioredis, or one of node-redis through `fromNodeRedis`.
 * @throws ConfigError
 */
export function redisFrames(redis: BytesClient, options: RedisFramesOptions = {}): FrameStore {
  checkBytesClient(redis)
  const { prefix, settlesAfter = 5_000 } = checkOptions<RedisFramesOptions>('redisFrames', options, {
    prefix: PREFIX,
    settlesAfter: wholeNumber('milliseconds', 0),
  })
  return new RedisFrames(redis, createKeyspace(prefix).auditLog, settlesAfter)
}

/** Refuses a client that cannot send and receive bytes. */
function checkBytesClient(redis: unknown): asserts redis is BytesClient {
  const client = redis as Partial<Record<keyof BytesClient, unknown>> | null | undefined
  if (typeof client?.call === 'function' && typeof client.callBuffer === 'function') return
  throw new ConfigError(
    'redisFrames client',
    'a client of ioredis, or one of node-redis through fromNodeRedis()',
    typeof redis === 'string' ? SECRET : redis,
  )
}

/** A frame has a number, counted from 1. Its place also has its time, because a lost number is used again. */
class RedisFrames implements FrameStore {
  readonly settlesAfter: number
  readonly #redis: BytesClient
  readonly #key: string
  readonly #people: PersonFrames

  constructor(redis: BytesClient, key: string, settlesAfter: number) {
    this.#redis = redis
    this.#key = key
    this.settlesAfter = settlesAfter
    this.#people = new PersonFrames(key, (...command) => this.#ask(...command))
  }

  async append(frames: readonly FrameToStore[], overGap = false): Promise<number> {
    const writer = frames[0]?.writer ?? ''
    const heads = await Promise.all(
      inParts(frames).map(async (part, index) => {
        const args = part.flatMap((frame) => [
          frame.first,
          lastOf(frame),
          frame.people.join(' '),
          frame.bytes,
        ])
        const takesGap = overGap && index === 0 ? 1 : 0
        return numberOf(await this.#ask('EVAL', APPEND_FRAMES, 1, this.#key, writer, takesGap, ...args))
      }),
    )
    return Math.max(...heads)
  }

  async head(writer: string): Promise<number> {
    return numberOf((await this.#ask('HGET', this.#key, `w:${writer}`)) ?? '0')
  }

  async read(after: string | undefined, count: number): Promise<readonly StoredFrame[]> {
    const frames: StoredFrame[] = []
    let from = after === undefined ? undefined : parsePlace(after)
    while (frames.length < count) {
      const want = Math.min(PAGE, count - frames.length)
      const page = await this.#page(from, want)
      frames.push(...page.frames)
      if (page.frames.length < want) break
      from = page.end
    }
    return frames
  }

  /** The frames after a place, even if others were removed or lost since. */
  async #page(
    after: Place | undefined,
    count: number,
  ): Promise<{ readonly frames: readonly StoredFrame[]; readonly end: Place }> {
    const guess = after?.number ?? 0
    const numbers = Array.from({ length: count + 1 }, (_, index) => guess + index)
    const [size, begin, ...values] = await this.#fields('size', 'begin', ...numbers)
    const last = sizeOf(size)
    const first = beginOf(begin)
    const isThere = guess <= first || (guess <= last && timeOf(values[0]) === after?.time)
    if (guess < first || !isThere) {
      const behind = guess < first ? first : await this.#lastUpTo(after as Place, first, last)
      if (behind !== guess) return this.#page(await this.#placeOf(behind), count)
    }
    let end = after ?? { time: 0, number: 0 }
    const frames = values.slice(1, 1 + Math.max(0, last - guess)).map((value, index) => {
      end = { time: timeOf(value) ?? end.time, number: guess + 1 + index }
      return { place: textOf(end), bytes: bytesOf(value) }
    })
    return { frames, end }
  }

  /** The number of the last frame up to a place. Needed when the frame of the place itself was lost. */
  async #lastUpTo(place: Place, first: number, last: number): Promise<number> {
    let [low, high] = [first, Math.min(last, place.number)]
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      const { time } = await this.#placeOf(middle)
      if (time < place.time || (time === place.time && middle <= place.number)) low = middle
      else high = middle - 1
    }
    return low
  }

  async #placeOf(number: number): Promise<Place> {
    const [value] = await this.#fields(number)
    return { time: timeOf(value) ?? 0, number }
  }

  async readBack(before: string | undefined, count: number): Promise<readonly StoredFrame[]> {
    const [size, begin] = await this.#fields('size', 'begin')
    const first = beginOf(begin)
    let next = before === undefined ? sizeOf(size) : Math.min(parsePlace(before).number - 1, sizeOf(size))
    const frames: StoredFrame[] = []
    while (frames.length < count && next > first) {
      const length = Math.min(PAGE, count - frames.length, next - first)
      const numbers = Array.from({ length }, (_, index) => next - index)
      for (const [index, value] of (await this.#fields(...numbers)).entries()) {
        const time = timeOf(value)
        // A lost frame leaves a hole.
        if (time !== undefined)
          frames.push({ place: textOf({ time, number: next - index }), bytes: bytesOf(value) })
      }
      next -= length
    }
    return frames
  }

  async last(): Promise<string | undefined> {
    const [size] = await this.#fields('size')
    const number = sizeOf(size)
    return number === 0 ? undefined : textOf(await this.#placeOf(number))
  }

  async readPerson(
    pseudonym: string,
    after: string | undefined,
    count: number,
  ): Promise<readonly StoredFrame[]> {
    const [begin] = await this.#fields('begin')
    const floor = Math.max(beginOf(begin), after === undefined ? 0 : parsePlace(after).number)
    const numbers = await this.#people.numbersOf(pseudonym, floor, count)
    if (numbers.length === 0) return []
    const values = await this.#fields(...numbers)
    return values.flatMap((value, index) => {
      const time = timeOf(value)
      return time === undefined
        ? []
        : [{ place: textOf({ time, number: numbers[index] ?? 0 }), bytes: bytesOf(value) }]
    })
  }

  async forgetPerson(pseudonym: string): Promise<void> {
    this.#people.forget()
    await this.#ask('HDEL', this.#key, `p:${pseudonym}`)
  }

  async start(): Promise<LogStart | undefined> {
    const [text] = await this.#fields('start')
    return text === null || text === undefined ? undefined : (JSON.parse(text.toString()) as LogStart)
  }

  async removeStart(start: LogStart): Promise<void> {
    const { number: end } = parsePlace(start.place)
    await this.#ask('HSET', this.#key, 'start', JSON.stringify(start), 'begin', end)
    this.#people.forget()
    const [removed] = await this.#fields('removed')
    for (let at = numberOf(removed?.toString() ?? '0'); at < end; at += PAGE) {
      const numbers = Array.from({ length: Math.min(PAGE, end - at) }, (_, index) => at + 1 + index)
      const frames = (await this.#fields(...numbers)).map(bytesOf)
      const people = [...new Set(frames.flatMap(peopleIn))]
      for (let from = 0; from < people.length; from += MOST_PEOPLE) {
        const some = people.slice(from, from + MOST_PEOPLE)
        await this.#ask('EVAL', FORGET_BEFORE, 1, this.#key, end, ...some)
      }
      await this.#ask('HDEL', this.#key, ...numbers)
    }
    await this.#ask('HSET', this.#key, 'removed', end)
  }

  async #fields(...names: (string | number)[]): Promise<readonly (Buffer | null)[]> {
    const reply = await this.#with(() => this.#redis.callBuffer('HMGET', this.#key, ...names))
    if (Array.isArray(reply)) return reply as (Buffer | null)[]
    throw new UnavailableError('Redis gave an unexpected answer (audit)')
  }

  #ask(command: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return this.#with(() =>
      command === 'EVAL' && args[0] !== APPEND_FRAMES
        ? this.#redis.callBuffer(command, ...args)
        : this.#redis.call(command, ...args),
    )
  }

  async #with(ask: () => Promise<unknown>): Promise<unknown> {
    const { status } = this.#redis
    if (status !== undefined && isDisconnected(status)) {
      throw new UnavailableError('Redis is not connected (audit)')
    }
    try {
      return await ask()
    } catch (error) {
      throw unavailable(error, 'audit')
    }
  }
}

interface Place {
  /** When the frame was stored, by the clock of Redis; never earlier than the frame before. */
  readonly time: number
  readonly number: number
}

function parsePlace(text: string): Place {
  const [time, number] = text.split('-')
  return { time: Number(time) || 0, number: Number(number) || 0 }
}

function textOf({ time, number }: Place): string {
  return `${time}-${number}`
}

/** Groups of frames that are small enough for one script. */
function inParts(frames: readonly FrameToStore[]): readonly (readonly FrameToStore[])[] {
  const parts: FrameToStore[][] = []
  let room = 0
  for (const frame of frames) {
    const takes = 1 + frame.people.length
    if (takes > room) {
      parts.push([])
      room = MOST_PEOPLE
    }
    parts.at(-1)?.push(frame)
    room -= takes
  }
  return parts
}

function numberOf(reply: unknown): number {
  const number = Number(reply)
  if (!Number.isSafeInteger(number) || number < 0)
    throw new UnavailableError('Redis gave an unexpected answer (audit)')
  return number
}

const beginOf = (field: Buffer | null | undefined): number => numberOf(field?.toString() ?? '0')
function sizeOf(field: Buffer | null | undefined): number {
  return numberOf(field?.toString().split(' ')[0] ?? '0')
}

/** When a frame was stored; `undefined` if there is no frame. */
function timeOf(value: Buffer | null | undefined): number | undefined {
  return value instanceof Uint8Array && value.length >= HEAD ? value.readUIntBE(0, 6) : undefined
}

/** The bytes of a stored frame. A field that is missing or malformed gives no bytes, which a verifier detects. */
function bytesOf(value: Buffer | null | undefined): Buffer {
  if (timeOf(value) === undefined) return Buffer.alloc(0)
  const bytes = value as Buffer
  return bytes.subarray(HEAD + POINTER * bytes.readUInt32BE(6))
}

function peopleIn(bytes: Buffer): readonly string[] {
  return bytes.length === 0 ? [] : peopleOfLines(linesOf(bytes))
}
