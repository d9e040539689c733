/**
 * Measures the guards, compared with bare Express and common middleware, and writes `RESULTS.md`. Run it with `npm run
 * bench`. Exits with 1 if a target in `chain/targets.ts` is missed or an answer is wrong.
 *
 * --node 20|24|both   the version of Node; `both`, the default, measures the current version and 24 --quick
 * a short run, which exits with 0 even if targets are missed --only NAME         measures only what has this in its
 * name, such as `protect()`, `refusal`, `latency`; may be repeated --slices N          the number of slices per server;
 * default 40 --results FILE      where to write the results. Default: `RESULTS.md` after a complete run, and no file
 * with `--quick` or
 *                     `--only`
 */
import { writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { format, resolveConfig } from 'prettier'
import { startRedis } from '../test/support/redis.ts'
import { build, readTools, REDIS_URL } from './chain/build.ts'
import { compete, type Lengths, type Outcome } from './chain/contest.ts'
import { show, type Figure, type Figures } from './chain/figures.ts'
import { companions, runCompanion, type Companion, type CompanionOutcome } from './chain/companions.ts'
import { attribute, clock, weigh } from './chain/inside.ts'
import { measureLatency, PERCENTILES, type Latency } from './chain/latency.ts'
import { measureBundle, measureImports } from './chain/loading.ts'
import { nodeVersion, type NodeVersion } from './chain/node-versions.ts'
import { markdown, targetText, type NodeReport } from './chain/report.ts'
import { BUNDLED, named, verdicts } from './chain/targets.ts'
import { findProtectServer, LEAST, variants, type Variant } from './chain/variants.ts'

const { values: given } = parseArgs({
  options: {
    node: { type: 'string', default: 'both' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
    slices: { type: 'string', default: '40' },
    results: { type: 'string' },
  },
})
const { quick } = given
const lengths: Lengths = {
  warmUp: quick ? 5_000 : 25_000,
  slices: quick ? 9 : Number(given.slices),
  size: 300,
}
const rounds = quick ? 3 : 9
/** The number of rounds of a latency measurement, each of which takes seconds. */
const latencyRounds = quick ? 3 : 5

const WEIGHED = [
  'protect()',
  LEAST,
  'empty middleware',
  'a property on `req`',
  'four, unsigned, no audit',
  'helmet',
]
const ATTRIBUTED = 'protect()'
const TIMED = ['protect()', 'helmet', 'pino-http', 'glued stack, Redis']

const begun = performance.now()
function say(text: string): void {
  console.log(`${((performance.now() - begun) / 1000).toFixed(0).padStart(5)} s  ${text}`)
}

/** Runs all measurements on one version of Node, one after another. */
class Run {
  readonly #node: NodeVersion
  readonly #env: Readonly<Record<string, string>>
  readonly #hasServer: boolean
  readonly #figures: Figures = new Map()
  readonly #contests = new Map<string, Outcome>()
  readonly #latencies = new Map<string, Latency>()
  readonly #others: (readonly [string, Figure, string])[] = []
  readonly #left: string[] = []
  readonly #companions: [Companion, CompanionOutcome][] = []
  #layers: NodeReport['layers'] = new Map()
  /** Whether no measurement has failed. */
  sound = true

  constructor(node: NodeVersion, redisUrl: string, hasServer: boolean) {
    this.#node = node
    this.#env = { [REDIS_URL]: redisUrl }
    this.#hasServer = hasServer
  }

  async all(): Promise<NodeReport> {
    say(`Node ${this.#node.version}`)
    for (const variant of variants) await this.#step(variant.name, variant, () => this.#compete(variant))
    for (const variant of variants.filter(({ name }) => WEIGHED.includes(name))) {
      await this.#step(`allocation of ${variant.name}`, variant, () => this.#weigh(variant))
    }
    for (const variant of variants.filter(({ name }) => TIMED.includes(name))) {
      await this.#step(`latency of ${variant.name}`, variant, () => this.#time(variant))
    }
    await this.#step('layers', undefined, () => this.#attribute())
    await this.#step('chain alone', undefined, () => this.#clock())
    await this.#step('import', undefined, () => this.#import())
    await this.#step('bundle', undefined, () => this.#bundle())
    for (const companion of companions) {
      await this.#step(companion.command, undefined, () => this.#accompany(companion))
    }
    return {
      version: this.#node.version,
      contests: this.#contests,
      latencies: this.#latencies,
      others: this.#others,
      layers: this.#layers,
      companions: this.#companions,
      verdicts: verdicts(this.#figures, this.#node.major),
      left: this.#left,
    }
  }

  async #step(name: string, variant: Variant | undefined, work: () => Promise<string>): Promise<void> {
    if (given.only.length > 0 && !given.only.some((part) => name.includes(part))) return
    if (variant?.needs === 'protectServer' && !this.#hasServer) {
      this.#left.push(`${name}: the build has no \`protectServer\``)
      return
    }
    say(`${name} …`)
    try {
      say(`${name}: ${await work()}`)
    } catch (error) {
      this.sound = false
      const text = error instanceof Error ? error.message : String(error)
      this.#left.push(`${name}: ${text}`)
      say(`${name} FAILED: ${text}`)
    }
  }

  get #options(): { node: NodeVersion; env: Readonly<Record<string, string>> } {
    return { node: this.#node, env: this.#env }
  }

  async #compete(variant: Variant): Promise<string> {
    const outcome = await compete(variant, this.#options, lengths)
    this.#contests.set(variant.name, outcome)
    this.#figures.set(variant.name, outcome.cpu)
    const { cpu, rate, baseMicros, micros } = outcome
    return `CPU ${show(cpu)}, throughput ${show(rate)}, ${baseMicros.toFixed(0)} / ${micros.toFixed(0)} µs`
  }

  async #weigh(variant: Variant): Promise<string> {
    const { kibibytes, promises } = await weigh(variant, this.#options, { ...lengths, rounds })
    this.#add(named.allocated(variant.name), kibibytes, 'KiB above bare Express')
    this.#add(named.promises(variant.name), exactly(promises), 'promises above bare Express')
    return `${show(kibibytes)} KiB, ${promises.toFixed(2)} promises`
  }

  async #time(variant: Variant): Promise<string> {
    const seconds = quick ? 1 : 2
    const latency = await measureLatency(variant, this.#options, {
      ...lengths,
      rounds: latencyRounds,
      seconds,
    })
    this.#latencies.set(variant.name, latency)
    const parts = PERCENTILES.map((share, index) => {
      const [base, own] = [latency.base, latency.variant].map((row) => row[index]?.median.toFixed(2))
      return `p${share * 100} ${base} / ${own} ms`
    })
    return `${parts.join(', ')} at ${latency.rate.toFixed(0)} per second`
  }

  async #attribute(): Promise<string> {
    const variant = variants.find(({ name }) => name === ATTRIBUTED) as Variant
    this.#layers = await attribute(variant, this.#options, lengths)
    return [...this.#layers]
      .slice(0, 3)
      .map(([layer, { bytes, micros }]) => `${layer} ${bytes.toFixed(0)} bytes, ${micros.toFixed(1)} µs`)
      .join('; ')
  }

  async #accompany(companion: Companion): Promise<string> {
    const outcome = await runCompanion(companion, this.#node, quick)
    this.#companions.push([companion, outcome])
    return outcome.met ? 'met' : 'MISSED'
  }

  async #clock(): Promise<string> {
    const times = await clock(this.#options, { ...lengths, rounds: rounds * 2 })
    const entries = Object.entries(times)
    for (const [name, figure] of entries) this.#add(named.chain(name), figure, '× helmet')
    return entries.map(([name, figure]) => `${name} ${show(figure)} × helmet`).join('; ')
  }

  async #import(): Promise<string> {
    const { cpu, memory, ours, express } = await measureImports(this.#node, rounds)
    this.#add(named.importCpu, cpu, "× Express's")
    this.#add('import: memory', memory, "× Express's")
    const cost = ({ milliseconds, mebibytes }: typeof ours): string =>
      `${milliseconds.toFixed(0)} ms of CPU and ${mebibytes.toFixed(1)} MiB`
    return `${cost(ours)}, Express ${cost(express)}; CPU ${show(cpu)}`
  }

  async #bundle(): Promise<string> {
    const parts: string[] = []
    for (const guard of BUNDLED) {
      const weight = await measureBundle([guard, 'createPolicySource', 'memoryStore'])
      this.#add(named.bundle(guard), exactly(weight), 'KiB')
      parts.push(`${guard} ${weight.toFixed(0)}`)
    }
    return `${parts.join(', ')} KiB`
  }

  #add(name: string, figure: Figure, unit: string): void {
    this.#figures.set(name, figure)
    this.#others.push([name, figure, unit])
  }
}

