/**
 * Measures sets of addresses, compared with other packages: look-ups at four sizes, building, memory, and whether a
 * server can still answer requests while a million ranges are loaded.
 *
 * Run it with `npm run bench:ip`; `-- --largest 100000` omits larger sets, `-- --rounds 5` makes fewer rounds, `--
 * --alone` omits the other packages and the targets relative to them. Exits with 1 if a target is missed. Targets are
 * ratios to results of the same run: to a set of ten ranges, and to the best other package at the same size. Every
 * contestant has its own process, and they take turns. Results are medians of the rounds, in CPU time.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { serve, type Built, type Callers, type Task } from './ip/contest.ts'
import { contestants, OURS } from './ip/contestants.ts'
import { load, type Loaded } from './ip/loading.ts'
import { kinds, type Kind } from './ip/population.ts'
import { atMost, header, line, median, told, type Row } from './store/table.ts'

const SIZES = [10, 1_000, 100_000, 1_000_000]
const ROUNDS = 21
/** Contestants that need longer than this for one look-up, in milliseconds, have fewer rounds. */
const SLOW = 50
const SLOW_ROUNDS = 3
const LOADS = 5

/** The limit for a look-up among any number of ranges, relative to one among ten. */
const MOST_BY_SIZE = 1.5
/** The limit for a look-up in the largest set, relative to the best other package. */
const MOST_BY_OTHERS = 0.4
/** The limit for building a set from text, relative to the best other package. */
const MOST_TO_READY = 0.3
const MOST_BYTES = 8
/** The limit for the longest time that the event loop is blocked, as a fraction of the build time. */
const MOST_PAUSE = 0.02

const isPositive = (value: number): boolean => value > 0 && Number.isFinite(value)

interface Runner {
  readonly name: string
  readonly child: ChildProcess
  readonly built: Map<number, Built>
  readonly times: Readonly<Record<Callers, Map<number, number[]>>>
  refusal?: string
}

function ask<Answer>(child: ChildProcess, task: Task): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const ended = (): void => reject(new Error('not installed'))
    child.once('exit', ended)
    child.once('message', (answer) => {
      child.off('exit', ended)
      resolve(answer as Answer)
    })
    child.send(task)
  })
}

function forkRole(...args: readonly string[]): ChildProcess {
  return fork(process.argv[1] as string, args, {
    execArgv: [...process.execArgv, '--expose-gc', '--max-old-space-size=4096'],
    // A contestant that is not installed prints an error, which is not of interest.
    stdio: ['ignore', 'inherit', 'ignore', 'ipc'],
  })
}

async function start(name: string, sizes: readonly number[]): Promise<Runner> {
  const runner: Runner = {
    name,
    child: forkRole('contest', name),
    built: new Map(),
    times: { new: new Map(), again: new Map() },
  }
  try {
    for (const size of sizes) {
      if (size > (contestants[name]?.most ?? Infinity)) continue
      runner.built.set(size, await ask<Built>(runner.child, { task: 'build', kind: 'mixed', size }))
      runner.times.new.set(size, [])
      runner.times.again.set(size, [])
    }
  } catch (error) {
    runner.refusal = (error as Error).message
  }
  return runner
}

async function contest(
  names: readonly string[],
  sizes: readonly number[],
  rounds: number,
): Promise<readonly Runner[]> {
  const runners: Runner[] = []
  for (const name of names) runners.push(await start(name, sizes))
  for (let round = 0; round < rounds; round += 1) {
    for (const { child, built, times, refusal } of runners) {
      for (const [size, { lookup }] of refusal === undefined ? built : []) {
        if (lookup > SLOW && round >= SLOW_ROUNDS) continue
        for (const callers of ['new', 'again'] as const)
          times[callers].get(size)?.push(await ask<number>(child, { task: 'lookup', size, callers }))
      }
    }
  }
  for (const { child, refusal } of runners) if (refusal === undefined) child.disconnect()
  return runners
}

const WIDTHS = [30, 12, 12, 12, 12, 12, 12]
const columns = (...texts: readonly string[]): string =>
  texts
    .map((text, index) => (index === 0 ? text.padEnd(WIDTHS[0] ?? 0) : text.padStart(WIDTHS[index] ?? 0)))
    .join(' ')

function ratio(value: number, base: number): string {
  const quotient = value / base
  return `${quotient < 100 ? quotient.toFixed(1) : Math.round(quotient).toLocaleString('en')} x`
}

