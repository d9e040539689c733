import { describe, expect, it } from '@jest/globals'
import { deny, type DenialCode } from '../../../src/decision.ts'
import type { ServerFacts } from '../../../src/guards/server-only.ts'
import { mismatchDoctor } from '../../../src/http/mismatch.ts'

/** The calls of a scheme that finds the same mistake in every message. */
function asked(code: DenialCode, inDevelopment: boolean) {
  let questions = 0
  const facts = {
    message: { header: () => [] },
    scheme: {
      name: 'asked',
      diagnose: () => ((questions += 1), { base: 'base', components: ['@path'], mistake: 'a mistake' }),
    },
  } as unknown as ServerFacts
  const doctor = mismatchDoctor(inDevelopment)
  const { decision, outcome } = doctor.examine(deny('serverOnly', 'enforce', code, 'detail'), facts)
  return { questions, decision, told: doctor.explain(decision, outcome) }
}

describe('the search for the mistake of a signer', () => {
  it.each<[DenialCode, boolean]>([
    ['SIGNATURE_INVALID', true],
    ['DIGEST_MISMATCH', true],
    // Their reason is known, and unrelated to the signed content.
    ['SIGNATURE_REQUIRED', false],
    ['SIGNATURE_EXPIRED', false],
    ['SIGNATURE_REPLAYED', false],
    ['BROWSER_NOT_ALLOWED', false],
    ['POLICY_UNAVAILABLE', false],
  ])('is done for %s: %s', (code, isMade) => {
    for (const inDevelopment of [true, false]) {
      const { questions, decision } = asked(code, inDevelopment)
      expect(questions).toBe(isMade ? 1 : 0)
      expect(decision.code).toBe(code)
      expect(decision.evidence).toEqual(isMade ? { components: '@path', mistake: 'a mistake' } : {})
    }
  })

  it('is reported to callers only in development', () => {
    expect(asked('SIGNATURE_INVALID', true).told).toMatchObject({
      mistake: 'a mistake',
      signatureBase: 'base',
    })
    expect(asked('SIGNATURE_INVALID', false).told).toBeUndefined()
  })
})
