/**
 * Measures origins and return URLs with 10 and with 10,000 entries: a request through the mounted guard, which has the
 * targets, the matcher without the guard, and common implementations.
 *
 * Run it with `npm run bench:match`; `-- --rounds 5` makes fewer rounds. Exits with 1 if a target is missed. All
 * contestants take turns, with new strings, as if they came from a socket. Results are medians of the rounds, in CPU
 * time.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { parseReturnUrl } from '../src/match/return-url.ts'
import { hostileReturnUrls } from '../src/testing/corpus/index.ts'
import { processorTime } from './ip/contest.ts'
import { Lines } from './ip/population.ts'
import { forOrigins, forReturnUrls, GUARD, MATCHER, type Ask, type Contestants } from './match/contestants.ts'
import { originKinds, questions, returnUrlKinds, type Demand } from './match/population.ts'
import { atMost, header, line, median, told, type Row } from './store/table.ts'

const [FEW, MANY] = [10, 10_000]
const ROUNDS = 15
/** Rounds of contestants without a target, some of which walk through all entries. */
const FEW_ROUNDS = 5
const QUESTIONS = 40_000
/** Look-ups per round. */
const CHUNK = 10_000
/** The number of strings created at a time, small enough that they stay in the CPU caches until they are read. */
const BATCH = 500
/** The time limit of a round, in milliseconds. */
const BUDGET = 60

/**
 * The limit for a request with many entries, relative to one with few. If all entries are used equally often, they do
 * not fit in the CPU caches, and requests wait for memory.
 */
const MOST_BY_SIZE: Readonly<Record<Demand, number>> = { zipf: 1.2, even: 1.5 }
/** The limit for a text of a megabyte, relative to a line of the hostile corpus. */
const MOST_BY_LENGTH = 2
/** The limit for refusing a long text, relative to Node's URL parser. */
const MOST_BY_URL = 100

interface Field {
  readonly ask: Ask
  readonly lines: Lines
  readonly chunk: number
  next: number
  readonly times: number[]
  /** The answers to the first questions, which are the same for all contestants. */
  readonly answers: string
}

function fieldOf(ask: Ask, texts: readonly string[]): Field {
  const lines = new Lines(texts, texts.length)
  const answers = texts.slice(0, 100).map((text) => (ask(text) ? '1' : '0'))
  const begun = processorTime()
  for (let index = 0; index < 20; index += 1) ask(lines.cut(index))
  const one = Math.max((processorTime() - begun) / 20, 1e-4)
  const chunk = Math.max(20, Math.min(CHUNK, Math.floor(BUDGET / one)))
  return { ask, lines, chunk, next: 0, times: [], answers: answers.join('') }
}

let admitted = 0

/** The time of a look-up in nanoseconds, with a new string. Creating the string is not included. */
async function lookup({ ask, lines, chunk }: Field, start: number): Promise<number> {
  let milliseconds = 0
  for (let done = 0; done < chunk; done += BATCH) {
    // A turn of the event loop, as between requests, frees what they leave behind.
    await new Promise(setImmediate)
    const length = Math.min(BATCH, chunk - done)
    const fresh = Array.from({ length }, (_, index) => lines.cut((start + done + index) % lines.length))
    const begun = processorTime()
    for (const text of fresh) if (ask(text)) admitted += 1
    milliseconds += processorTime() - begun
  }
  return (milliseconds / chunk) * 1e6
}

/** Measures a round, after a warm-up round that refills the CPU caches. */
async function measure(field: Field): Promise<void> {
  await lookup(field, field.next)
  field.times.push(await lookup(field, field.next + field.chunk))
  field.next += 2 * field.chunk
}

interface Contest {
  readonly kind: string
  /** The kind of the guard's few entries. */
  readonly few: string
  readonly demand: Demand
  /** By contestant: the fields with few and with many entries. */
  readonly fields: ReadonlyMap<string, readonly [Field, Field]>
}

async function contestsOf<One>(
  contestants: Contestants<One>,
  kinds: Readonly<Record<string, Parameters<typeof questions<One>>[0]>>,
  demand: Demand,
): Promise<Contest[]> {
  const contests: Contest[] = []
  for (const [kind, makes] of Object.entries(kinds)) {
    const fields = new Map<string, [Field, Field]>()
    const field = async (name: string, size: number, of = makes): Promise<Field> => {
      const entries = Array.from({ length: size }, (_, index) => of.entry(index))
      const ask = await contestants[name]?.(entries)
      return fieldOf(ask as Ask, questions(of, size, QUESTIONS, demand))
    }
    const few = makes.fewTexts === true ? 'prefixes' : kind
    // The demand makes no difference for contestants that walk through all entries.
    const names = demand === 'even' ? [GUARD, MATCHER] : Object.keys(contestants)
    for (const name of names) {
      const of = name === GUARD ? kinds[few] : makes
      fields.set(name, [await field(name, FEW, of), await field(name, MANY)])
    }
    contests.push({ kind, few, demand, fields })
  }
  return contests
}

