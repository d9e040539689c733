/**
 * Plants faults chosen by hand, one at a time, into a copy of the repository, and runs the tests that should notice.
 *
 * Run with `npm run mutants`; `-- --only http --sample 20` for a short form (`--seed 7` for the same sample again),
 * `-- --fresh` to forget what an earlier run found. An interrupted run goes on where it stopped, as long as no source
 * has changed. Ends with 1 when a fault survives, or when one no longer fits the sources.
 *
 * The faults stand in `scripts/mutants/*.txt`, one folder of the sources a file; see `mutants/faults.ts` for the format.
 */
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { lineOf, planted, readFaults, sampled, type Fault } from './mutants/faults.ts'
import { createJest, type Jest } from './mutants/jest.ts'

interface Outcome {
  readonly kind: 'killed' | 'survived' | 'misfit'
  /** The test that noticed, or why the fault does not fit. */
  readonly by: string
}

const repository = process.cwd()
const stateFile = join(repository, 'node_modules', '.cache', 'portcullis', 'mutants.json')
const NOT_COPIED = new Set(['node_modules', '.git', 'dist', '.cache', 'coverage'])

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    sample: { type: 'string' },
    seed: { type: 'string' },
    fresh: { type: 'boolean' },
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

  const known = values.fresh === true ? new Map<string, Outcome>() : readState()
  const copy = copyRepository()
  const jest = createJest(copy)
  const sources = digestOfSources()
  const outcomes = new Map<Fault, Outcome>()
  try {
    for (const [index, fault] of faults.entries()) {
      const key = `${sources} ${JSON.stringify(fault)}`
      const begun = performance.now()
      const outcome = known.get(key) ?? (await judge(fault, copy, jest))
      known.set(key, outcome)
      writeState(known, sources)
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
  return report(outcomes)
}

async function judge(fault: Fault, copy: string, jest: Jest): Promise<Outcome> {
  const path = join(copy, fault.file)
  if (!existsSync(path)) return { kind: 'misfit', by: 'there is no such file' }
  const sound = readFileSync(path, 'utf8')
  const faulty = planted(sound, fault)
  if (typeof faulty !== 'string') return { kind: 'misfit', by: faulty.problem }
  for (const suite of fault.suites) {
    const problem = await jest.isGreen(suite)
    if (problem !== undefined) return { kind: 'misfit', by: problem }
  }
  try {
    writeFileSync(path, faulty)
    for (const suite of fault.suites) {
      const failure = await jest.run(suite)
      if (failure !== undefined) return { kind: 'killed', by: failure }
    }
    return { kind: 'survived', by: `line ${lineOf(sound, fault)}, after ${fault.suites.join(' ')}` }
  } finally {
    writeFileSync(path, sound)
  }
}

function report(outcomes: ReadonlyMap<Fault, Outcome>): boolean {
  const of = (kind: Outcome['kind']) => [...outcomes].filter(([, outcome]) => outcome.kind === kind)
  const [survived, misfits] = [of('survived'), of('misfit')]
  console.log(
    `\n${of('killed').length} killed, ${survived.length} survived, ${misfits.length} do not fit the sources`,
  )
  for (const [{ file, before, after }, { kind, by }] of [...survived, ...misfits]) {
    console.log(`\n${kind}: ${file}, ${by}\n- ${before}\n+ ${after}`)
  }
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

function digestOfSources(): string {
  const hash = createHash('sha256')
  for (const folder of ['src', 'test', 'example-server']) {
    const names = readdirSync(join(repository, folder), { recursive: true, encoding: 'utf8' })
    for (const name of names.filter((each) => each.endsWith('.ts')).sort())
      hash.update(name).update(readFileSync(join(repository, folder, name)))
  }
  return hash.digest('hex').slice(0, 16)
}

function readState(): Map<string, Outcome> {
  if (!existsSync(stateFile)) return new Map()
  return new Map(JSON.parse(readFileSync(stateFile, 'utf8')) as [string, Outcome][])
}

/** What was found with other sources is forgotten. What does not fit may be mended outside of them, so it is asked again. */
function writeState(known: ReadonlyMap<string, Outcome>, sources: string): void {
  const kept = [...known].filter(([key, { kind }]) => key.startsWith(sources) && kind !== 'misfit')
  mkdirSync(dirname(stateFile), { recursive: true })
  writeFileSync(stateFile, JSON.stringify(kept))
}

process.exitCode = (await main()) ? 0 : 1
