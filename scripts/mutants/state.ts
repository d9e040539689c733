import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Fault } from './faults.ts'

export interface Outcome {
  readonly kind: 'killed' | 'survived' | 'misfit'
  /** The test that detected the fault, or the reason why the fault does not match the sources. */
  readonly by: string
}

/** The outcomes of earlier runs. */
export interface State {
  get(key: string): Outcome | undefined
  set(key: string, outcome: Outcome): void
}

/** Reads the file of outcomes, and rewrites it after each new outcome. */
export function openState(file: string, fresh: boolean): State {
  // The file is deleted, so that an interrupted run with `fresh` can be continued without it.
  if (fresh) rmSync(file, { force: true })
  const known = readState(file)
  return {
    get: (key) => known.get(key),
    set(key, outcome) {
      // A misfit is not stored, because it may be fixed without changing the key.
      if (outcome.kind === 'misfit') return
      known.set(key, outcome)
      mkdirSync(dirname(file), { recursive: true })
      // Another run may have written the file meanwhile, and may read it at any time.
      const next = `${file}.${process.pid}`
      writeFileSync(next, JSON.stringify([...readState(file).set(key, outcome)]))
      renameSync(next, file)
    },
  }
}

function readState(file: string): Map<string, Outcome> {
  return new Map(existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as [string, Outcome][]) : [])
}

/**
 * Derives the key of an outcome from the fault, its source file and its suites, so that other changes keep the outcome.
 */
export function createKeys(repository: string): (fault: Fault) => string {
  const tests = testFiles(repository)
  const digests = new Map<string, string>()
  const digestOf = (path: string): string => {
    const known = digests.get(path)
    if (known !== undefined) return known
    const content = existsSync(path) ? readFileSync(path) : ''
    const digest = createHash('sha256').update(content).digest('base64url')
    digests.set(path, digest)
    return digest
  }
  return ({ file, before, after, suites }) => {
    const named = suites.flatMap((suite) => tests.filter((test) => test.includes(`test/${suite}`)))
    const digested = [file, ...named].map((path) => digestOf(join(repository, path)))
    const hash = createHash('sha256').update(JSON.stringify([file, before, after, suites, digested]))
    return hash.digest('base64url')
  }
}

/** The paths of all test files, relative to the repository, with slashes. */
export function testFiles(repository: string): string[] {
  return readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
    .map((name) => `test/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
}