function printContest(runners: readonly Runner[], sizes: readonly number[]): void {
  const largest = sizes.at(-1) as number
  const ours = runners.find(({ name }) => name === OURS) as Runner
  const timeOf = ({ times }: Runner, size: number): number => median(times.new.get(size) ?? [])
  console.log(
    columns('look-up among', ...sizes.map((size) => size.toLocaleString('en')), 'build', 'bytes/range'),
  )
  const mine = ours.built.get(largest) as Built
  console.log(
    columns(
      OURS,
      ...sizes.map((size) => `${timeOf(ours, size).toFixed(0)} ns`),
      `${mine.milliseconds.toFixed(0)} ms`,
      (mine.bytes / largest).toFixed(1),
    ),
  )
  for (const runner of runners) {
    if (runner === ours) continue
    const built = runner.built.get(largest)
    const native = contestants[runner.name]?.native === true
    const cells = sizes.map((size) =>
      (runner.times.new.get(size)?.length ?? 0) === 0 ? '-' : ratio(timeOf(runner, size), timeOf(ours, size)),
    )
    cells.push(built === undefined ? '-' : ratio(built.milliseconds, mine.milliseconds))
    cells.push(built === undefined ? '-' : native ? 'native' : ratio(built.bytes, mine.bytes))
    console.log(
      runner.refusal === undefined
        ? columns(runner.name, ...cells)
        : `${columns(runner.name)} ${runner.refusal}`,
    )
  }
  for (const runner of runners) {
    const [size, { answers }] = [...runner.built].at(0) ?? [0, mine]
    const others = ours.built.get(size)?.answers ?? []
    const differing = answers.filter((answer, index) => answer !== others[index]).length
    if (differing > 0 && contestants[runner.name]?.onlyFour !== true) {
      console.log(`${runner.name} gives other answers to ${differing} of ${answers.length} questions`)
    }
  }
}

async function loading(kind: Kind, size: number): Promise<readonly Loaded[]> {
  const child = forkRole('load', kind, String(size))
  return new Promise((resolve, reject) => {
    child.once('message', (loads) => resolve(loads as readonly Loaded[]))
    child.once('exit', () => reject(new Error(`loading ${kind} exited early`)))
  })
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: { largest: { type: 'string' }, rounds: { type: 'string' }, alone: { type: 'boolean' } },
  })
  const largest = Number(values.largest ?? SIZES.at(-1))
  const sizes = SIZES.filter((size) => size <= largest)
  const load = loadavg().map((average) => average.toFixed(1))
  console.log(`Node ${process.version}, load average before: ${load.join(', ')}`)
  const names = values.alone === true ? [OURS] : Object.keys(contestants)
  const runners = await contest(names, sizes, Number(values.rounds ?? ROUNDS))
  printContest(runners, sizes)

  const times = (runners.find(({ name }) => name === OURS) as Runner).times
  const timeOf = (callers: Callers, size: number): number => median(times[callers].get(size) ?? [])
  const rows: Row[] = []
  const most = sizes.at(-1) as number
  const others = runners.filter(({ name, refusal }) => name !== OURS && refusal === undefined)
  for (const [callers, who] of [
    ['new', 'new addresses'],
    ['again', 'a thousand repeated addresses'],
  ] as const) {
    const time = timeOf(callers, most)
    rows.push(told(`look-up among ${most.toLocaleString('en')}, ${who}`, `${time.toFixed(0)} ns`))
    for (const size of sizes.slice(1)) {
      const name = `look-up among ${size.toLocaleString('en')}, relative to 10, ${who}`
      rows.push(atMost(name, timeOf(callers, size) / timeOf(callers, 10), MOST_BY_SIZE, '', 2))
    }
    const best = Math.min(
      ...others.map(({ times }) => median(times[callers].get(most) ?? [])).filter(isPositive),
    )
    if (isPositive(best))
      rows.push(atMost(`  relative to the best other package`, time / best, MOST_BY_OTHERS, '', 2))
  }
  for (const kind of Object.keys(kinds) as Kind[]) {
    const loads = await loading(kind, most)
    const milliseconds = median(loads.map(({ milliseconds }) => milliseconds))
    const bytes = (loads[0]?.bytes ?? NaN) / most
    const pause = median(loads.map(({ pause }) => pause))
    const wall = median(loads.map(({ pauseOnWall }) => pauseOnWall))
    if (kind === 'mixed') {
      rows.push(told(`${kind}: build time from text`, `${milliseconds.toFixed(0)} ms`))
      const built = others.map((runner) => runner.built.get(most)?.milliseconds ?? NaN).filter(isPositive)
      if (built.length > 0) {
        const compared = milliseconds / Math.min(...built)
        rows.push(atMost(`  relative to the best other package`, compared, MOST_TO_READY, '', 2))
      }
      rows.push(atMost(`${kind}: bytes per range`, bytes, MOST_BYTES))
      rows.push(
        atMost(`${kind}: longest pause, relative to the build time`, pause / milliseconds, MOST_PAUSE, '', 3),
      )
    } else {
      rows.push(
        told(
          `${kind}: build time from text, bytes per range, longest pause`,
          `${milliseconds.toFixed(0)} ms, ${bytes.toFixed(1)}, ${pause.toFixed(1)} ms`,
        ),
      )
    }
    rows.push(told(`${kind}: the same pause in wall-clock time`, `${wall.toFixed(1)} ms`))
  }
  console.log(`\n${header}`)
  for (const row of rows) console.log(line(row))
  return rows.every(({ ok }) => ok !== false)
}

const [role, name = '', size] = process.argv.slice(2)
if (process.send === undefined) process.exitCode = (await main()) ? 0 : 1
else if (role === 'contest') serve(name)
else process.send(await load(name as Kind, Number(size), LOADS), () => process.disconnect())
