import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Fault } from './faults.ts'

export interface Outcome {
  readonly kind: 'killed' | 'survived' | 'misfit'
  /** The test that noticed, or why the fault does not fit. */
  readonly by: string
}

/** What earlier runs found. */
export interface State {
  get(key: string): Outcome | undefined
  set(key: string, outcome: Outcome): void
}

/** Reads the file where the outcomes are kept, and writes it again after each of them. */
export function openState(file: string, fresh: boolean): State {
  // Gone from the disk too: a run with `fresh` that is interrupted goes on without it.
  if (fresh) rmSync(file, { force: true })
  const known = readState(file)
  return {
    get: (key) => known.get(key),
    set(key, outcome) {
      // A misfit may be mended outside of what makes the key.
      if (outcome.kind === 'misfit') return
      known.set(key, outcome)
      mkdirSync(dirname(file), { recursive: true })
      // Another run may have written meanwhile, and may read at any time.
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
 * Makes the key of an outcome from the fault, the file that it is planted in and its suites, so that a change elsewhere
 * forgets nothing.
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

/** Paths from the repository, with slashes. */
export function testFiles(repository: string): string[] {
  return readdirSync(join(repository, 'test'), { recursive: true, encoding: 'utf8' })
    .map((name) => `test/${name.replaceAll('\\', '/')}`)
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
}
