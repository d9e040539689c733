import { expect, it } from '@jest/globals'
import fc from 'fast-check'
import { comparePolicies } from 'portcullis'
import { GUARD_NAMES, RULES } from '../../../src/policy/sections.ts'
import { contradictions, newTally } from '../../support/compare/confirm.ts'
import { pairs } from '../../support/compare/pairs.ts'
import { requests } from '../../support/compare/requests.ts'

/* The short form of `npm run proof:compare`. */

it('the guards confirm every witness, and judge every request as the verdict says', () => {
  const tally = newTally()
  fc.assert(
    fc.property(pairs, fc.array(requests, { minLength: 8, maxLength: 8 }), (pair, asked) => {
      expect(contradictions(pair, asked, tally)).toEqual([])
    }),
    { numRuns: 3_000 },
  )
  // The test proves nothing for cases that did not occur.
  const met = (counts: Readonly<Record<string, number>>, least: number): string[] =>
    Object.keys(counts).filter((name) => (counts[name] ?? 0) >= least)
  const both = GUARD_NAMES.filter((name) => name !== 'auditAccess').map((name) => `${name} both`)
  const others = GUARD_NAMES.flatMap((name) =>
    ['equal', 'narrower', 'wider'].map((verdict) => `${name} ${verdict}`),
  )
  expect(met(tally.verdicts, 20)).toEqual(expect.arrayContaining([...both, ...others]))
  expect(met(tally.differing, 100)).toEqual(expect.arrayContaining([...GUARD_NAMES]))
  expect(met(tally.witnesses, 5)).toEqual(expect.arrayContaining(MEMBERS))
})

/** Every member that affects a decision. */
const MEMBERS = GUARD_NAMES.flatMap((name) =>
  Object.entries(RULES[name].compare.members).flatMap(([member, kind]) =>
    kind === 'answers' ? [] : [kind === 'grants' ? `${name}.${member} (grant)` : `${name}.${member}`],
  ),
)

it('finds the last free port of a loopback address, or that none is left', () => {
  const urls = (...given: string[]): object => ({
    appId: 'a',
    returnUrlGuard: { mode: 'enforce', urls: given },
  })
  const ports = ['', ...Array.from({ length: 65_535 }, (_, index) => `:${index + 1}`)]
  const each = ports.map((port) => `http://127.0.0.1${port}/x`)
  const any = urls('http://127.0.0.1:*/x')
  expect(comparePolicies(urls(...each), any).verdict).toBe('equal')
  const some = each.filter((text) => !text.includes(':40000/'))
  expect(comparePolicies(urls(...some), any).gained?.request.returnUrl).toBe('http://127.0.0.1:40000/x')
})
