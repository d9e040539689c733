import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { compileJurisdictions } from '../../../src/jurisdiction/jurisdictions.ts'
import { readPersonId } from '../../../src/jurisdiction/person-id.ts'

const names = new Set(['europe', 'world', 'asia_pacific'])

describe('the identifier of a person', () => {
  const cases: [id: unknown, jurisdiction: string | undefined][] = [
    ['europe_1', 'europe'],
    ['europe_4f0c-9.a:b_c', 'europe'],
    ['world_europe_1', 'world'],
    ['asia_pacific_1', 'asia_pacific'],
    ['asia_1', undefined],
    ['Europe_1', undefined],
    ['europe', undefined],
    ['europe_', undefined],
    ['europe__1', undefined],
    ['_europe_1', undefined],
    [' europe_1', undefined],
    ['europe_1\n', undefined],
    ['europe_a b', undefined],
    ['europe_{1}', undefined],
    ['europe_zoe@example.org', undefined],
    [`europe_${'a'.repeat(128)}`, 'europe'],
    [`europe_${'a'.repeat(129)}`, undefined],
    ['', undefined],
    [undefined, undefined],
    [['europe_1'], undefined],
    [{ toString: () => 'europe_1' }, undefined],
  ]
  for (const [id, jurisdiction] of cases) {
    it(`${JSON.stringify(id)} belongs to ${String(jurisdiction)}`, () => {
      expect(readPersonId(id, names)).toBe(jurisdiction)
    })
  }

  it('never names two jurisdictions of a valid table', () => {
    const name = fc.stringMatching(/^[a-c_]{1,4}$/)
    const table = fc.uniqueArray(name, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(table, fc.stringMatching(/^[a-c_]{1,12}$/), (chosen, id) => {
        const jurisdictions = Object.fromEntries(
          chosen.map((each, index) => [
            each,
            {
              locations: [`l${index}`],
              countries: index === 0 ? '*' : ['DE', 'FR', 'IT', 'ES'].slice(index, index + 1),
            },
          ]),
        )
        let refused = false
        try {
          compileJurisdictions(jurisdictions, 'j')
        } catch {
          refused = true
        }
        const of = chosen.filter((each) => readPersonId(id, new Set([each])) !== undefined)
        // Names of a valid table are never ambiguous, and a lookup with all names agrees with that of one name.
        if (!refused) {
          expect(of.length).toBeLessThanOrEqual(1)
          expect(readPersonId(id, new Set(chosen))).toBe(of[0])
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
