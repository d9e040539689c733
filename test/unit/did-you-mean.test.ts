import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { didYouMean } from '../../src/did-you-mean.ts'

const SECTIONS = ['serverOnly', 'ipWhitelist', 'domainProtect', 'returnUrlGuard', 'regionPin', 'auditAccess']

describe('didYouMean', () => {
  it.each([
    ['polices', ['policies', 'appId'], 'policies'],
    ['ipWhitelists', SECTIONS, 'ipWhitelist'],
    ['ip-whitelist', SECTIONS, 'ipWhitelist'],
    ['serveronly', SECTIONS, 'serverOnly'],
    ['returnUrl', SECTIONS, 'returnUrlGuard'],
    ['enforced', ['enforce', 'report', 'off'], 'enforce'],
    ['report-only', ['enforce', 'report', 'off'], 'report'],
    ['frankfrut', ['london', 'frankfurt', 'dallas'], 'frankfurt'],
    ['rangez', ['ranges', 'deny', 'lists'], 'ranges'],
    ['url', ['urls', 'mode'], 'urls'],
    ['secret', ['store', 'secret-file', 'at'], 'secret-file'],
  ])('treats %s as a typo', (given, candidates, expected) => {
    expect(didYouMean(given, candidates)).toBe(expected)
  })

  it.each([
    ['on', ['enforce', 'report', 'off']],
    ['ttl', ['store', 'maxStale', 'readTimeout']],
    ['', ['a']],
    ['paris', ['london', 'frankfurt', 'dallas']],
    [7, ['a']],
    ['x'.repeat(65), ['x'.repeat(64)]],
  ])('suggests nothing for %s', (given, candidates) => {
    expect(didYouMean(given, candidates)).toBeUndefined()
  })

  it('finds every name of at least five letters with one character wrong, missing, added or swapped', () => {
    const name = fc.constantFrom(...SECTIONS, 'policies', 'frankfurt', 'clientAddress')
    fc.assert(
      fc.property(name, fc.nat(), fc.nat(3), (meant, place, kind) => {
        const at = place % (meant.length - 1)
        const [start, end] = [meant.slice(0, at), meant.slice(at + 1)]
        const swapped = `${start}${meant[at + 1]}${meant[at]}${meant.slice(at + 2)}`
        const given = [`${start}x${end}`, start + end, `${start}x${meant.slice(at)}`, swapped][kind] as string
        fc.pre(given !== meant)
        expect([given, didYouMean(given, [...SECTIONS, 'policies', 'frankfurt', 'clientAddress'])]).toEqual([
          given,
          meant,
        ])
      }),
    )
  })
})