function exactly(value: number): Figure {
  return { low: value, median: value, high: value }
}

async function main(): Promise<void> {
  const [loadBefore = 0] = loadavg()
  const running = Number(process.versions.node.split('.')[0])
  const majors = given.node === 'both' ? [...new Set([running, 24])] : [Number(given.node)]
  const nodes: NodeVersion[] = []
  for (const major of majors) nodes.push(await nodeVersion(major, say))
  say('building')
  await build()
  const { portcullis } = await readTools()
  const redis = await startRedis()
  const reports: NodeReport[] = []
  let sound = true
  try {
    for (const node of nodes) {
      const run = new Run(node, redis.url, findProtectServer(portcullis) !== undefined)
      reports.push(await run.all())
      sound &&= run.sound
    }
  } finally {
    await redis.stop()
  }

  for (const { version, verdicts: judged } of reports) {
    for (const verdict of judged) {
      const { id, what, measured, met } = verdict
      console.log(
        `${version.padEnd(10)} ${id.padEnd(7)} ${what.padEnd(62)} ${measured.toFixed(2).padStart(8)}  ${targetText(verdict).padEnd(7)} ${met ? 'yes' : 'NO'}`,
      )
    }
  }
  for (const { version, companions: beside } of reports) {
    for (const [{ id, command }, { met }] of beside)
      console.log(
        `${version.padEnd(10)} ${id.padEnd(7)} ${command.padEnd(62)} ${''.padStart(8)}  ${''.padEnd(7)} ${met ? 'yes' : 'NO'}`,
      )
  }
  if (quick) console.log('This was a short run: its results are only an indication.')
  const met = reports.every(
    ({ verdicts: judged, companions: beside }) =>
      judged.every((verdict) => verdict.met) && beside.every(([, outcome]) => outcome.met),
  )
  if (!sound || (!met && !quick)) process.exitCode = 1
  const isPart = quick || given.only.length > 0
  const file = given.results ?? (isPart ? undefined : fileURLToPath(new URL('RESULTS.md', import.meta.url)))
  if (file === undefined) return
  const command = ['npm run bench', ...(process.argv.length > 2 ? ['--', ...process.argv.slice(2)] : [])]
  const text = markdown({ command: command.join(' '), binding: !quick, loadBefore }, reports)
  await writeFile(file, await format(text, { ...(await resolveConfig(file)), parser: 'markdown' }))
  say(`written: ${file}`)
}

await main()
