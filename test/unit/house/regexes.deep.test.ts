import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { repository } from '../../support/commands.ts'
import { backtrackingOf } from './backtracking.ts'
import { parse, readSources } from './sources.ts'

interface Literal {
  readonly pattern: string
  readonly flags: string
}

function literalsIn(node: unknown): Literal[] {
  if (typeof node !== 'object' || node === null) return []
  const found = Object.values(node).flatMap(literalsIn)
  if ((node as { type?: unknown }).type !== 'RegExpLiteral') return found
  const { pattern, flags } = node as unknown as Literal
  return [{ pattern, flags }, ...found]
}

const sources = readSources()
const literals = sources.flatMap(({ path }) =>
  literalsIn(parse(readFileSync(join(repository, 'src', path), 'utf8')).body).map(
    ({ pattern, flags }): [string, string, string] => [path, pattern, flags],
  ),
)

describe('no regular expression in src', () => {
  it('is overlooked here', () => {
    expect(literals.length).toBeGreaterThan(60)
  })

  it('is built at run time, except from constants at load time', async () => {
    // Layers of Express 4 have one expression for several paths. It belongs to the application, and this file splits
    // it.
    const exempt = 'http/request/route-layer.ts'
    const makers = sources.filter(({ path, code }) => path !== exempt && /\bRegExp\(/.test(code))
    expect(makers.map(({ path }) => path)).toEqual(['match/client-address.ts'])
    const made: RegExp[] = []
    class Recording extends RegExp {
      constructor(pattern: string, flags?: string) {
        super(pattern, flags)
        // Ignores expressions that its imported packages create.
        if (new Error('made').stack?.split('\n')[2]?.includes('client-address.ts')) made.push(this)
      }
    }
    const before = globalThis.RegExp
    globalThis.RegExp = Recording as RegExpConstructor
    try {
      await import('../../../src/match/client-address.ts')
    } finally {
      globalThis.RegExp = before
    }
    expect(made.length).toBe(makers[0]?.code.match(/\bRegExp\(/g)?.length)
    expect(made.map(({ source, flags }) => [source, backtrackingOf(source, flags)])).toEqual(
      made.map(({ source }) => [source, undefined]),
    )
  })

  it.each(literals)('takes more than linear time: src/%s: /%s/%s', (_path, pattern, flags) => {
    expect(backtrackingOf(pattern, flags)).toBeUndefined()
  })
})

describe('the check detects backtracking', () => {
  it.each<[string, string, string]>([
    ['exponential', '^(a+)+$', ''],
    ['exponential', '^(?:a|a)*$', ''],
    ['exponential', '^(?:a|ab|b)*$', ''],
    ['exponential', '^(?:[a-z]+[a-z0-9]*)*!', ''],
    ['exponential', '^([a-z]|[A-Z])*$', 'i'],
    ['exponential', '(?:\\w+\\.?)+@', ''],
    ['exponential', '^(?=(?:a+)+b)', ''],
    ['polynomial', '^a*a*$', ''],
    ['polynomial', '[ \\t]+$', ''],
    ['polynomial', '^\\s+|\\s+$', 'g'],
    ['polynomial', '^.*,.*,.*x', ''],
    ['polynomial', '"(?:[^"\\\\]|\\\\.)*"', 'g'],
    ['polynomial', '^\\d+[0-5]{0,9}\\d*$', ''],
    ['polynomial', 'x[^y]*y', ''],
  ])('%s: /%s/%s', (verdict, pattern, flags) => {
    expect(backtrackingOf(pattern, flags)).toBe(verdict)
  })

  it.each<[string, string]>([
    ['^a*b*$', ''],
    ['^(?:ab|ac)*$', ''],
    ['(?:%[0-9A-F]{2})+', 'g'],
    ['a+', 'g'],
    ['^[^:]*://[^/]*@', ''],
    ['^(?:[a-z]+\\.)*[a-z]+$', ''],
    ['^[a-z](?:[a-z-]{0,61}[a-z])?$', ''],
    ['\\s', ''],
  ])('and not in harmless expressions: /%s/%s', (pattern, flags) => {
    expect(backtrackingOf(pattern, flags)).toBeUndefined()
  })
})
