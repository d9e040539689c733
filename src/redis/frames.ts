import { lastOf, linesOf } from '../audit/log/frame.ts'
import type { FrameStore, FrameToStore, StoredFrame } from '../audit/log/frame-store.ts'
import type { LogStart } from '../audit/log/log-start.ts'
import { peopleOfLines } from '../audit/log/people-of-lines.ts'
import { ConfigError, SECRET, UnavailableError } from '../errors.ts'
import { checkOptions, wholeNumber } from '../options.ts'
import { isDisconnected, unavailable, type BytesClient } from './client.ts'
import { APPEND_FRAMES, CUT_INDEX } from './frame-scripts.ts'
import { createKeyspace, PREFIX } from './keyspace.ts'

export interface RedisFramesOptions {
  /** The beginning of every key. Default `portcullis:`. */
  readonly prefix?: string | undefined
  /**
   * For how many milliseconds Redis can lose what it has acknowledged. Default 5,000, which fits `appendfsync everysec`; 0 for
   * `always`. For that long frames are kept here as well.
   */
  readonly settlesAfter?: number | undefined
}

/** A pointer of the index: milliseconds in six bytes, the number in two. */
const POINTER = 8
/** How many frames are read at once where all of them are. */
const PAGE = 256

/**
 * Keeps frames in a Redis Stream, through your own client: one entry for each. A frame that is sent twice is stored once, on a
 * single server, Sentinel and Cluster.
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
  const keys = createKeyspace(prefix)
  return new RedisFrames(redis, keys, settlesAfter)
}

/** Refuses what cannot send and read bytes. */
function checkBytesClient(redis: unknown): asserts redis is BytesClient {
  const client = redis as Partial<Record<keyof BytesClient, unknown>> | null | undefined
  if (typeof client?.call === 'function' && typeof client.callBuffer === 'function') return
  throw new ConfigError(
    'redisFrames client',
    'a client of ioredis, or one of node-redis through fromNodeRedis()',
    typeof redis === 'string' ? SECRET : redis,
  )
}

class RedisFrames implements FrameStore {
  readonly settlesAfter: number
  readonly #redis: BytesClient
  readonly #keys: ReturnType<typeof createKeyspace>

  constructor(redis: BytesClient, keys: ReturnType<typeof createKeyspace>, settlesAfter: number) {
    this.#redis = redis
    this.#keys = keys
    this.settlesAfter = settlesAfter
  }

