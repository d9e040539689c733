import { PolicyError } from '../errors.ts'

/** The author of a write and the reason for it, for the history. At most 1,024 characters each. */
export interface ChangeNote {
  readonly author?: string | undefined
  readonly note?: string | undefined
}

const LONGEST_NOTE = 1024

/**
 * A copy of a note, without members that are `undefined`.
 *
 * @throws PolicyError
 */
export function parseNote(note: ChangeNote = {}): ChangeNote {
  const entries = (['author', 'note'] as const).flatMap((name) => {
    const text: unknown = note[name]
    if (text === undefined) return []
    if (typeof text === 'string' && text.length <= LONGEST_NOTE) return [[name, text]]
    throw new PolicyError([
      { path: name, message: `must be a string of at most ${LONGEST_NOTE.toLocaleString('en')} characters` },
    ])
  })
  return Object.fromEntries(entries) as ChangeNote
}
