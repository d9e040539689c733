import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { COUNTRIES, EUROPE } from '../../src/jurisdiction/countries.ts'
import { folder } from './setup.ts'

// Uses `require` and own types, because the compiler also runs without these packages.
const load = createRequire(join(folder, 'package.json'))
const iso = load('i18n-iso-countries') as { getAlpha2Codes(): Readonly<Record<string, string>> }
const { countries } = load('countries-list') as {
  readonly countries: Readonly<Record<string, { readonly continent: string }>>
}

/** Places with a reserved code, which belong to SH. No state lists them as a country of a person. */
const RESERVED = ['AC', 'TA']

/** Parts of France on other continents, which belong to the Union. */
const IN_THE_UNION_ELSEWHERE = ['GF', 'GP', 'MF', 'MQ', 'RE', 'YT']

/** On the continent, but neither in the European Economic Area nor covered by an adequacy decision that we rely on. */
const ON_THE_CONTINENT = ['AL', 'BA', 'BY', 'MD', 'ME', 'MK', 'RS', 'SJ', 'UA', 'XK']

describe('the countries, compared with two lists from npm', () => {
  it('have the codes of i18n-iso-countries', () => {
    expect(Object.keys(iso.getAlpha2Codes()).toSorted()).toEqual([...COUNTRIES].toSorted())
  })

  it('have the codes of countries-list, except reserved ones', () => {
    expect(Object.keys(countries).toSorted()).toEqual([...COUNTRIES, ...RESERVED].toSorted())
  })

  it('of Europe are those of the continent in countries-list, with stated differences', () => {
    const onTheContinent = Object.entries(countries)
      .filter(([, { continent }]) => continent === 'EU')
      .map(([code]) => code)
    expect(EUROPE.filter((code) => !onTheContinent.includes(code)).toSorted()).toEqual(IN_THE_UNION_ELSEWHERE)
    expect(onTheContinent.filter((code) => !EUROPE.includes(code)).toSorted()).toEqual(ON_THE_CONTINENT)
  })
})
