import { createSecretKey, type KeyObject } from 'node:crypto'
import { isKeyObject } from 'node:util/types'
import { parseEvent } from '../line.ts'
import { isMadeBy, lastOf, NO_LINK, openFrame, type Frame, type OpenedFrame } from '../log/frame.ts'
import type { StoredFrame } from '../log/frame-store.ts'
import { GrowingTree } from '../log/merkle.ts'
import { readCheckpoint, type Checkpoint } from './checkpoint.ts'
import type { NoteKey } from './note.ts'
import { leafOf } from './sealer.ts'
import type { LogStart } from '../log/log-start.ts'

/** The problems that a verification can find. */
export type LogProblemCode =
  | 'FRAME_UNREADABLE'
  | 'FRAME_CHANGED'
  | 'FRAME_FOREIGN'
  | 'CHAIN_BROKEN'
  | 'EVENTS_MISSING'
  | 'EVENTS_TWICE'
  | 'EVENT_UNREADABLE'
  | 'ORDER_WRONG'
  | 'CHECKPOINT_UNREADABLE'
  | 'CHECKPOINT_FOREIGN'
  | 'CHECKPOINT_DIFFERS'
  | 'FRAMES_MISSING'
  | 'FRAMES_UNSEALED'
  | 'START_WRONG'

export interface LogProblem {
  readonly code: LogProblemCode
  /** The number of the frame or the checkpoint, counted from zero. */
  readonly at: number
  readonly detail: string
}

/** The result of a verification. */
export interface LogReport {
  readonly frames: number
  readonly events: number
  readonly writers: number
  /** How many frames the newest valid checkpoint covers. */
  readonly sealed: number
  /** How many checkpoints are valid. */
  readonly checkpoints: number
  /** The first hundred problems. If it is empty, the log is unchanged. */
  readonly problems: readonly LogProblem[]
  /** How many problems there are. */
  readonly found: number
}

export interface VerifyOptions {
  /** The frames in the order of the store: `framesOf(store)`, preceded by the frames of the archive, if any. */
  readonly frames: AsyncIterable<StoredFrame> | Iterable<StoredFrame>
  /** The published checkpoints, as signed notes. Without them, a truncated log or a removed writer goes unnoticed. */
  readonly checkpoints?: readonly string[] | undefined
  /** The keys that may sign checkpoints. */
  readonly keys?: readonly NoteKey[] | undefined
  /** The name of the log. Checkpoints of another log are reported. */
  readonly origin?: string | undefined
  /** The key of the frames, if `auditLog` has one. Frames of others are reported. */
  readonly frameKey?: Uint8Array | KeyObject | undefined
  /** Where the log begins, if older frames were removed and are not passed in `frames`. */
  readonly start?: LogStart | undefined
  /** How many frames may follow the newest checkpoint. Default: any number. */
  readonly maxUnsealed?: number | undefined
  /** Called from time to time with the number of frames verified so far. */
  readonly onProgress?: ((frames: number) => void) | undefined
}

const MOST_PROBLEMS = 100

/** Verifies a log: every event against its frame, every frame against its writer's chain, and all of them against the checkpoints. */
export async function verifyLog(options: VerifyOptions): Promise<LogReport> {
  const verification = new Verification(options)
  for await (const frame of options.frames) verification.take(frame)
  return verification.report()
}

/** The known state of one writer. */
interface Chain {
  last: number
  link: Buffer
}

class Verification {
  readonly #options: VerifyOptions
  readonly #frameKey: KeyObject | undefined
  readonly #chains = new Map<string, Chain>()
  readonly #problems: LogProblem[] = []
  readonly #tree: GrowingTree
  /** Checkpoints by the size of the log that they cover. */
  readonly #due = new Map<number, { readonly checkpoint: Checkpoint; readonly at: number }[]>()
  readonly #begin: number
  #found = 0
  #events = 0
  #sealed = 0
  #held = 0
  #largest = 0
  #place: string | undefined

  constructor(options: VerifyOptions) {
    this.#options = options
    const { frameKey, start } = options
    this.#frameKey = frameKey === undefined || isKeyObject(frameKey) ? frameKey : createSecretKey(frameKey)
    this.#tree = this.#startTree(start)
    this.#begin = this.#tree.size
    this.#place = start?.place
    for (const [writer, [last, link]] of Object.entries(start?.writers ?? {})) {
      this.#chains.set(writer, { last, link: Buffer.from(link, 'base64') })
    }
    for (const [at, note] of (options.checkpoints ?? []).entries()) this.#takeCheckpoint(note, at)
    if (start !== undefined) this.#checkStart(start)
    this.#compare()
  }

