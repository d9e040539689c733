import { UnreadableError } from '../errors.ts'

/**
 * What becomes of a record. `here`: it is served. `moving`: it is served and cannot be changed, because it is on its way to
 * another jurisdiction. `leaving`: it has its home elsewhere, and its copy here is not served. `left`, `gone`: nothing but the
 * revision remains. `arriving`: it will be served here as soon as it has left its old home.
 */
export type State = 'here' | 'moving' | 'leaving' | 'left' | 'gone' | 'arriving'

/** A record as one location has it. */
export interface Entry {
  readonly revision: number
  /** The name of the write that made it: it begins with the time, so that of two writes the later has the greater name. */
  readonly stamp: string
  readonly state: State
  /** The move that it takes part in, or ''. */
  readonly move: string
  /** The value as JSON; '' where nothing remains. */
  readonly value: string
  /** Which writes it is built on, its own included: how many were decided at each location, as `frankfurt=1 london=12`. */
  readonly line: string
  /** The line of the last write of these that was acknowledged although a location lacked it; '' where none was. */
  readonly sure: string
}

/** The fields of an entry, in the order in which they are asked for. */
export const FIELDS = ['revision', 'stamp', 'state', 'move', 'value', 'line', 'sure'] as const

const STATES: ReadonlySet<string> = new Set(['here', 'moving', 'leaving', 'left', 'gone', 'arriving'])

/** @throws UnreadableError where the reply is something else than an entry or nothing. */
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

/** Whether a record of this line was built on, or has replaced, the one of the other. */
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
