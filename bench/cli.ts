/**
 * What it takes to start the command: the processor time of `portcullis` beside that of `node -e 0` in the same run. Needs a build.
 * Run with `npm run bench:cli`; ends with 1 when a start takes more than twice as much. A command that works with a store also
 * reads and judges policies, for which its ratio is shown and not limited.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROUNDS = 15
const MOST = 2
const PROGRAM = 'dist/cjs/cli/main.js'
const folder = mkdtempSync(join(tmpdir(), 'portcullis-bench-'))

const CASES: readonly {
  readonly name: string
  readonly args: readonly string[]
  readonly isLimited: boolean
}[] = [
  { name: 'node -e 0', args: ['-e', '0'], isLimited: false },
  { name: '--version', args: [PROGRAM, '--version'], isLimited: true },
  { name: '--help', args: [PROGRAM, '--help'], isLimited: true },
  { name: 'policy set --help', args: [PROGRAM, 'policy', 'set', '--help'], isLimited: true },
  { name: 'completion bash', args: [PROGRAM, 'completion', 'bash'], isLimited: true },
  { name: 'app list', args: [PROGRAM, 'app', 'list', '--store', `file:${folder}`], isLimited: false },
]

const watch = join(folder, 'watch.cjs')
writeFileSync(
  watch,
  "process.on('exit', () => { const { user, system } = process.cpuUsage(); process.stderr.write('\\n' + (user + system) / 1e3) })",
)

/** Milliseconds of processor time of a process, which must end in order. It tells them itself: the system adds up those of all children. */
function timeOf(args: readonly string[]): number {
  const { stderr, status } = spawnSync(process.execPath, ['--require', watch, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${String(status)}: ${stderr}`)
  return Number(stderr.split('\n').at(-1))
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? NaN
}

spawnSync(process.execPath, [PROGRAM, 'app', 'create', 'example-shop', '--store', `file:${folder}`])
// In turns, so that what else the machine does meets all alike.
const rounds = Array.from({ length: ROUNDS }, () => CASES.map(({ args }) => timeOf(args)))
const medians = CASES.map((_, index) => medianOf(rounds.map((times) => times[index] ?? NaN)))
const bare = medians[0] ?? NaN
for (const [index, { name, isLimited }] of CASES.entries()) {
  const ratio = (medians[index] ?? NaN) / bare
  const limit = isLimited ? ` (at most ${MOST})` : ''
  console.log(
    `${name.padEnd(18)} ${medians[index]?.toFixed(1)} ms CPU, ${ratio.toFixed(2)} of bare Node${limit}`,
  )
  if (isLimited && !(ratio <= MOST)) process.exitCode = 1
}
rmSync(folder, { recursive: true })
