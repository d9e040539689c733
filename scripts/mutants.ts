/**
 * Plants hand-written faults, one at a time, in a copy of the repository, and runs the tests that should detect them.
 *
 * - `npm run mutants` plants all of them. Outcomes are kept until the fault, its source file or one of its suites
 *   changes, so an interrupted run continues where it stopped.
 * - `-- --only src/http` plants only the faults whose path contains this.
 * - `-- --sample 20` plants a random selection of this size; `--seed 7` makes the selection repeatable.
 * - `-- --fresh` discards the outcomes of earlier runs. If it is interrupted, continue with `npm run mutants`.
 * - `-- --check` runs no tests. It reports the faults that no longer match the sources.
 *
 * Exits with 1 if a fault survives, or if one no longer matches the sources.
 *
 * The faults are in `scripts/mutants/*.txt`, one file for each folder of the sources; `mutants/faults.ts` explains the
 * format.
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
  if (faults.length === 0) throw new Error('no fault has a path that contains the text of --only')
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
  console.log(`\n${outcomes.size} faults in ${minutes} min, ${asked} of them planted in this run`)
  return outcomes
}

function check(faults: readonly Fault[]): Map<Fault, Outcome> {
  const tests = testFiles(repository)
  const outcomes = new Map<Fault, Outcome>()
  for (const fault of faults) {
    const fitted = fit(fault, repository)
    const empty = fault.suites.find((suite) => !tests.some((test) => test.includes(`test/${suite}`)))
    const problem =
      'problem' in fitted ? fitted.problem : empty === undefined ? undefined : `no test file matches ${empty}`
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
  if (!existsSync(path)) return { problem: 'the file does not exist' }
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
    `\n${of('killed').length} killed, ${survived.length} survived, ${misfits.length} do not match the sources`,
  )
  return survived.length === 0 && misfits.length === 0
}

/**
 * Copies the repository, so that an interrupted run leaves no fault in it, and its sources may be edited during the
 * run.
 */
function copyRepository(): string {
  const copy = mkdtempSync(join(tmpdir(), 'portcullis-mutants-'))
  for (const name of readdirSync(repository)) {
    if (!NOT_COPIED.has(name)) cpSync(join(repository, name), join(copy, name), { recursive: true })
  }
  symlinkSync(resolve(repository, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

process.exitCode = (await main()) ? 0 : 1
