/**
 * What it takes to load the package: the processor time and the memory of `import 'portcullis'`, beside those of
 * `import 'express'` in the same run. Needs a build. Run with `npm run bench:load`; ends with 1 when the package takes more
 * processor time than Express.
 */
import { execFileSync } from 'node:child_process'

const ROUNDS = 15

interface Cost {
  /** Milliseconds of processor time. */
  readonly time: number
  /** MiB that the process has grown by. */
  readonly memory: number
}

/** In a process of its own: the second import of anything is free. */
function costOf(module: string): Cost {
  const code = `
    const [time, memory] = [process.cpuUsage(), process.memoryUsage.rss()]
    await import(${JSON.stringify(module)})
    const { user, system } = process.cpuUsage(time)
    console.log(JSON.stringify({ time: (user + system) / 1e3, memory: (process.memoryUsage.rss() - memory) / 2 ** 20 }))`
  const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
  })
  return JSON.parse(printed) as Cost
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? NaN
}

const modules = ['express', './dist/node/index.js']
// In turns, so that what else the machine does meets both alike.
const rounds = Array.from({ length: ROUNDS }, () => modules.map(costOf))
const times = modules.map((_, index) => medianOf(rounds.map((costs) => costs[index]?.time ?? NaN)))
const memories = modules.map((_, index) => medianOf(rounds.map((costs) => costs[index]?.memory ?? NaN)))
for (const [index, name] of ['express', 'portcullis'].entries())
  console.log(`${name.padEnd(12)} ${times[index]?.toFixed(1)} ms CPU, ${memories[index]?.toFixed(1)} MiB`)

const ratio = (times[1] ?? NaN) / (times[0] ?? NaN)
console.log(`${ratio.toFixed(2)} of Express (at most 1)`)
if (!(ratio <= 1)) process.exitCode = 1
