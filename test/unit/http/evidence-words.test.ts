import { describe, expect, it } from '@jest/globals'
import { deny, type Evidence, type GuardName } from '../../../src/decision.ts'
import { sayEvidence } from '../../../src/http/evidence-words.ts'

describe('the evidence of a refusal in words', () => {
  it.each<[guard: GuardName, evidence: Evidence, clauses: string[]]>([
    ['serverOnly', { evidence: 'preflight' }, ['the request is a CORS preflight']],
    ['serverOnly', { evidence: 'sec-fetch-mode' }, ['the request has the header `sec-fetch-mode`']],
    [
      'serverOnly',
      { components: '@query, @path' },
      ['the request was signed with another `@query`, `@path`'],
    ],
    ['serverOnly', { components: '@path', mistake: 'it was signed twice' }, ['it was signed twice']],
    ['serverOnly', { components: 'content-digest' }, []],
    ['serverOnly', { cause: 'APP_UNKNOWN' }, []],
    ['ipWhitelist', { source: 'x-real-ip' }, ['the address was read from the header `x-real-ip`']],
    ['ipWhitelist', { entry: 'a single address' }, ['the entry is a single address']],
    ['ipWhitelist', { list: 'office' }, ['the list is `office`']],
    ['regionPin', { source: 'id' }, ['it comes from the id of the person']],
    ['regionPin', { source: 'fallback' }, ['it is the fallback of the policy']],
    ['auditAccess', { day: 3, toString: 'x' }, ['`day` is `3`', '`toString` is `x`']],
  ])('%s: %j', (guard, evidence, clauses) => {
    const refusal = deny(guard, 'enforce', 'SIGNATURE_INVALID', '', evidence)
    expect(sayEvidence(refusal)).toEqual(clauses)
  })

  it('contains no control character', () => {
    const refusal = deny('auditAccess', 'enforce', 'OPTION_FAILED', '', { mistake: 'a\u001b[0m' })
    expect(sayEvidence(refusal)).toEqual(['a\\u{1b}[0m'])
  })
})
