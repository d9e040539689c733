import { mkdir } from 'node:fs/promises'
import { UnreadableError } from '../../errors.ts'
import { lastOf, linesOf, readFrame } from '../log/frame.ts'
import type { FrameStore, StoredFrame } from '../log/frame-store.ts'
import { framesOf } from '../log/frames-of.ts'
import type { LogStart } from '../log/log-start.ts'
import { GrowingTree } from '../log/merkle.ts'
import { parseEvent } from '../line.ts'
import { readCheckpoint, type Checkpoint } from '../proof/checkpoint.ts'
import type { NoteKey } from '../proof/note.ts'
import { leafOf } from '../proof/sealer.ts'
import { isBehind } from '../proof/verify.ts'
import { ownEvent } from '../reading/own-event.ts'
import type { AuditSink } from '../sink.ts'
import { writeArchive } from './archive.ts'

export interface RetainOptions {
  readonly store: FrameStore
  /** The directory to which frames are moved. */
  readonly archive: string
  /** Frames are moved if all their events are older than this; in milliseconds since the epoch. */
  readonly before: number
  /** The published checkpoints. Only frames that one of them covers are moved. */
  readonly checkpoints: readonly string[]
  readonly keys: readonly NoteKey[]
  /** The sink that records the removal. */
  readonly sink: AuditSink
  /** Places up to which others, such as exporters, have read. Later frames stay. */
  readonly readUpTo?: readonly string[] | undefined
  readonly now?: (() => number) | undefined
}

/** The result of moving frames. */
export interface Retained {
  readonly frames: number
  readonly start: LogStart | undefined
}

/**
 * Moves old frames from the store to an archive, but only frames that a valid checkpoint covers. They are removed from the store
 * once they are on disk and the removal is recorded.
 *
 * @throws UnreadableError (as a rejection) if the log does not match its signed checkpoint: then nothing is moved.
 */
export async function retainLog(options: RetainOptions): Promise<Retained> {
  const { store, archive, sink, now = Date.now } = options
  const before = await store.start()
  const start = await newStart(options, before)
  if (start === undefined) return { frames: 0, start: before }
  await mkdir(archive, { recursive: true, mode: 0o700 })
  const size = before?.size ?? 0
  const moved = await writeArchive(archive, size, upTo(start.place, framesOf(store)))
  if (moved !== start.size - size) throw new UnreadableError('the log changed while it was being archived')
  await sink.write([ownEvent({ operation: 'audit retain', time: new Date(now()).toISOString() })])
  await store.removeStart(start)
  return { frames: moved, start }
}

async function* upTo(place: string, frames: AsyncIterable<StoredFrame>): AsyncGenerator<StoredFrame> {
  for await (const frame of frames) {
    if (isBehind(frame.place, place)) return
    yield frame
  }
}

/** The new beginning of the log: after the newest checkpoint that covers only old frames. */
async function newStart(options: RetainOptions, begin: LogStart | undefined): Promise<LogStart | undefined> {
  const { store, before, readUpTo = [] } = options
  const signed = signedCheckpoints(options)
  const tree = GrowingTree.from(
    begin?.size ?? 0,
    begin?.peaks.map((peak) => Buffer.from(peak, 'base64')) ?? [],
  )
  const writers = new Map(Object.entries(begin?.writers ?? {}))
  let start: LogStart | undefined
  for await (const frame of framesOf(store)) {
    const isRead = readUpTo.every((place) => !isBehind(frame.place, place))
    if (!isRead || newestTime(frame) >= before) break
    tree.add(leafOf(frame.bytes))
    const { writer, link, ...read } = readFrame(frame.bytes)
    writers.set(writer, [lastOf(read), link.toString('base64')])
    const checkpoint = signed.get(tree.size)
    if (checkpoint === undefined) continue
    if (!checkpoint.root.equals(tree.root())) {
      throw new UnreadableError(
        'the log does not match its signed checkpoint: run `audit verify`; nothing was moved',
      )
    }
    start = {
      size: tree.size,
      peaks: tree.peaks.map((peak) => peak.toString('base64')),
      writers: Object.fromEntries(writers),
      checkpoint: checkpoint.note,
      place: frame.place,
    }
  }
  return start
}

function signedCheckpoints({
  checkpoints,
  keys,
}: RetainOptions): Map<number, Checkpoint & { readonly note: string }> {
  return new Map(
    checkpoints.map((note) => {
      const checkpoint = readCheckpoint(note, keys)
      return [checkpoint.size, { ...checkpoint, note }]
    }),
  )
}

function newestTime({ bytes }: StoredFrame): number {
  return Math.max(...linesOf(bytes).map((line) => Date.parse(parseEvent(line)?.time ?? '') || 0))
}
