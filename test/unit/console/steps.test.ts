import { describe, expect, it } from '@jest/globals'
import { assess, highestScoreOf, nextStepOf, parseAssessed, stepsOf } from '../../../src/console/steps.ts'
import { lintPolicy } from '../../../src/policy/lint.ts'
import { parsePolicy } from '../../../src/policy/parse.ts'
import { scorePolicy } from '../../../src/policy/score.ts'
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

describe('the assessment of a policy', () => {
  const many = policyWith({
    ipWhitelist: {
      mode: 'report',
      ranges: Array.from({ length: 300 }, (_, index) => `10.0.${index >> 7}.${2 * (index & 127)}`),
    },
    domainProtect: { mode: 'enforce', domains: [] },
  })

  it('is the score of the whole policy, with a few findings of each kind and the number of the others', () => {
    const { score, findings, moreFindings } = assess(parseAssessed(many))
    const whole = scorePolicy(many)
    expect(score).toBe(whole.score)
    expect(findings.length + (moreFindings.ipWhitelist ?? 0)).toBe(whole.fixes.length)
    expect(findings.length).toBeLessThan(30)
    const kinds = (of: typeof findings) => new Set(of.map(({ code }) => code))
    expect(kinds(findings)).toEqual(kinds(whole.fixes))
  })

  it('gives the same gain to a next step as the score of the policy with that step', () => {
    const { guard, mode, gain } = nextStepOf(many, [KEY], NOW) ?? {}
    expect([guard, mode]).toEqual(['ipWhitelist', 'enforce'])
    const after = scorePolicy({ ...many, ipWhitelist: { ...many.ipWhitelist, mode: 'enforce' } }).score
    expect(gain).toBe(after - scorePolicy(many).score)
  })

  it('relies on findings that do not depend on whether a protection reports or enforces', () => {
    const sections: Readonly<Record<string, object>> = {
      serverOnly: { maxAge: 3_600, requireDigest: false },
      ipWhitelist: { ranges: ['10.0.0.0/8', '10.0.0.0/9', '0.0.0.0/1'], deny: ['192.0.2.1'] },
      domainProtect: { domains: ['http://a.example', 'https://*.shop.example'], server: 'none' },
      returnUrlGuard: { urls: [] },
      regionPin: { fallback: 'world' },
      auditAccess: { onSinkFailure: 'allow' },
    }
    for (const [name, members] of Object.entries(sections)) {
      const found = (mode: string) =>
        lintPolicy(policyWith({ [name]: { mode, ...members } })).filter(({ code }) => code !== 'mode-report')
      expect(found('report').length).toBeGreaterThan(0)
      expect(found('report')).toEqual(found('enforce'))
    }
  })
})
