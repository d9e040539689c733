/** Writes the results as Markdown. */
import { cpus, loadavg } from 'node:os'
import type { Companion, CompanionOutcome } from './companions.ts'
import type { Outcome } from './contest.ts'
import { show, type Figure } from './figures.ts'
import { PERCENTILES, type Latency } from './latency.ts'
import type { LayerCost } from './inside.ts'
import type { Verdict } from './targets.ts'

export interface NodeReport {
  readonly version: string
  readonly contests: ReadonlyMap<string, Outcome>
  readonly latencies: ReadonlyMap<string, Latency>
  /** All other results: a description and the value. */
  readonly others: readonly (readonly [what: string, figure: Figure, unit: string])[]
  /** The cost of each layer per request, in addition to bare Express. */
  readonly layers: ReadonlyMap<string, LayerCost>
  /** Other benchmarks, with their output. */
  readonly companions: readonly (readonly [Companion, CompanionOutcome])[]
  readonly verdicts: readonly Verdict[]
  /** The measurements that were skipped, with the reason. */
  readonly left: readonly string[]
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

const BAR = 40
/** The largest ratio that a bar can show. */
const WIDEST = 2

/** The CPU ratios as bars. `|` marks bare Express. */
function plot(contests: NodeReport['contests']): string {
  const rows = [...contests].map(([name, { cpu }]) => {
    const length = Math.max(1, Math.round((Math.min(cpu.median, WIDEST) / WIDEST) * BAR))
    const bar = '#'.repeat(length).padEnd(BAR)
    const marked = `${bar.slice(0, BAR / 2)}|${bar.slice(BAR / 2)}`
    return `${name.padEnd(36)} ${marked}${cpu.median > WIDEST ? '>' : ' '} ${cpu.median.toFixed(2)}`
  })
  return ['```text', ...rows, '```'].join('\n')
}

export function targetText({ atLeast, atMost }: Verdict): string {
  return atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`
}

function contestTable(contests: NodeReport['contests']): string {
  const rows = [...contests].map(([name, { cpu, rate, baseMicros, micros }]) => [
    name,
    show(cpu),
    show(rate),
    `${baseMicros.toFixed(0)} / ${micros.toFixed(0)}`,
  ])
  return table(['variant', 'CPU', 'throughput', 'µs of CPU: base / variant'], rows)
}

function latencyTable(latencies: NodeReport['latencies']): string {
  const shares = PERCENTILES.map((share) => `p${share * 100} base / variant, ms`)
  const rows = [...latencies].map(([name, { rate, base, variant }]) => [
    name,
    rate.toFixed(0),
    ...base.map(
      (figure, index) => `${figure.median.toFixed(2)} / ${(variant[index] as Figure).median.toFixed(2)}`,
    ),
  ])
  return table(['variant', 'requests per second', ...shares], rows)
}

function layerTable(layers: NodeReport['layers']): string {
  const costs = [...layers.values()]
  const sum = (of: (cost: LayerCost) => number): number => costs.reduce((total, cost) => total + of(cost), 0)
  const all: LayerCost = { bytes: sum(({ bytes }) => bytes), micros: sum(({ micros }) => micros) }
  const rows = [...layers, ['all', all] as const].map(([layer, { bytes, micros }]) => [
    layer,
    bytes.toFixed(0),
    micros.toFixed(1),
  ])
  return table(['layer', 'bytes', 'µs under the profiler'], rows)
}

const LAYERS_TEXT = [
  'The cost of a request through `protect()` in addition to the same request through bare Express, by layer, measured with the',
  'sampling profilers of V8. "Express and Node" is their own additional work: one layer of the router, a property on the request,',
  'the headers of the response. The variants `empty middleware` and `a property on req` show how much of it any middleware costs.',
].join('\n')

function companionText([{ id, command }, { met, text }]: readonly [Companion, CompanionOutcome]): string {
  return `\`npm run ${command}\` (${id}): ${met ? 'met' : '**missed**'}\n\n\`\`\`text\n${text}\n\`\`\``
}

function nodeText(report: NodeReport): string {
  const { version, contests, latencies, others, layers, companions, verdicts, left } = report
  const beside = others.map(([what, figure, unit]) => [what, `${show(figure)} ${unit}`.trim()])
  const judged = verdicts.map((verdict) => {
    const { id, what, measured, met } = verdict
    return [id, what, measured.toFixed(2), targetText(verdict), met ? 'yes' : '**no**']
  })
  const parts = [
    `## Node ${version}`,
    contests.size > 0 && `${contestTable(contests)}\n\n${plot(contests)}`,
    latencies.size > 0 && `### Latency at half load\n\n${latencyTable(latencies)}`,
    others.length > 0 && `### Other results\n\n${table(['what', 'measured'], beside)}`,
    layers.size > 0 && `### Cost by layer\n\n${LAYERS_TEXT}\n\n${layerTable(layers)}`,
    companions.length > 0 && `### Other benchmarks\n\n${companions.map(companionText).join('\n\n')}`,
    judged.length > 0 && `### Targets\n\n${table(['', 'what', 'measured', 'target', 'met'], judged)}`,
    left.length > 0 && `### Not measured\n\n${left.map((text) => `- ${text}`).join('\n')}`,
  ]
  return parts.filter((part) => part !== false).join('\n\n')
}

export interface RunFacts {
  readonly command: string
  readonly binding: boolean
  /** The load average of the machine at the start of the run. */
  readonly loadBefore: number
}

export function markdown(facts: RunFacts, reports: readonly NodeReport[]): string {
  const [cpu] = cpus()
  const machine = `${cpus().length} × ${cpu?.model.trim() || 'CPU'}`
  const [loadAfter = 0] = loadavg()
  return `${[
    '# Benchmark of the guards',
    [
      `\`${facts.command}\` on ${new Date().toISOString().slice(0, 10)}, ${machine};`,
      `load average ${facts.loadBefore.toFixed(1)} at the start, ${loadAfter.toFixed(1)} at the end.`,
      facts.binding ? '' : '**This was a short run: its results are only an indication.**',
    ]
      .join(' ')
      .trim(),
    [
      'Each variant is a server in its own process, with `NODE_ENV=production` and the built package. It is compared with a bare',
      'Express server that receives the same bytes, warm-up and load, in turn. The status and body of each answer are checked. CPU',
      'and throughput are ratios to bare Express: higher is better, and 1 is as fast as bare Express. Values are medians with',
      'quartiles. Targets are ratios of CPU time, because throughput appears better than it is: the client needs a CPU core of',
      'its own.',
    ].join('\n'),
    ...reports.map(nodeText),
  ].join('\n\n')}\n`
}
