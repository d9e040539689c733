/**
 * Measures the CPU time and the memory of `import 'portcullis'`, compared with `import 'express'` in the same run.
 * Needs a build. Run it with `npm run bench:load`. Exits with 1 if the package takes more CPU time than Express.
 */
import { execFileSync } from 'node:child_process'

const ROUNDS = 15

interface Cost {
  /** CPU time in milliseconds. */
  readonly time: number
  /** The growth of the process in MiB. */
  readonly memory: number
}

/** Imports in a new process, because a second import in the same process costs nothing. */
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
// Both take turns, so that other work on the machine affects them equally.
const rounds = Array.from({ length: ROUNDS }, () => modules.map(costOf))
const times = modules.map((_, index) => medianOf(rounds.map((costs) => costs[index]?.time ?? NaN)))
const memories = modules.map((_, index) => medianOf(rounds.map((costs) => costs[index]?.memory ?? NaN)))
for (const [index, name] of ['express', 'portcullis'].entries())
  console.log(`${name.padEnd(12)} ${times[index]?.toFixed(1)} ms CPU, ${memories[index]?.toFixed(1)} MiB`)

const ratio = (times[1] ?? NaN) / (times[0] ?? NaN)
console.log(`${ratio.toFixed(2)} times Express (at most 1)`)
if (!(ratio <= 1)) process.exitCode = 1
