import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { getPublicSuffix } from 'tldts'
import { publicSuffixModule, publicSuffixRules } from '../../../scripts/public-suffixes.ts'
import { publicSuffixOf } from '../../../src/match/public-suffix.ts'
import { repository } from '../../support/commands.ts'
import { runs } from '../../support/runs.ts'

/** Another implementation, with the same list. */
function byTldts(hostname: string): string | undefined {
  const options = { allowPrivateDomains: true, extractHostname: false, validateHostname: false }
  return getPublicSuffix(hostname, options) ?? undefined
}

const rules = publicSuffixRules(repository)

describe('publicSuffixOf', () => {
  it.each([
    ['com', 'com'],
    ['example.com', 'com'],
    ['example.co.uk', 'co.uk'],
    ['a.b.example.co.uk', 'co.uk'],
    ['someone.github.io', 'github.io'],
    ['github.io', 'github.io'],
    ['shop.myshopify.com', 'myshopify.com'],
    ['anything.ck', 'anything.ck'],
    ['a.anything.ck', 'anything.ck'],
    ['www.ck', 'ck'],
    ['a.www.ck', 'ck'],
    ['a.city.kobe.jp', 'kobe.jp'],
    ['a.b.kobe.jp', 'b.kobe.jp'],
    ['a.xn--55qx5d.cn', 'xn--55qx5d.cn'],
    ['localhost', 'localhost'],
    ['a.unheard-of', 'unheard-of'],
    ['127.0.0.1', undefined],
    ['[::1]', undefined],
    ['', undefined],
  ])('of %j is %j', (hostname, suffix) => {
    expect(publicSuffixOf(hostname)).toBe(suffix)
  })

  it('agrees with tldts for every rule of the list, and for similar names', () => {
    expect(rules.length).toBeGreaterThan(10_000)
    const differing = rules
      .map((rule) => rule.replace(/^!/, '').replace('*', 'any'))
      .flatMap((name) => [
        name,
        `a.${name}`,
        `b.a.${name}`,
        `x${name}`,
        `${name}.example`,
        ...name.split('.').map((_, index, labels) => labels.slice(index).join('.')),
      ])
      .filter((name) => publicSuffixOf(name) !== byTldts(name))
    expect(differing).toEqual([])
  })

  it('agrees with tldts for any name', () => {
    const label = fc.oneof(
      fc.stringMatching(/^[a-z0-9_-]{1,8}$/),
      fc.constantFrom(
        'com',
        'uk',
        'co',
        'jp',
        'kobe',
        'ck',
        'www',
        'city',
        'compute',
        'amazonaws',
        's3',
        'io',
      ),
    )
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 20 }), fc.nat(), (labels, index) => {
        const rule = (rules[index % rules.length] ?? '').replace(/^[!*]\.?/, '')
        for (const name of [labels.join('.'), [...labels, rule].join('.')])
          expect([name, publicSuffixOf(name)]).toEqual([name, byTldts(name)])
      }),
      { numRuns: runs(3_000) },
    )
  })
})

it('has the same list as tldts: if not, run `npm run public-suffixes`', () => {
  const read = (path: string): string => readFileSync(join(repository, path), 'utf8')
  const { version } = JSON.parse(read('node_modules/tldts/package.json')) as { version: string }
  const same = read('src/match/public-suffix-list.ts') === publicSuffixModule(rules, version)
  expect(same).toBe(true)
})