  #startTree(start: LogStart | undefined): GrowingTree {
    try {
      return GrowingTree.from(start?.size ?? 0, start?.peaks.map((peak) => Buffer.from(peak, 'base64')) ?? [])
    } catch {
      this.#problem('START_WRONG', 0, 'the hashes of the archived part do not match its size')
      return new GrowingTree()
    }
  }

  /** A log that begins later must begin at a signed checkpoint. */
  #checkStart({ checkpoint: note }: LogStart): void {
    const checkpoint = this.#checkpointOf(note, 0)
    if (checkpoint === undefined) return
    if (checkpoint.size === this.#tree.size && checkpoint.root.equals(this.#tree.root())) return
    this.#problem('START_WRONG', 0, 'the archived part is not the one that its checkpoint signed')
  }

  #checkpointOf(note: string, at: number): Checkpoint | undefined {
    const { keys = [], origin } = this.#options
    let checkpoint: Checkpoint
    try {
      checkpoint = readCheckpoint(note, keys)
    } catch (error) {
      this.#problem('CHECKPOINT_UNREADABLE', at, (error as Error).message)
      return undefined
    }
    if (origin === undefined || checkpoint.origin === origin) return checkpoint
    this.#problem('CHECKPOINT_FOREIGN', at, `it belongs to the log \`${checkpoint.origin}\``)
    return undefined
  }

  #takeCheckpoint(note: string, at: number): void {
    const checkpoint = this.#checkpointOf(note, at)
    // Older checkpoints cover only removed frames, so they cannot be compared.
    if (checkpoint === undefined || checkpoint.size < this.#begin) return
    const all = this.#due.get(checkpoint.size) ?? []
    all.push({ checkpoint, at })
    this.#due.set(checkpoint.size, all)
    this.#largest = Math.max(this.#largest, checkpoint.size)
  }

  take(stored: StoredFrame): void {
    const at = this.#tree.size
    if (this.#place !== undefined && !isBehind(stored.place, this.#place)) {
      this.#problem('ORDER_WRONG', at, 'its place is not after the place of the previous frame')
    }
    this.#place = stored.place
    this.#takeFrame(stored.bytes, at)
    this.#tree.add(leafOf(stored.bytes))
    this.#compare()
    if (at % 1_024 === 0) this.#options.onProgress?.(at)
  }

  #takeFrame(bytes: Buffer, at: number): void {
    let opened: OpenedFrame
    try {
      opened = openFrame(bytes)
    } catch (error) {
      this.#problem('FRAME_UNREADABLE', at, (error as Error).message)
      return
    }
    const { frame, lines, root } = opened
    this.#events += frame.count
    if (!root.equals(frame.root)) {
      this.#problem('FRAME_CHANGED', at, 'its events do not match its root hash')
    }
    if (this.#frameKey !== undefined && !isMadeBy(frame, this.#frameKey)) {
      this.#problem(
        'FRAME_FOREIGN',
        at,
        `it was not written by a holder of the frame key (writer \`${frame.writer}\`)`,
      )
    }
    const unreadable = lines.findIndex((line) => parseEvent(line) === undefined)
    if (unreadable !== -1) {
      this.#problem('EVENT_UNREADABLE', at, `event ${unreadable} of the frame is not an audit event`)
    }
    this.#takeLink(frame, at)
  }

  #takeLink(frame: Frame, at: number): void {
    const { writer, first, previous, link } = frame
    const chain = this.#chains.get(writer) ?? { last: 0, link: NO_LINK }
    if (first > chain.last + 1) {
      this.#problem(
        'EVENTS_MISSING',
        at,
        `events ${chain.last + 1} to ${first - 1} of the writer \`${writer}\` are missing`,
      )
    } else if (first <= chain.last) {
      this.#problem('EVENTS_TWICE', at, `events from ${first} on of the writer \`${writer}\` are repeated`)
    } else if (!previous.equals(chain.link)) {
      this.#problem('CHAIN_BROKEN', at, `it does not follow the previous frame of the writer \`${writer}\``)
    }
    this.#chains.set(writer, { last: Math.max(chain.last, lastOf(frame)), link })
  }

  /** Compares the tree with the checkpoints for its size. */
  #compare(): void {
    const due = this.#due.get(this.#tree.size)
    if (due === undefined) return
    const root = this.#tree.root()
    this.#due.delete(this.#tree.size)
    for (const { checkpoint, at } of due) {
      if (checkpoint.root.equals(root)) {
        this.#held += 1
        this.#sealed = Math.max(this.#sealed, checkpoint.size)
      } else {
        this.#problem('CHECKPOINT_DIFFERS', at, `the first ${checkpoint.size} frames are not the signed ones`)
      }
    }
  }

  report(): LogReport {
    const { size } = this.#tree
    const { maxUnsealed = Infinity } = this.#options
    if (this.#due.size > 0) {
      this.#problem(
        'FRAMES_MISSING',
        size,
        `checkpoints cover ${this.#largest} frames, but there are only ${size}`,
      )
    }
    if (size - this.#sealed > maxUnsealed) {
      this.#problem(
        'FRAMES_UNSEALED',
        this.#sealed,
        `${size - this.#sealed} frames are not covered by the newest checkpoint`,
      )
    }
    return {
      frames: size - this.#begin,
      events: this.#events,
      writers: this.#chains.size,
      sealed: this.#sealed,
      checkpoints: this.#held,
      problems: this.#problems,
      found: this.#found,
    }
  }

  #problem(code: LogProblemCode, at: number, detail: string): void {
    this.#found += 1
    if (this.#problems.length < MOST_PROBLEMS) this.#problems.push({ code, at, detail })
  }
}

/** Whether a place is after another. Places of Redis are two numbers, those of a memory store one. */
export function isBehind(place: string, other: string): boolean {
  const [time = '', number = '0'] = place.split('-')
  const [otherTime = '', otherNumber = '0'] = other.split('-')
  if (Number(time) !== Number(otherTime)) return Number(time) > Number(otherTime)
  return Number(number) > Number(otherNumber)
}
