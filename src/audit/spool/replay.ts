import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { withDeadline } from '../../deadline.ts'
import { UnavailableError } from '../../errors.ts'
import { lastOf, readFrame } from '../log/frame.ts'
import { toStore, type FrameStore, type FrameToStore } from '../log/frame-store.ts'
import { createPump, type Pump } from '../log/pump.ts'
import type { People } from '../people/people.ts'
import { segmentsIn, spoolFailure } from './files.ts'
import { isHeld, takeLock } from './lock.ts'
import { scanRecords, type SpoolRecord } from './record.ts'

export interface ReplayOptions {
  readonly directory: string
  readonly store: FrameStore
  readonly people: People | undefined
  /** How long the store may take for one batch, in milliseconds. */
  readonly storeTimeout: number
  readonly onError: (error: unknown) => void
}

/** How often to look for dead processes, in milliseconds. */
const LOOKED_FOR_EACH = 10_000
const READ_SIZE = 1_048_576
/** How many spools of dead processes are sent at a time. */
const AT_ONCE = 8

/** Sends what processes have left in their spools when they died. */
export class Replay {
  readonly #options: ReplayOptions
  readonly #pump: Pump
  readonly #ended = new AbortController()
  #timer: NodeJS.Timeout | undefined

  constructor(options: ReplayOptions) {
    this.#options = options
    this.#pump = createPump(async () => {
      await this.all()
      return false
    }, options.onError)
  }

  /** Looks for dead processes at intervals. */
  begin(): void {
    this.#pump.poke()
    this.#timer = setInterval(() => this.#pump.poke(), LOOKED_FOR_EACH)
    this.#timer.unref()
  }

  async close(): Promise<void> {
    this.#ended.abort()
    clearInterval(this.#timer)
    await this.#pump.close()
  }

  /** Sends what all dead processes have left. Returns the number of frames. */
  async all(): Promise<number> {
    const { directory } = this.#options
    let found: ReadonlyMap<string, readonly string[]>
    try {
      found = await segmentsIn(directory)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0
      throw spoolFailure(error)
    }
    // Each one waits for the store to settle, so several run in parallel.
    const left = [...found]
    let frames = 0
    const sendSome = async (): Promise<void> => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) {
        if (this.#ended.signal.aborted) continue
        // Not `frames += await …`, which would read `frames` before it waits.
        const sent = await this.#ifDead(...next)
        frames += sent
      }
    }
    const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, sendSome))
    for (const result of results) if (result.status === 'rejected') throw result.reason
    return frames
  }

  async #ifDead(writer: string, paths: readonly string[]): Promise<number> {
    const { directory } = this.#options
    if (await isHeld(join(directory, `${writer}.lock`))) return 0
    const lock = await takeLock(join(directory, `${writer}.replay`))
    if (lock === undefined) return 0
    try {
      return await this.#one(writer, paths)
    } finally {
      await lock.release()
    }
  }

  async #one(writer: string, paths: readonly string[]): Promise<number> {
    const { store, directory } = this.#options
    let last = 0
    let frames = 0
    const damaged: string[] = []
    for (const path of paths) {
      const isWhole = await eachRecord(path, async (records) => {
        const batch = await this.#read(records)
        frames += batch.length
        if (batch.length > 0) last = Math.max(last, await this.#send(batch))
      })
      if (!isWhole) damaged.push(path)
      if (this.#ended.signal.aborted) return frames
    }
    // The store may still lose what it has just acknowledged.
    const { signal } = this.#ended
    const settled = await sleep(store.settlesAfter, true, { ref: false, signal }).catch(() => false)
    if (!settled) return frames
    const head = await withDeadline(store.head(writer), this.#options.storeTimeout, 'the store of the audit')
    if (head < last) throw new UnavailableError('the store lost the replayed events; they are sent again')
    for (const path of paths) {
      if (!damaged.includes(path)) await rm(path, { force: true })
      else await rename(path, `${path}.damaged`)
    }
    await rm(join(directory, `${writer}.lock`), { force: true })
    return frames
  }

  /** The frames among the records. Secrets are delivered first. */
  async #read(records: readonly SpoolRecord[]): Promise<readonly FrameToStore[]> {
    const frames: FrameToStore[] = []
    for (const { kind, content } of records) {
      if (kind === 'secret') await this.#options.people?.takeOver(content)
      else frames.push(toStore(readFrame(content)))
    }
    return frames
  }

  /** Resolves with the number of the last event, which is then in the store. */
  async #send(frames: readonly FrameToStore[]): Promise<number> {
    const { store, storeTimeout, onError } = this.#options
    const ask = (overGap: boolean): Promise<number> =>
      withDeadline(store.append(frames, overGap), storeTimeout, 'the store of the audit')
    const [begin, end] = [frames[0], frames.at(-1)]
    if (begin === undefined || end === undefined) return 0
    const head = await ask(false)
    if (head < lastOf(end)) {
      onError(
        new UnavailableError(
          `events ${head + 1} to ${begin.first - 1} of the writer \`${begin.writer}\` are lost: they are neither in the store nor in its spool`,
        ),
      )
      await ask(true)
    }
    return lastOf(end)
  }
}

/**
 * Passes on the records of a file, some at a time. A torn end is a write that was cut off, and was never acknowledged.
 *
 * @returns whether nothing except a torn end was left out.
 */
async function eachRecord(
  path: string,
  take: (records: readonly SpoolRecord[]) => Promise<void>,
): Promise<boolean> {
  const file = await open(path, 'r').catch(unlessMissing)
  // Its writer has closed since the directory was read, or another process has replayed it: the store has everything in it.
  if (file === undefined) return true
  try {
    const { size } = await file.stat()
    let offset = 0
    let want = READ_SIZE
    while (offset < size) {
      const bytes = Buffer.alloc(Math.min(want, size - offset))
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset)
      const whole = offset + bytesRead >= size
      const { records, end, broken } = scanRecords(bytes.subarray(0, bytesRead), offset, whole)
      if (records.length > 0) await take(records)
      if (broken) return !(await hasRecordBehind(path, end + 1, size))
      if (whole) return true
      // The next record is longer than what was read.
      want = records.length === 0 ? want * 2 : READ_SIZE
      offset = end
    }
    return true
  } finally {
    await file.close()
  }
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error
}

/** Whether a whole record follows after a position. If so, the file was changed, and not just cut off. */
async function hasRecordBehind(path: string, from: number, size: number): Promise<boolean> {
  const file = await open(path, 'r')
  try {
    const bytes = Buffer.alloc(Math.min(READ_SIZE, Math.max(0, size - from)))
    const { bytesRead } = await file.read(bytes, 0, bytes.length, from)
    for (let at = 0; at < bytesRead; at += 1) {
      const rest = bytes.subarray(at, bytesRead)
      // Our records never have length zero, but a disk that lost a write may return zeros.
      if (rest.length > 9 && rest.readUInt32BE(0) > 0 && scanRecords(rest, 0, false).records.length > 0)
        return true
    }
    return false
  } finally {
    await file.close()
  }
}
