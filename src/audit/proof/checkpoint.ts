import { UnreadableError } from '../../errors.ts'
import { HASH_BYTES } from '../log/merkle.ts'
import { readNote, signNote, type NoteKey } from './note.ts'

/** The state of a log at one moment: how many frames it had, and the root of the tree over their links. */
export interface Checkpoint {
  /** The name of the log. No other log with the same key has it. */
  readonly origin: string
  readonly size: number
  readonly root: Buffer
}

/** A checkpoint as a signed note (C2SP `tlog-checkpoint`). */
export function signCheckpoint({ origin, size, root }: Checkpoint, key: NoteKey): string {
  return signNote(`${origin}\n${size}\n${root.toString('base64')}\n`, key)
}

/**
 * Reads a checkpoint that one of the keys has signed.
 *
 * @throws UnreadableError if the note is not a checkpoint, or none of the keys has signed it.
 */
export function readCheckpoint(note: string, keys: readonly NoteKey[]): Checkpoint {
  const { text, isSigned } = readNote(note, keys)
  if (!isSigned) throw new UnreadableError('the checkpoint is not signed by any known key')
  const [origin = '', size = '', root = '', ...rest] = text.split('\n')
  const bytes = Buffer.from(root, 'base64')
  const isWhole =
    origin !== '' &&
    /^(?:0|[1-9]\d{0,15})$/.test(size) &&
    bytes.length === HASH_BYTES &&
    bytes.toString('base64') === root &&
    rest.at(-1) === ''
  if (!isWhole) throw new UnreadableError('the note is signed, but it is not a checkpoint')
  return { origin, size: Number(size), root: bytes }
}
