import { describe, expect, it } from '@jest/globals'
import { judgeAgain } from '../../../src/guards/judge-again.ts'
import { keepFacts, type KeptFacts } from '../../../src/guards/kept-facts.ts'
import { decideRegionPin } from '../../../src/guards/region-pin.ts'
import { compileJurisdictions, DEFAULT_JURISDICTIONS } from '../../../src/jurisdiction/jurisdictions.ts'
import { compilePolicy } from '../../../src/policy/compile.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'

const jurisdictions = compileJurisdictions(DEFAULT_JURISDICTIONS, 'jurisdictions')
const policy = compilePolicy(parsePolicy({ appId: 'shop', regionPin: { mode: 'enforce' } }))

describe('the stored facts of a question to regionPin', () => {
  it.each<[what: string, id: unknown, country: unknown, code: string]>([
    ['an identifier of Europe', `europe_${'4'.repeat(32)}`, undefined, 'ALLOWED'],
    [
      'an identifier of the world, against the country',
      `world_${'4'.repeat(32)}`,
      'DE',
      'REGION_MISDIRECTED',
    ],
    ['an identifier that says nothing, and a country', '17', 'DE', 'ALLOWED'],
    ['an identifier that is no text, and a country', 17n, 'US', 'REGION_MISDIRECTED'],
    ['a country alone', undefined, 'FR', 'ALLOWED'],
  ])('lead to the same decision: %s', (_what, id, country, code) => {
    const facts = { here: 'london', id, country, jurisdictions }
    const judgement = decideRegionPin(policy, facts)
    expect(judgement.decision.code).toBe(code)
    const kept = JSON.parse(JSON.stringify(keepFacts('regionPin', facts, judgement))) as KeptFacts
    // Nothing of the person but the jurisdiction.
    expect(JSON.stringify(kept)).not.toContain('444')
    expect(judgeAgain(policy, judgement.decision, kept, { jurisdictions })).toEqual(judgement.decision)
  })
})