const nanoseconds = (value: number): string => `${value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ',')} ns`

/** The times of refusals: of the corpus, of a megabyte, and of the worst long texts. */
function hostile(): Row[] {
  const timesOf = (texts: readonly string[], read: (text: string) => unknown = parseReturnUrl): number[] =>
    texts.map((text) => {
      const rounds = Array.from({ length: 51 }, () => {
        const begun = process.hrtime.bigint()
        read(text)
        return Number(process.hrtime.bigint() - begun) / 1_000
      })
      return median(rounds)
    })
  const corpus = timesOf(hostileReturnUrls.map(({ url }) => url))
  const mega = timesOf(
    ['a', '%2e', '/', '%25', '\\', '\u00e4'].map((piece) => 'https://example.org/'.padEnd(1e6, piece)),
  )
  const worst = ['%25', '%CC%81', '%EF%B7%BA', '/..', ';', 'a.'].map((piece) =>
    `https://example.org/${piece}`.padEnd(2_048, piece),
  )
  const longest = timesOf(worst)
  const yardsticks = timesOf(worst, (text) => new URL(text))
  const byUrl = longest.map((time, index) => time / (yardsticks[index] as number))
  return [
    told(
      'a line of the hostile corpus: median, slowest',
      `${median(corpus).toFixed(1)}, ${Math.max(...corpus).toFixed(1)} µs`,
    ),
    told('slowest refusal of a megabyte', `${Math.max(...mega).toFixed(1)} µs`),
    atMost('  relative to a line of the corpus', Math.max(...mega) / median(corpus), MOST_BY_LENGTH, '', 2),
    told('slowest refusal of 2,048 characters of the worst kind', `${Math.max(...longest).toFixed(0)} µs`),
    atMost('  relative to `new URL` with the same text', Math.max(...byUrl), MOST_BY_URL, '', 1),
  ]
}

async function main(): Promise<boolean> {
  // Elsewhere a line is written for each kind of refusal.
  process.env['NODE_ENV'] = 'production'
  const { values } = parseArgs({ options: { rounds: { type: 'string' } } })
  const rounds = Number(values.rounds ?? ROUNDS)
  const load = loadavg().map((average) => average.toFixed(1))
  console.log(`Node ${process.version}, load average before: ${load.join(', ')}`)
  const rows: Row[] = []
  for (const demand of ['zipf', 'even'] as const) {
    const contests = [
      ...(await contestsOf(forOrigins, originKinds, demand)),
      ...(await contestsOf(forReturnUrls, returnUrlKinds, demand)),
    ]
    for (const contest of contests) {
      for (let round = 0; round < rounds; round += 1) {
        for (const [name, fields] of contest.fields)
          if (round < FEW_ROUNDS || name === GUARD) for (const field of fields) await measure(field)
      }
      rows.push(...rowsOf(contest))
    }
  }
  rows.push(...hostile())
  console.log(`\n${header}`)
  for (const row of rows) console.log(line(row))
  return admitted > 0 && rows.every(({ ok }) => ok !== false)
}

function rowsOf({ kind, few: ofFew, demand, fields }: Contest): Row[] {
  return [...fields].flatMap(([name, [few, many]]) => {
    const [least, most] = [median(few.times), median(many.times)]
    // The median of the ratios of each round, in which both were measured one after another.
    const ratio = median(many.times.map((time, round) => time / (few.times[round] as number)))
    const what = `${kind}${demand === 'even' ? ', all used equally often' : ''}: ${name}`
    const rows = [told(what, `${nanoseconds(least)} → ${nanoseconds(most)}`)]
    if (name === GUARD) {
      const text = `  with ${MANY.toLocaleString('en')} entries, relative to ${FEW}${ofFew === kind ? '' : ` ${ofFew}`}`
      rows.push(atMost(text, ratio, MOST_BY_SIZE[demand], '', 2))
    }
    const otherwise = many.answers === fields.get(MATCHER)?.[1].answers ? 0 : 1
    const text = `  ${name} gives other answers`
    // The guard must not give wrong answers, because their times would not count.
    if (name === GUARD) rows.push(atMost(text, otherwise, 0, '', 0))
    else if (otherwise > 0) rows.push(told(text, ''))
    return rows
  })
}

process.exitCode = (await main()) ? 0 : 1
