/**
 * Plants faults chosen by hand, one at a time, into a copy of the repository, and runs the tests that should notice.
 *
 * - `npm run mutants` plants them all. An interrupted run goes on where it stopped: an outcome holds until the fault, the
 *   file that it is planted in, or one of its suites changes.
 * - `-- --only src/http` takes the files whose path contains this.
 * - `-- --sample 20` takes as many; `--seed 7` takes the same ones again.
 * - `-- --fresh` forgets what earlier runs found. Interrupted, it goes on by `npm run mutants` without the flag.
 * - `-- --check` runs no tests. It tells within a second which faults no longer fit the sources.
 *
 * Ends with 1 when a fault survives, or when one no longer fits the sources.
 *
 * The faults stand in `scripts/mutants/*.txt`, one folder of the sources a file; see `mutants/faults.ts` for the format.
 */
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { lineOf, planted, readFaults, sampled, type Fault } from './mutants/faults.ts'
import { createJest, type Jest } from './mutants/jest.ts'
import { createKeys, openState, testFiles, type Outcome } from './mutants/state.ts'

const repository = process.cwd()
const stateFile = join(repository, 'node_modules', '.cache', 'portcullis', 'mutants.json')
const NOT_COPIED = new Set(['node_modules', '.git', 'dist', '.cache', 'coverage'])

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string' },
    fresh: { type: 'boolean' },
    check: { type: 'boolean' },
  },
})

async function main(): Promise<boolean> {
  const all = readFaults(join(repository, 'scripts', 'mutants'))
  const wanted = all.filter(({ file }) => file.includes(values.only ?? ''))
  const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000))
  const faults = values.sample === undefined ? wanted : sampled(wanted, Number(values.sample), seed)
  if (faults.length === 0) throw new Error('there is no such fault')
  console.log(
    `${faults.length} of ${all.length} faults${values.sample === undefined ? '' : `, --seed ${seed}`}`,
  )
  return report(values.check === true ? check(faults) : await plantAll(faults))
}

async function plantAll(faults: readonly Fault[]): Promise<Map<Fault, Outcome>> {
  const state = openState(stateFile, values.fresh === true)
  const copy = copyRepository()
  const keyOf = createKeys(copy)
  const jest = createJest(copy)
  const outcomes = new Map<Fault, Outcome>()
  const started = performance.now()
  let asked = 0
  try {
    for (const [index, fault] of faults.entries()) {
      const key = keyOf(fault)
      const begun = performance.now()
      const known = state.get(key)
      const outcome = known ?? (await judge(fault, copy, jest))
      if (known === undefined) {
        state.set(key, outcome)
        asked += 1
      }
      outcomes.set(fault, outcome)
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1)
      console.log(
        `[${index + 1}/${faults.length}] ${outcome.kind} ${fault.file}: ${outcome.by} (${seconds} s)`,
      )
    }
  } finally {
    await jest.stop()
    rmSync(copy, { recursive: true, force: true })
  }
  const minutes = ((performance.now() - started) / 60_000).toFixed(1)
  console.log(`\n${outcomes.size} faults in ${minutes} min, ${asked} of them not known from an earlier run`)
  return outcomes
}

function check(faults: readonly Fault[]): Map<Fault, Outcome> {
  const tests = testFiles(repository)
  const outcomes = new Map<Fault, Outcome>()
  for (const fault of faults) {
    const fitted = fit(fault, repository)
    const empty = fault.suites.find((suite) => !tests.some((test) => test.includes(`test/${suite}`)))
    const problem =
      'problem' in fitted ? fitted.problem : empty === undefined ? undefined : `no test file fits ${empty}`
    if (problem !== undefined) outcomes.set(fault, { kind: 'misfit', by: problem })
  }
  return outcomes
}

async function judge(fault: Fault, copy: string, jest: Jest): Promise<Outcome> {
  const fitted = fit(fault, copy)
  if ('problem' in fitted) return { kind: 'misfit', by: fitted.problem }
  const { path, sound, faulty } = fitted
  for (const suite of fault.suites) {
    const problem = await jest.isGreen(suite)
    if (problem !== undefined) return { kind: 'misfit', by: problem }
    writeFileSync(path, faulty)
    const failure = await jest.run(suite)
    writeFileSync(path, sound)
    if (failure !== undefined) return { kind: 'killed', by: failure }
  }
  return { kind: 'survived', by: `line ${lineOf(sound, fault)}, after ${fault.suites.join(' ')}` }
}

function fit(
  fault: Fault,
  folder: string,
): { path: string; sound: string; faulty: string } | { problem: string } {
  const path = join(folder, fault.file)
  if (!existsSync(path)) return { problem: 'there is no such file' }
  const sound = readFileSync(path, 'utf8')
  const faulty = planted(sound, fault)
  return typeof faulty === 'string' ? { path, sound, faulty } : faulty
}

function report(outcomes: ReadonlyMap<Fault, Outcome>): boolean {
  const of = (kind: Outcome['kind']) => [...outcomes].filter(([, outcome]) => outcome.kind === kind)
  const [survived, misfits] = [of('survived'), of('misfit')]
  for (const [{ file, before, after }, { kind, by }] of [...survived, ...misfits]) {
    console.log(`\n${kind}: ${file}, ${by}\n- ${before}\n+ ${after}`)
  }
  console.log(
    `\n${of('killed').length} killed, ${survived.length} survived, ${misfits.length} do not fit the sources`,
  )
  return survived.length === 0 && misfits.length === 0
}

/** In a copy, a run that is interrupted leaves no fault behind, and the sources may be edited meanwhile. */
function copyRepository(): string {
  const copy = mkdtempSync(join(tmpdir(), 'portcullis-mutants-'))
  for (const name of readdirSync(repository)) {
    if (!NOT_COPIED.has(name)) cpSync(join(repository, name), join(copy, name), { recursive: true })
  }
  symlinkSync(resolve(repository, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

process.exitCode = (await main()) ? 0 : 1
