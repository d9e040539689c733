import { describe, expect, it } from '@jest/globals'
import { highestScoreOf, nextStepOf, stepsOf } from '../../../src/console/steps.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'
import type { ListedKey } from '../../../src/store/contract.ts'

const NOW = Date.parse('2026-11-30T12:00:00Z')
const KEY: ListedKey = { id: 'key-1', algorithm: 'hmac-sha256' }
const LATER: ListedKey = { ...KEY, notBefore: '2027-01-01T00:00:00Z' }
const ENDED: ListedKey = { ...KEY, notAfter: '2026-11-29T12:00:00Z' }

/** An app of which everything is enforced but for what is given. */
const policyWith = (sections: object): ReturnType<typeof parsePolicy> =>
  parsePolicy({
    appId: 'shop',
    serverOnly: { mode: 'enforce' },
    ipWhitelist: { mode: 'enforce', ranges: ['192.0.2.0/24'] },
    domainProtect: { mode: 'enforce', domains: ['https://shop.example'] },
    returnUrlGuard: { mode: 'enforce', urls: ['https://shop.example/callback/'] },
    regionPin: { mode: 'enforce' },
    auditAccess: { mode: 'enforce' },
    ...sections,
  })

describe('the highest score of an app', () => {
  const OFF = { mode: 'off' }
  it.each([
    ['that only pages call leaves out what is for servers', { serverOnly: OFF, ipWhitelist: OFF }, [], 60],
    ['of pages with an allow list counts the list', { serverOnly: OFF }, [], 80],
    ['with a key counts everything', { serverOnly: OFF, ipWhitelist: OFF }, [KEY], 100],
    ['with an ended key counts everything', { serverOnly: OFF, ipWhitelist: OFF }, [ENDED], 100],
    ['without origins counts everything', { serverOnly: OFF, domainProtect: OFF }, [], 100],
    ['whose requests are to be signed counts everything', {}, [], 100],
  ] as const)('%s', (_title, sections, keys, highest) => {
    expect(highestScoreOf(policyWith(sections), keys)).toBe(highest)
  })
})

describe('the protection that comes next', () => {
  it.each([
    ['of pages alone, signatures are not asked for', 'off', [], undefined, undefined],
    ['of servers with a key, signatures are reported first', 'off', [KEY], 'serverOnly', 'report'],
    ['also where its key is not valid yet', 'off', [LATER], 'serverOnly', 'report'],
    ['also where its key has ended', 'off', [ENDED], 'serverOnly', 'report'],
    ['what was reported is enforced', 'report', [KEY], 'serverOnly', 'enforce'],
  ] as const)('%s', (_title, mode, keys, guard, to) => {
    const next = nextStepOf(policyWith({ serverOnly: { mode } }), keys, NOW)
    expect(next?.guard).toBe(guard)
    expect(next?.mode).toBe(to)
    expect(next?.reason ?? '').not.toContain('yet')
  })

  it.each([
    ['no key', []],
    ['no key that is still valid', [ENDED]],
    ['no key that is valid yet', [LATER]],
  ] as const)('warns that signatures would refuse everybody: the app has %s', (_title, keys) => {
    const next = nextStepOf(policyWith({ serverOnly: { mode: 'report' } }), keys, NOW)
    expect(next).toMatchObject({ guard: 'serverOnly', mode: 'enforce', gain: 15 })
    expect(next?.reason).toMatch(/^it has no valid key yet; once it has, /)
  })

  it('warns the same of a list without entries', () => {
    const next = nextStepOf(policyWith({ ipWhitelist: { mode: 'report', ranges: [] } }), [KEY], NOW)
    expect(next).toMatchObject({ guard: 'ipWhitelist', mode: 'enforce' })
    expect(next?.reason).toMatch(/^it has no entries yet; once it has, /)
  })

  it('is one of the first steps that are left, if anything is left of them', () => {
    for (const keys of [[], [KEY]]) {
      for (const mode of ['off', 'report', 'enforce'] as const) {
        const policy = policyWith({ serverOnly: { mode } })
        const left = stepsOf(policy, keys, NOW).find(({ title }) => title.startsWith('Enforce'))
        expect(nextStepOf(policy, keys, NOW) === undefined).toBe(left?.done)
      }
    }
  })
})
