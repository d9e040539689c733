import { memoryInUse } from '../store/child.ts'
import { contestants } from './contestants.ts'
import { Lines, questions, texts, type Kind } from './population.ts'

/** A task that the parent process sends to the process of a contestant. */
export type Task =
  | { readonly task: 'build'; readonly kind: Kind; readonly size: number }
  | { readonly task: 'lookup'; readonly size: number; readonly callers: Callers }

/** The addresses in a round: `new` ones, or `again` those of a few callers, repeatedly. */
export type Callers = 'new' | 'again'

export interface Built {
  readonly milliseconds: number
  readonly bytes: number
  /** The approximate time of one look-up, in milliseconds. */
  readonly lookup: number
  /** The answers to the first questions, for comparison. */
  readonly answers: readonly boolean[]
}

const QUESTIONS = 300_000
/** The number of repeated callers. Their part of a set stays in the CPU caches. */
const CALLERS = 1_000
/** Look-ups per round. */
const CHUNK = 20_000
/** The number of strings created at a time, small enough that they stay in the CPU caches until they are read. */
const BATCH = 500
const ANSWERS = 200
/** Look-ups before a round, because the other contestants have just filled the CPU caches with their data. */
const WARM_UP = 60_000
/** The time limit of a round for one size, in milliseconds. */
const BUDGET = 150

/**
 * The CPU time of this process in milliseconds. On a shared machine, wall-clock time would also include the time of
 * other processes.
 */
export function processorTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

interface Field {
  readonly ask: (text: string) => boolean
  readonly lines: Lines
  readonly chunk: number
  readonly warmUp: number
  next: number
}

const fields = new Map<number, Field>()

async function build(name: string, kind: Kind, size: number): Promise<Built> {
  const contestant = contestants[name]
  if (contestant === undefined) throw new Error(`there is no ${name}`)
  const wanted = contestant.onlyFour === true ? 'four' : kind
  const ranges = new Lines(texts(wanted, size), size)
  const given = Array.from({ length: size }, (_, index) => ranges.cut(index))
  const before = await memoryInUse()
  const begun = processorTime()
  const ask = contestant.build(given)
  const milliseconds = processorTime() - begun
  const bytes = (await memoryInUse()) - before
  // The texts exist during both measurements, so their memory does not count for contestants that keep them.
  if (given.length !== size) throw new Error('a contestant has changed the list')
  const lines = new Lines(questions(wanted, ranges, QUESTIONS), QUESTIONS)
  ask(lines.cut(0))
  const asked = processorTime()
  ask(lines.cut(1))
  const lookup = processorTime() - asked
  const count = Math.min(ANSWERS, Math.ceil(BUDGET / lookup))
  const answers = Array.from({ length: count }, (_, index) => ask(lines.cut(index)))
  const affordable = Math.floor(BUDGET / lookup)
  fields.set(size, {
    ask,
    lines,
    chunk: Math.max(1, Math.min(CHUNK, affordable)),
    warmUp: Math.min(WARM_UP, affordable),
    next: 0,
  })
  return { milliseconds, bytes, lookup, answers }
}

let found = 0

/** The time of a look-up in nanoseconds, with a new string. Creating the string is not included. */
function lookup(size: number, callers: Callers): number {
  const field = fields.get(size) as Field
  const { ask, lines, chunk, warmUp } = field
  const many = callers === 'new' ? lines.length : CALLERS
  for (let count = 0; count < warmUp; count += 1) if (ask(lines.cut((field.next + count) % many))) found += 1
  const start = (field.next + warmUp) % (lines.length - chunk)
  field.next = start + chunk
  let milliseconds = 0
  for (let begin = start; begin < start + chunk; begin += BATCH) {
    const length = Math.min(BATCH, start + chunk - begin)
    const fresh = Array.from({ length }, (_, index) => lines.cut((begin + index) % many))
    const begun = processorTime()
    for (const text of fresh) if (ask(text)) found += 1
    milliseconds += processorTime() - begun
  }
  return (milliseconds / chunk) * 1e6
}

export function serve(name: string): void {
  process.on('message', (task: Task) => {
    if (task.task === 'lookup') process.send?.(lookup(task.size, task.callers))
    else void build(name, task.kind, task.size).then((built) => process.send?.(built))
  })
  process.on('disconnect', () => process.exit(found < 0 ? 1 : 0))
}
