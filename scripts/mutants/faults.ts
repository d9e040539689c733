import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { transformSync } from '@swc/core'

/** A fault that the tests must detect. */
export interface Fault {
  /** The path of the file in which it is planted, relative to the repository. */
  readonly file: string
  /** A part of a line that occurs exactly once in the file. */
  readonly before: string
  readonly after: string
  /** Test files or folders, by a part of their path, the most closely related first. */
  readonly suites: readonly string[]
}

/**
 * Reads all lists in a folder. Their format:
 *
 *     # a comment
 *     @ src/match/ip.ts: unit/match/ip.test integration/guards/ip-whitelist
 *     - a part of a line that occurs once in the file
 *     + its replacement
 *
 * A line with `@` applies to all faults up to the next such line.
 */
export function readFaults(folder: string): Fault[] {
  const lists = readdirSync(folder).filter((name) => name.endsWith('.txt'))
  return lists.sort().flatMap((name) => parseFaults(readFileSync(join(folder, name), 'utf8'), name))
}

function parseFaults(text: string, name: string): Fault[] {
  const faults: Fault[] = []
  let place: Pick<Fault, 'file' | 'suites'> | undefined
  let before: string | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.slice(2)
    if (line === '' || line.startsWith('#')) continue
    else if (line.startsWith('@ ')) {
      const [file = '', suites = ''] = content.split(': ')
      place = { file, suites: suites.split(' ').filter(Boolean) }
    } else if (line.startsWith('- ') && before === undefined) before = content
    else if (line.startsWith('+') && before !== undefined && place !== undefined && place.suites.length > 0) {
      faults.push({ ...place, before, after: content })
      before = undefined
    } else throw new Error(`${name}:${index + 1} does not fit the format: ${line}`)
  }
  if (before !== undefined) throw new Error(`${name} ends in the middle of a fault`)
  return faults
}

/** The source with the fault planted. */
export function planted(sound: string, { file, before, after }: Fault): string | { problem: string } {
  const count = sound.split(before).length - 1
  if (count !== 1) return { problem: `the fragment occurs ${count} times in the file` }
  const faulty = sound.replace(before, () => after)
  try {
    transformSync(faulty, { filename: file, swcrc: false, jsc: { parser: { syntax: 'typescript' } } })
    return faulty
  } catch {
    return { problem: 'the faulty file does not parse' }
  }
}

export function lineOf(sound: string, { before }: Fault): number {
  return sound.slice(0, sound.indexOf(before)).split('\n').length
}

/** A selection of `size` faults, determined by the seed. */
export function sampled(faults: readonly Fault[], size: number, seed: number): Fault[] {
  let state = seed
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
  return faults
    .map((fault) => ({ fault, at: random() }))
    .sort((a, b) => a.at - b.at)
    .slice(0, size)
    .map(({ fault }) => fault)
}
