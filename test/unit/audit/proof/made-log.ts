import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { serialiseEvent } from '../../../../src/audit/line.ts'
import { makeFrame, NO_LINK, type Frame } from '../../../../src/audit/log/frame.ts'
import { toStore, type StoredFrame } from '../../../../src/audit/log/frame-store.ts'
import { memoryFrames } from '../../../../src/audit/log/memory-frames.ts'
import type { NoteKey } from '../../../../src/audit/proof/note.ts'
import { createSealer } from '../../../../src/audit/proof/sealer.ts'
import { fieldEvent } from '../events.ts'

export const ORIGIN = 'example.org/audit'
export const FRAME_KEY: KeyObject = createSecretKey(Buffer.alloc(32, 5))
export const newKey = (name = ORIGIN): NoteKey => ({ name, key: generateKeyPairSync('ed25519').privateKey })
export const KEY: NoteKey = newKey()

/** The events of a frame, as lines. */
export const linesFrom = (writer: string, first: number, count: number): string[] =>
  Array.from({ length: count }, (_, index) =>
    serialiseEvent(fieldEvent(`${writer}-${first + index}`, { person: `person-${(first + index) % 7}` })),
  )

/** Creates chained frames for several writers. */
export class Writers {
  readonly #at = new Map<string, { first: number; previous: Buffer }>()

  make(writer: string, count: number, lines?: readonly string[]): Frame {
    const { first, previous } = this.#at.get(writer) ?? { first: 1, previous: NO_LINK }
    const made = lines ?? linesFrom(writer, first, count)
    const frame = makeFrame({ writer, first, previous, lines: made, key: FRAME_KEY })
    this.#at.set(writer, { first: first + made.length, previous: frame.link })
    return frame
  }
}

export interface MadeLog {
  readonly frames: readonly StoredFrame[]
  readonly checkpoints: readonly string[]
}

/** A log with these frames, and a checkpoint after every `each` frames. */
export async function logOf(frames: readonly Frame[], each: number, key: NoteKey = KEY): Promise<MadeLog> {
  const store = memoryFrames()
  const checkpoints: string[] = []
  const sealer = createSealer({
    store,
    origin: key.name,
    key: key.key,
    interval: 1_000_000,
    publish: (note) => void checkpoints.push(note),
  })
  for (const [index, frame] of frames.entries()) {
    await store.append([toStore(frame)])
    if ((index + 1) % each === 0) await sealer.seal()
  }
  await sealer.close()
  return { frames: await store.read(undefined, 100_000), checkpoints }
}