  async append(frames: readonly FrameToStore[], overGap = false): Promise<number> {
    const { frames: stream, heads } = this.#keys
    const people = frames.flatMap((frame) => frame.people.map((person) => this.#keys.framesOf(person)))
    const args = frames.flatMap((frame) => [frame.first, lastOf(frame), frame.bytes, frame.people.length])
    const names = [stream, heads, ...people]
    const writer = frames[0]?.writer ?? ''
    const head = await this.#ask(
      'EVAL',
      APPEND_FRAMES,
      names.length,
      ...names,
      writer,
      overGap ? 1 : 0,
      ...args,
    )
    return numberOf(head)
  }

  async head(writer: string): Promise<number> {
    return numberOf((await this.#ask('HGET', this.#keys.heads, writer)) ?? '0')
  }

  async read(after: string | undefined, count: number): Promise<readonly StoredFrame[]> {
    const start = after === undefined ? '-' : `(${after}`
    return storedFrames(await this.#askBytes('XRANGE', this.#keys.frames, start, '+', 'COUNT', count))
  }

  async last(): Promise<string | undefined> {
    return storedFrames(await this.#askBytes('XREVRANGE', this.#keys.frames, '+', '-', 'COUNT', 1))[0]?.place
  }

  async readPerson(
    pseudonym: string,
    after: string | undefined,
    count: number,
  ): Promise<readonly StoredFrame[]> {
    const key = this.#keys.framesOf(pseudonym)
    const pointers = numberOf(await this.#ask('STRLEN', key)) / POINTER
    let [low, high] = [0, after === undefined ? 0 : Math.floor(pointers)]
    const bound = after === undefined ? undefined : pointerOf(after)
    while (bound !== undefined && low < high) {
      const middle = Math.floor((low + high) / 2)
      const found = await this.#pointers(key, middle, 1)
      if (Buffer.compare(found, bound) > 0) high = middle
      else low = middle + 1
    }
    const bytes = await this.#pointers(key, low, count)
    const places: string[] = []
    for (let at = 0; at + POINTER <= bytes.length; at += POINTER) places.push(placeOf(bytes, at))
    const found = await Promise.all(
      places.map((place) => this.#askBytes('XRANGE', this.#keys.frames, place, place)),
    )
    return found.flatMap(storedFrames)
  }

  async #pointers(key: string, from: number, count: number): Promise<Buffer> {
    const bytes = await this.#askBytes('GETRANGE', key, from * POINTER, (from + count) * POINTER - 1)
    return Buffer.isBuffer(bytes) ? bytes : Buffer.alloc(0)
  }

  async forgetPerson(pseudonym: string): Promise<void> {
    await this.#ask('DEL', this.#keys.framesOf(pseudonym))
  }

  async start(): Promise<LogStart | undefined> {
    const text = await this.#ask('GET', this.#keys.logStart)
    return typeof text === 'string' ? (JSON.parse(text) as LogStart) : undefined
  }

  async removeStart(start: LogStart): Promise<void> {
    const { place } = start
    await this.#ask('SET', this.#keys.logStart, JSON.stringify(start))
    const bound = pointerOf(place)
    let after: string | undefined
    for (;;) {
      const page = (await this.read(after, PAGE)).filter((frame) => isUpTo(frame.place, bound))
      const people = new Set(page.flatMap(({ bytes }) => peopleOfLines(linesOf(bytes))))
      for (const person of people) {
        await this.#askBytes('EVAL', CUT_INDEX, 1, this.#keys.framesOf(person), bound)
      }
      after = page.at(-1)?.place
      if (page.length < PAGE) break
    }
    // The least place behind this one.
    const [milliseconds, number] = place.split('-')
    await this.#ask('XTRIM', this.#keys.frames, 'MINID', `${milliseconds}-${Number(number) + 1}`)
  }

  #ask(command: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return this.#with(() => this.#redis.call(command, ...args))
  }

  #askBytes(command: string, ...args: (string | number | Buffer)[]): Promise<unknown> {
    return this.#with(() => this.#redis.callBuffer(command, ...args))
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

function numberOf(reply: unknown): number {
  const number = Number(reply)
  if (!Number.isSafeInteger(number) || number < 0)
    throw new UnavailableError('Redis gave a wrong answer (audit)')
  return number
}

/** The frames in a reply to XRANGE. An entry without one is handed on as no bytes, which a verifier finds. */
function storedFrames(reply: unknown): StoredFrame[] {
  if (!Array.isArray(reply)) return []
  return (reply as [Buffer, Buffer[]][]).map(([id, [name, bytes]]) => ({
    place: id.toString(),
    bytes: name?.toString() === 'f' && bytes !== undefined ? bytes : Buffer.alloc(0),
  }))
}

function pointerOf(place: string): Buffer {
  const [milliseconds, number] = place.split('-')
  const bytes = Buffer.alloc(POINTER)
  bytes.writeUIntBE(Number(milliseconds), 0, 6)
  bytes.writeUInt16BE(Number(number), 6)
  return bytes
}

function placeOf(bytes: Buffer, at: number): string {
  return `${bytes.readUIntBE(at, 6)}-${bytes.readUInt16BE(at + 6)}`
}

function isUpTo(place: string, bound: Buffer): boolean {
  return Buffer.compare(pointerOf(place), bound) <= 0
}
