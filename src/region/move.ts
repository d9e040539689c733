import { hash } from 'node:crypto'
import { UnavailableError, UnreadableError, UsageError } from '../errors.ts'
import { randomId } from '../random-id.ts'
import { MOVES } from './buckets.ts'
import type { Entry, State } from './entry.ts'
import type { Territory } from './territory.ts'

/** The steps of a move, in order. */
export type MoveStep = 'begin' | 'copy' | 'verify' | 'cutOver' | 'settle' | 'erase'

/**
 * A step of a move that is about to be taken, for the audit log of `jurisdiction`. It names the person only by the identifier in
 * that jurisdiction.
 */
export interface MoveEvent {
  readonly move: string
  readonly step: MoveStep
  readonly jurisdiction: string
  readonly person: string
  readonly from: string
  readonly to: string
}

/** A move, kept until it is done in the more protective of the two jurisdictions. */
export interface Move {
  readonly id: string
  readonly source: string
  readonly target: string
}

export interface MoveEnds {
  readonly from: Territory
  readonly to: Territory
  /** The one of both that keeps the move. */
  readonly journal: Territory
}

export interface MoveTools {
  readonly nextStamp: () => string
  readonly record: (event: MoveEvent) => void | Promise<void>
}

export function newMove(source: string, target: string): Move {
  return { id: `${MOVES}:${randomId()}`, source, target }
}

export async function keepMove(
  move: Move,
  { from, journal }: MoveEnds,
  { nextStamp }: MoveTools,
): Promise<void> {
  const { source, target } = move
  if (from !== journal)
    // `left`, so that it expires if the move is never kept. It does not contain the target.
    await from.change(
      { id: move.id, from: ['absent'], stamp: nextStamp(), to: 'left', move: '', value: source },
      true,
    )
  await journal.change(
    {
      id: move.id,
      from: ['absent'],
      stamp: nextStamp(),
      to: 'here',
      move: '',
      value: JSON.stringify({ source, target }),
    },
    true,
  )
}

/** The move that a journal holds; `undefined` if it is done. */
export function readMove(id: string, entry: Entry | undefined): Move | undefined {
  if (entry?.state !== 'here') return undefined
  const { source, target } = JSON.parse(entry.value) as Record<string, unknown>
  if (typeof source !== 'string' || typeof target !== 'string')
    throw new UnreadableError('the stored move of a person is damaged')
  return { id, source, target }
}

/**
 * Continues a move from where it stopped. Any number of processes may do this at once: a step changes the record only if it is in
 * the state before that step.
 *
 * Until the record leaves the source, the source serves it, and the copy is not served. From then on it is the other way round.
 */
export async function carryOn(move: Move, ends: MoveEnds, tools: MoveTools): Promise<void> {
  const { from, to } = ends
  const about = { move: move.id, from: from.jurisdiction, to: to.jurisdiction }
  const tell = async (step: MoveStep, at: Territory): Promise<void> =>
    tools.record({
      ...about,
      step,
      jurisdiction: at.jurisdiction,
      person: at === from ? move.source : move.target,
    })
  const state = await from.agree(move.source)
  if (state?.state === 'here') {
    if (!(await isMeant(move, ends)))
      throw new UnavailableError(
        `another jurisdiction has a move that \`${from.jurisdiction}\` does not know`,
      )
    await tell('begin', from)
    await step(from, move.source, ['here'], 'moving', undefined, undefined, move, tools)
  }
  const source = await from.agree(move.source)
  if (source?.state === 'moving' && source.move === move.id) {
    await tell('copy', to)
    await step(to, move.target, ['absent', 'arriving'], 'arriving', source.value, undefined, move, tools)
    await tell('verify', to)
    await verify(to, move, source.value)
    await tell('cutOver', from)
    await step(from, move.source, ['moving'], 'leaving', undefined, move.id, move, tools)
  } else if (!hasLeft(source, move)) {
    await endMove(move, ends, tools)
    if (source?.state === 'moving') throw new UnavailableError('the record is already being moved')
    throw new UsageError('there is no such person to move')
  }
  if (!hasLeft(await from.agree(move.source), move)) throw stopped()
  const target = await to.agree(move.target)
  if (target?.state === 'arriving') {
    await tell('settle', to)
    await step(to, move.target, ['arriving'], 'here', undefined, move.id, move, tools)
  }
  await tell('erase', from)
  await step(from, move.source, ['leaving'], 'left', '', move.id, move, tools)
  await endMove(move, ends, tools)
}

/**
 * Whether the source also says that this person is to be moved. Otherwise somebody who can write only to the target could move
 * people.
 */
async function isMeant({ id, source }: Move, { from, journal }: MoveEnds): Promise<boolean> {
  if (from === journal) return true
  const entry = await from.agree(id)
  return entry?.state === 'left' && entry.value === source
}

function hasLeft(entry: Entry | undefined, { id }: Move): boolean {
  return entry !== undefined && entry.move === id && (entry.state === 'leaving' || entry.state === 'left')
}

async function step(
  at: Territory,
  id: string,
  from: readonly (State | 'absent')[],
  to: State,
  value: string | undefined,
  during: string | undefined,
  move: Move,
  { nextStamp }: MoveTools,
): Promise<void> {
  await at.change({ id, from, during, stamp: nextStamp(), to, move: move.id, value }, true)
}

/** Every location must have the same value. */
async function verify(to: Territory, { id, target }: Move, value: string): Promise<void> {
  const expected = hash('sha256', value)
  for (const copy of await to.readEverywhere(target)) {
    // Once the copy is served it may change, but then the record has already left the source.
    const isThere = copy !== undefined && copy.move === id && hash('sha256', copy.value) === expected
    if (!isThere)
      throw new UnavailableError('the copy of a record differs from the record; the move can be resumed')
  }
}

async function endMove({ id }: Move, { from, journal }: MoveEnds, { nextStamp }: MoveTools): Promise<void> {
  await journal.change({ id, from: ['here'], stamp: nextStamp(), to: 'gone', move: '', value: '' })
  if (from === journal) return
  await from.change({ id, from: ['left'], stamp: nextStamp(), to: 'gone', move: '', value: '' })
}

function stopped(): UnavailableError {
  return new UnavailableError(
    'the locations do not agree on a record that is being moved; the move can be resumed',
  )
}
