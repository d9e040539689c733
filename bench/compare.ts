/**
 * Measures the comparison of two policies with named lists of a million ranges each, relative to building the set of
 * one of these lists, as a server does that loads it. Also measures how long `compareStoredPolicies` blocks the event
 * loop.
 *
 * Run it with `npm run bench:compare`; `-- --ranges 100000` uses smaller lists, `-- --rounds 3` fewer rounds. Exits
 * with 1 if a target is missed or a verdict is wrong. Results are medians of the rounds, in CPU time.
 */
import { PerformanceObserver } from 'node:perf_hooks'
import { setImmediate as turn } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { comparePolicies, type ListEntry, type PolicyInput } from 'portcullis'
import { createExpiringIpSetBuilder } from '../src/match/expiring-ip-set.ts'
import { comparisonSteps } from '../src/policy/compare/compare.ts'
import { createSlices } from '../src/slices.ts'
import { processorTime } from './ip/contest.ts'
import { texts } from './ip/population.ts'
import { atMost, exactly, header, line, median, told, type Row } from './store/table.ts'

/** The maximum ratio to building one set. A comparison sorts both lists and walks through them once. */
const MOST_TO_BUILD = 2.5
/**
 * The longest time for which the event loop is blocked, as a fraction of the time to build one set. Two sets are in
 * memory.
 */
const MOST_PAUSE = 0.05

const { values } = parseArgs({
  options: { ranges: { type: 'string', default: '1000000' }, rounds: { type: 'string', default: '7' } },
})
const [ranges, rounds] = [Number(values.ranges), Number(values.rounds)]

const policy: PolicyInput = { appId: 'a', ipWhitelist: { mode: 'enforce', lists: ['partners'] } }

/** New strings, like those that a store returns. */
function entries(count: number, more: readonly string[] = []): ListEntry[] {
  return [...texts('mixed', count), ...more].map((range) => ({
    range: Buffer.from(range).toString('latin1'),
  }))
}

function build(list: readonly ListEntry[]): number {
  const begun = processorTime()
  const builder = createExpiringIpSetBuilder()
  for (const { range } of list) builder.add(range)
  const steps = builder.finish()
  while (steps.next().done !== true);
  return processorTime() - begun
}

type Two = readonly [readonly ListEntry[], readonly ListEntry[]]

/** The time of one comparison. */
function compare([before, after]: Two, verdict: string): number {
  const lists = [new Map([['partners', before]]), new Map([['partners', after]])] as const
  const begun = processorTime()
  const found = comparePolicies(policy, policy, { lists }).verdict
  const time = processorTime() - begun
  verdicts.push({ found, verdict })
  return time
}

interface Span {
  readonly from: number
  readonly to: number
}

/**
 * The garbage collections, which are subtracted: most of the five million entries in this heap do not belong to the
 * comparison.
 */
const collections: Span[] = []
const observer = new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries())
    collections.push({ from: startTime, to: startTime + duration })
})
observer.observe({ entryTypes: ['gc'] })

/** The longest time for which a comparison in slices works without a turn of the event loop. */
async function longestWork([before, after]: Two): Promise<number> {
  const lists = [new Map([['partners', before]]), new Map([['partners', after]])] as const
  const steps = comparisonSteps(policy, policy, { lists, now: Date.now() })
  const slices = createSlices()
  const spans: (Span & { readonly work: number })[] = []
  for (let done = false; !done; await slices.next()) {
    const [from, work] = [performance.now(), processorTime()]
    while (!done && !slices.over) done = steps.next().done === true
    spans.push({ from, to: performance.now(), work: processorTime() - work })
  }
  await turn()
  const collected = ({ from, to }: Span): number =>
    collections.reduce((sum, one) => sum + Math.max(0, Math.min(to, one.to) - Math.max(from, one.from)), 0)
  // The CPU time includes other threads, some of which do not block this one.
  return Math.max(...spans.map((span) => Math.min(span.to - span.from, span.work) - collected(span)))
}

const verdicts: { readonly found: string; readonly verdict: string }[] = []
const list = entries(ranges)
const turned = entries(ranges).toReversed()
const longer = entries(ranges, ['4000::1'])
const other = entries(ranges + 1)

const builds: number[] = []
const times: Record<string, number[]> = { equal: [], wider: [], both: [] }
const pauses: number[] = []
for (let round = 0; round <= rounds; round += 1) {
  const pairs = { equal: [list, turned], wider: [list, longer], both: [list, other] } as const
  globalThis.gc?.()
  const built = build(list)
  // In the first round, the code is compiled.
  if (round > 0) builds.push(built)
  for (const [verdict, pair] of Object.entries(pairs)) {
    globalThis.gc?.()
    const time = compare(pair, verdict)
    if (round > 0) times[verdict]?.push(time)
  }
  globalThis.gc?.()
  const pause = await longestWork(pairs.equal)
  if (round > 0) pauses.push(pause)
}

const whole = median(builds)
const named: Readonly<Record<string, string>> = {
  equal: 'the same list in another order',
  wider: 'the same list with one more address',
  both: 'two lists with nothing in common',
}
const rows: Row[] = [
  told(`building the set of a list of ${ranges.toLocaleString('en')} ranges`, `${whole.toFixed(0)} ms`),
  ...Object.entries(times).map(([verdict, taken]) =>
    atMost(
      `comparing ${named[verdict]}, relative to building one`,
      median(taken) / whole,
      MOST_TO_BUILD,
      '',
      2,
    ),
  ),
  atMost(
    'longest slice without garbage collections, relative to building one',
    median(pauses) / whole,
    MOST_PAUSE,
    '',
    3,
  ),
  exactly('wrong verdicts', verdicts.filter(({ found, verdict }) => found !== verdict).length, 0),
]
console.log(`Node ${process.versions.node}, ${rounds} rounds`)
console.log(header)
for (const row of rows) console.log(line(row))
if (rows.some(({ ok }) => ok === false)) process.exitCode = 1
