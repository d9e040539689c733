import { UnreadableError } from '../errors.ts'

/**
 * The state of a record. `here`: it is served. `moving`: it is served but cannot be changed, because it is being moved to another
 * jurisdiction. `leaving`: it has moved, and its copy here is not served. `left`, `gone`: only the revision remains. `arriving`:
 * it will be served here once it has left its old jurisdiction.
 */
export type State = 'here' | 'moving' | 'leaving' | 'left' | 'gone' | 'arriving'

/** A record as stored at one location. */
export interface Entry {
  readonly revision: number
  /** The name of the write that made it. It begins with the time, so a later write has a greater name. */
  readonly stamp: string
  readonly state: State
  /** The move that it takes part in, or ''. */
  readonly move: string
  /** The value as JSON; '' if it was removed. */
  readonly value: string
  /** The writes it is built on, including its own: how many were decided at each location, as in `frankfurt=1 london=12`. */
  readonly line: string
  /** The line of the latest of these writes that was acknowledged although a location lacked it; '' if there is none. */
  readonly sure: string
}

/** The fields of an entry, in the order of the reply. */
export const FIELDS = ['revision', 'stamp', 'state', 'move', 'value', 'line', 'sure'] as const

const STATES: ReadonlySet<string> = new Set(['here', 'moving', 'leaving', 'left', 'gone', 'arriving'])

/** @throws UnreadableError if the reply is neither an entry nor empty. */
export function readEntry(reply: unknown): Entry | undefined {
  const [revision, stamp, state, move, value, line, sure] = Array.isArray(reply) ? (reply as unknown[]) : []
  if (revision === null && state === null) return undefined
  const whole = Number(revision)
  if (
    typeof stamp !== 'string' ||
    typeof state !== 'string' ||
    !STATES.has(state) ||
    !Number.isSafeInteger(whole)
  )
    throw new UnreadableError('the stored record of a person is damaged')
  return {
    revision: whole,
    stamp,
    state: state as State,
    move: text(move),
    value: text(value),
    line: text(line),
    sure: text(sure),
  }
}

/** Whether the record with this line was built on the one with the other line, or has replaced it. */
export function covers(line: string, other: string): boolean {
  const own = counts(line)
  return [...counts(other)].every(([name, count]) => (own.get(name) ?? 0) >= count)
}

function counts(line: string): ReadonlyMap<string, number> {
  const counted = new Map<string, number>()
  for (const part of line.split(' ')) {
    const at = part.indexOf('=')
    if (at > 0) counted.set(part.slice(0, at), Number(part.slice(at + 1)))
  }
  return counted
}

function text(field: unknown): string {
  return typeof field === 'string' ? field : ''
}
