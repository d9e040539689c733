/**
 * What origins and return URLs cost, from text to answer, with 10 entries and with 10,000, next to what is usually written.
 *
 * Run with `npm run bench:match`; `-- --rounds 5` takes fewer rounds. Ends with 1 when a target is missed. All are asked in
 * turn, with strings that nobody has read yet, as from a socket; medians of the rounds count, in processor time.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { parseReturnUrl } from '../src/match/return-url.ts'
import { hostileReturnUrls } from '../src/testing/corpus/index.ts'
import { processorTime } from './ip/contest.ts'
import { Lines } from './ip/population.ts'
import { forOrigins, forReturnUrls, OURS, type Ask } from './match/contestants.ts'
import { originKinds, questions, returnUrlKinds, type Demand } from './match/population.ts'
import { atMost, header, line, median, told, type Row } from './store/table.ts'

const [FEW, MANY] = [10, 10_000]
const ROUNDS = 31
const QUESTIONS = 100_000
/** Look-ups of a round. */
const CHUNK = 20_000
/** Strings that are cut at once, few enough to stay in the caches until they are read. */
const BATCH = 500
/** How long a round may take, in milliseconds. */
const BUDGET = 60

interface Field {
  readonly ask: Ask
  readonly lines: Lines
  readonly chunk: number
  next: number
  readonly times: number[]
  /** Of the first questions, which are the same for all contestants. */
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

function measure(field: Field): void {
  const { ask, lines, chunk } = field
  let milliseconds = 0
  for (let done = 0; done < chunk; done += BATCH) {
    const length = Math.min(BATCH, chunk - done)
    const fresh = Array.from({ length }, (_, index) => lines.cut((field.next + index) % lines.length))
    field.next += length
    const begun = processorTime()
    for (const text of fresh) if (ask(text)) admitted += 1
    milliseconds += processorTime() - begun
  }
  field.times.push((milliseconds / chunk) * 1e6)
}

interface Contest {
  readonly kind: string
  readonly demand: Demand
  /** By contestant: few entries, and many. */
  readonly fields: ReadonlyMap<string, readonly [Field, Field]>
}

function contestOf<One>(
  contestants: Readonly<Record<string, (entries: readonly One[]) => Ask>>,
  kinds: Readonly<Record<string, Parameters<typeof questions<One>>[0]>>,
  demand: Demand,
): Contest[] {
  return Object.entries(kinds).map(([kind, makes]) => {
    const field = (build: (entries: readonly One[]) => Ask, size: number): Field => {
      const ask = build(Array.from({ length: size }, (_, index) => makes.entry(index)))
      return fieldOf(ask, questions(makes, size, QUESTIONS, demand))
    }
    // Only ours is asked for all entries evenly: for those that walk through them it makes no difference.
    const names = demand === 'even' ? [OURS] : Object.keys(contestants)
    const fields = names.map((name): [string, [Field, Field]] => {
      const build = contestants[name] as (entries: readonly One[]) => Ask
      return [name, [field(build, FEW), field(build, MANY)]]
    })
    return { kind, demand, fields: new Map(fields) }
  })
}

const nanoseconds = (value: number): string => `${value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, ',')} ns`

/** What one refusal takes at most, in microseconds: of the corpus, and of a megabyte. */
function hostile(): Row[] {
  const timesOf = (texts: readonly string[]): number[] =>
    texts.map((text) => {
      const rounds = Array.from({ length: 51 }, () => {
        const begun = process.hrtime.bigint()
        parseReturnUrl(text)
        return Number(process.hrtime.bigint() - begun) / 1_000
      })
      return median(rounds)
    })
  const corpus = timesOf(hostileReturnUrls.map(({ url }) => url))
  const mega = timesOf(
    ['a', '%2e', '/', '%25', '\\', '\u00e4'].map((piece) => 'https://example.org/'.padEnd(1e6, piece)),
  )
  const longest = timesOf(
    ['%25', '%CC%81', '%EF%B7%BA', '/..', ';', 'a.'].map((piece) =>
      `https://example.org/${piece}`.padEnd(2_048, piece),
    ),
  )
  return [
    told(
      'a line of the hostile corpus: median, and the longest',
      `${median(corpus).toFixed(1)}, ${Math.max(...corpus).toFixed(1)} µs`,
    ),
    atMost('a megabyte is refused within', Math.max(...mega), 10, 'µs'),
    atMost('2,048 characters of the worst kind are refused within', Math.max(...longest), 1_000, 'µs', 0),
  ]
}

function main(): boolean {
  const { values } = parseArgs({ options: { rounds: { type: 'string' } } })
  const rounds = Number(values.rounds ?? ROUNDS)
  console.log(
    `Node ${process.version}, load of the machine before: ${loadavg()
      .map((one) => one.toFixed(1))
      .join(', ')}`,
  )
  const contests = (['zipf', 'even'] as const).flatMap((demand) => [
    ...contestOf(forOrigins, originKinds, demand),
    ...contestOf(forReturnUrls, returnUrlKinds, demand),
  ])
  const fields = contests.flatMap((contest) => [...contest.fields.values()].flat())
  for (let round = 0; round < rounds; round += 1) for (const field of fields) measure(field)

  const rows: Row[] = []
  for (const { kind, demand, fields } of contests) {
    for (const [name, [few, many]] of fields) {
      const [least, most] = [median(few.times), median(many.times)]
      const cost = `${nanoseconds(least)} → ${nanoseconds(most)}`
      const what = `${kind}${demand === 'even' ? ', all as often' : ''}: ${FEW} → ${MANY.toLocaleString('en')}, ${name}`
      rows.push(told(what, cost))
      if (name === OURS && demand === 'zipf')
        rows.push(atMost('  the same as a ratio', most / least, 1.2, '', 2))
      const ours = fields.get(OURS)?.[1].answers
      if (many.answers !== ours) rows.push(told(`  ${name} answers some questions otherwise`, ''))
    }
  }
  rows.push(...hostile())
  console.log(`\n${header}`)
  for (const row of rows) console.log(line(row))
  return admitted > 0 && rows.every(({ ok }) => ok !== false)
}

process.exitCode = main() ? 0 : 1
