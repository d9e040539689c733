/**
 * Measures the start of the `portcullis` command: its CPU time, compared with `node -e 0` in the same run. Needs a
 * build. Run it with `npm run bench:cli`. Exits with 1 if a start takes more than twice as long. Commands that use a
 * store also read and judge policies, so their ratio is shown but has no limit.
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

/**
 * The CPU time of a process in milliseconds. The process reports it itself, because the system only has the sum over
 * all children.
 */
function timeOf(args: readonly string[]): number {
  const { stderr, status } = spawnSync(process.execPath, ['--require', watch, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${args.join(' ')} exited with ${String(status)}: ${stderr}`)
  return Number(stderr.split('\n').at(-1))
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? NaN
}

spawnSync(process.execPath, [PROGRAM, 'app', 'create', 'example-shop', '--store', `file:${folder}`])
// Commands take turns, so that other work on the machine affects all of them equally.
const rounds = Array.from({ length: ROUNDS }, () => CASES.map(({ args }) => timeOf(args)))
const medians = CASES.map((_, index) => medianOf(rounds.map((times) => times[index] ?? NaN)))
const bare = medians[0] ?? NaN
for (const [index, { name, isLimited }] of CASES.entries()) {
  const ratio = (medians[index] ?? NaN) / bare
  const limit = isLimited ? ` (at most ${MOST})` : ''
  console.log(
    `${name.padEnd(18)} ${medians[index]?.toFixed(1)} ms of CPU time, ${ratio.toFixed(2)} times bare Node${limit}`,
  )
  if (isLimited && !(ratio <= MOST)) process.exitCode = 1
}
rmSync(folder, { recursive: true })
