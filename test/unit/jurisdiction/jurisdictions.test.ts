import { describe, expect, it } from '@jest/globals'
import { ConfigError } from '../../../src/errors.ts'
import { COUNTRIES, COUNTRY_GROUPS, EEA, EUROPE, UK_ADEQUACY } from '../../../src/jurisdiction/countries.ts'
import {
  compileJurisdictions,
  DEFAULT_JURISDICTIONS,
  type CompiledJurisdictions,
} from '../../../src/jurisdiction/jurisdictions.ts'

const byDefault = compileJurisdictions(DEFAULT_JURISDICTIONS, 'jurisdictions')
const located = (compiled: CompiledJurisdictions, countries: unknown): string | undefined =>
  compiled.locate(countries)?.jurisdiction

const letters = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ']
const pairs = letters.flatMap((first) => letters.map((second) => first + second))

describe('the countries', () => {
  it('are the 249 assigned codes of ISO 3166-1 and XK', () => {
    expect(COUNTRIES.size).toBe(250)
    expect(COUNTRIES.has('XK')).toBe(true)
  })

  it('are those with names in CLDR, except its own additions', () => {
    const names = new Intl.DisplayNames(['en'], { type: 'region', fallback: 'none' })
    // Reserved, withdrawn or private codes, and codes of regions. CLDR reads withdrawn codes as their successors.
    const notAssigned =
      'AC AN BU CP CQ CS CT DD DG DY EA EU EZ FQ FX HV IC JT MI NH NQ NT PC PU PZ QO QU RH SU TA TP UK UN VD WK XA XB YD YU ZR ZZ'
    const known = pairs.filter((code) => names.of(code) !== undefined)
    const additions = new Set(notAssigned.split(' '))
    expect(known.filter((code) => !additions.has(code))).toEqual([...COUNTRIES].toSorted())
    for (const code of additions) expect([code, COUNTRIES.has(code)]).toEqual([code, false])
  })

  it('of Europe are assigned codes, each listed once', () => {
    expect(EUROPE.filter((code) => !COUNTRIES.has(code))).toEqual([])
    expect(new Set(EUROPE).size).toBe(EUROPE.length)
    // 27 in the EU, 3 in the EEA, GB and CH, 7 territories of member states, 9 small states and territories among them.
    expect(EUROPE).toHaveLength(27 + 3 + 2 + 7 + 9)
  })
})

describe('the groups of countries', () => {
  it('contain every code once, with a reason, a source and a date', () => {
    const all = COUNTRY_GROUPS.flatMap(({ codes }) => codes)
    expect(all.toSorted()).toEqual([...COUNTRIES].toSorted())
    for (const { because, source, asOf } of COUNTRY_GROUPS) {
      expect(because.length).toBeGreaterThan(10)
      expect(source.length).toBeGreaterThan(7)
      expect(asOf).toMatch(/^20\d\d-\d\d-\d\d$/)
    }
  })

  it('contain the 27 members, their 7 territories and the 3 other states of the European Economic Area', () => {
    expect(EEA).toHaveLength(27 + 7 + 3)
    expect(EEA.filter((code) => !EUROPE.includes(code))).toEqual([])
    for (const code of ['GB', 'CH', 'TR', 'US']) expect(EEA).not.toContain(code)
  })

  it('state until when London may be used, like the default jurisdictions', () => {
    expect(byDefault.firstEnd).toBe(Date.UTC(2031, 11, 28))
    expect(UK_ADEQUACY.until).toBe('2031-12-27')
  })
})

describe('the default jurisdictions', () => {
  const europeans =
    'AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE IS LI NO GB CH AX GF GP MQ MF RE YT GI GG JE IM AD MC SM VA FO'.split(
      ' ',
    )
  for (const code of europeans) {
    it(`keep ${code} in Europe`, () => expect(located(byDefault, code)).toBe('europe'))
  }

  it('send all other assigned codes to Dallas, and no other code anywhere', () => {
    for (const code of pairs) {
      if (europeans.includes(code)) continue
      const expected = COUNTRIES.has(code) ? { jurisdiction: 'world', locations: ['dallas'] } : undefined
      expect([code, byDefault.locate(code)]).toEqual([code, expected])
    }
  })

  it('have London and Frankfurt in Europe, and Dallas in the world', () => {
    expect(byDefault.locate('DE')).toEqual({ jurisdiction: 'europe', locations: ['london', 'frankfurt'] })
    expect(byDefault.jurisdictionOf('london')).toBe('europe')
    expect(byDefault.jurisdictionOf('frankfurt')).toBe('europe')
    expect(byDefault.jurisdictionOf('dallas')).toBe('world')
    expect(byDefault.locationsOf('europe')).toEqual(['london', 'frankfurt'])
    expect(byDefault.locationsOf('world')).toEqual(['dallas'])
  })

  it('have no other names', () => {
    for (const name of ['', 'paris', 'London', 'constructor', '__proto__', 'toString']) {
      expect(byDefault.jurisdictionOf(name)).toBeUndefined()
      expect(byDefault.locationsOf(name)).toBeUndefined()
    }
  })
})

describe('locate', () => {
  const cases: readonly (readonly [countries: unknown, jurisdiction: string | undefined])[] = [
    ['de', 'europe'],
    ['dE', 'europe'],
    ['us', 'world'],
    ['XK', 'world'],
    [['DE'], 'europe'],
    [['US', 'DE'], 'europe'],
    [['DE', 'US'], 'europe'],
    [['us', 'br', 'fr', 'jp'], 'europe'],
    [['US', 'BR'], 'world'],
    [['US', 'US'], 'world'],
    // One unreadable country makes the result unknown, because it may have been the protective one.
    [['US', 'ZZ'], undefined],
    [['DE', 'ZZ'], undefined],
    [['US', undefined], undefined],
    [['US', ''], undefined],
    [['US', ['DE']], undefined],
    [[['DE']], undefined],
    [[], undefined],
    [Array(1), undefined],
    ...['EU', 'UN', 'ZZ', 'EZ', 'UK', 'XX', 'AN', 'SU', 'AA', 'QM', 'XA', 'T1'].map(
      (code) => [code, undefined] as const,
    ),
    ...['', ' ', '*', 'D', 'DEU', '276', 'de-DE', 'DE,US', 'DE\n', ' DE', 'DE ', '\ufeffDE', 'D\u200bE'].map(
      (code) => [code, undefined] as const,
    ),
    // `toUpperCase` would convert these to SS, FI, ST and IS.
    ...['\u00df', '\ufb01', '\ufb06', '\u0131s', '\u017fe', '\uff24\uff25', '\u0412\u0415'].map(
      (code) => [code, undefined] as const,
    ),
    ...[undefined, null, 0, 1, true, {}, Symbol('DE'), () => 'DE', new Date(0), new Set(['DE'])].map(
      (other) => [other, undefined] as const,
    ),
    [new String('DE'), undefined],
    [{ toString: () => 'DE' }, undefined],
    [{ 0: 'DE', length: 1 }, undefined],
  ]
  for (const [countries, jurisdiction] of cases) {
    const title =
      typeof countries === 'string' || Array.isArray(countries)
        ? JSON.stringify(countries)
        : String(countries)
    it(`puts ${title} into ${jurisdiction ?? 'no jurisdiction'}`, () => {
      expect(located(byDefault, countries)).toBe(jurisdiction)
    })
  }

  const three = {
    world: { locations: ['dallas'], countries: '*' },
    north: { locations: ['oslo', 'stockholm'], countries: ['NO', 'SE'] },
    south: { locations: ['rome'], countries: ['IT'] },
  } as const

  it('prefers a named jurisdiction to `*`, and of several the first declared', () => {
    const compiled = compileJurisdictions(three, 'j')
    expect(located(compiled, ['IT', 'SE'])).toBe('north')
    expect(located(compiled, ['SE', 'IT'])).toBe('north')
    expect(located(compiled, ['US', 'IT'])).toBe('south')
    expect(located(compiled, ['IT', 'US'])).toBe('south')
    expect(located(compiled, 'US')).toBe('world')
    const { world, north, south } = three
    expect(located(compileJurisdictions({ south, north, world }, 'j'), ['SE', 'IT'])).toBe('south')
  })

  it('finds no jurisdiction for an unlisted country if there is no `*`', () => {
    const { north } = three
    const compiled = compileJurisdictions({ north }, 'j')
    expect(located(compiled, 'US')).toBeUndefined()
    expect(located(compiled, ['US', 'BR'])).toBeUndefined()
    expect(located(compiled, ['US', 'NO'])).toBe('north')
  })

  it('uses a copy that nobody can change', () => {
    const locations = ['oslo']
    const compiled = compileJurisdictions({ north: { locations, countries: ['NO'] } }, 'j')
    locations.push('moscow')
    expect(compiled.locate('NO')?.locations).toEqual(['oslo'])
    expect(() => (compiled.locationsOf('north') as string[]).push('moscow')).toThrow(TypeError)
  })
})

describe('compileJurisdictions', () => {
  const one = { locations: ['oslo'], countries: ['NO'] }
  const wrong: readonly (readonly [what: string, option: unknown, message: RegExp])[] = [
    ['nothing', undefined, /^`x.jurisdictions` is missing: give an object /],
    ['null', null, /^`x.jurisdictions` must be an object/],
    ['a list', [one], /^`x.jurisdictions` must be an object/],
    ['a text', 'europe', /^`x.jurisdictions` must be an object/],
    [
      'no jurisdiction at all',
      {},
      /^`x.jurisdictions` must be an object .*at least one, got an empty object/,
    ],
    [
      'a jurisdiction that is none',
      { a: 'oslo' },
      /^`x.jurisdictions.a` takes an object with at least `locations`, `countries`, got "oslo"/,
    ],
    [
      'an unknown key',
      { a: { ...one, country: 'NO' } },
      /^x.jurisdictions.a: unknown option `country`: did you mean `countries`\?$/,
    ],
    [
      'left out locations',
      { a: { countries: ['NO'] } },
      /^`x.jurisdictions.a.locations` is missing: give a list/,
    ],
    ['no locations', { a: { ...one, locations: [] } }, /^`x.jurisdictions.a.locations` must be a list/],
    ['locations as text', { a: { ...one, locations: 'oslo' } }, /^`x.jurisdictions.a.locations`/],
    [
      'left out countries',
      { a: { locations: ['oslo'] } },
      /^`x.jurisdictions.a.countries` is missing: give a list/,
    ],
    ['no countries', { a: { ...one, countries: [] } }, /^`x.jurisdictions.a.countries` must be a list/],
    ['a country as text', { a: { ...one, countries: 'NO' } }, /^`x.jurisdictions.a.countries`/],
    [
      '`*` in a list',
      { a: { ...one, countries: ['*'] } },
      /^`x.jurisdictions.a.countries\[0\]`.* "\*"; write `'\*'` in place of the list$/,
    ],
    ['an unknown code', { a: { ...one, countries: ['NO', 'XX'] } }, /countries\[1\]`.*3166.*got "XX"$/],
    ['the code UK', { a: { ...one, countries: ['UK'] } }, /got "UK"; did you mean `GB`\?$/],
    ['the code EU', { a: { ...one, countries: ['EU'] } }, /got "EU"$/],
    ['a code in small letters', { a: { ...one, countries: ['no'] } }, /got "no"; did you mean `NO`\?$/],
    ['a code that is no text', { a: { ...one, countries: [47] } }, /countries\[0\]`.*got 47$/],
    ['a hole in the codes', { a: { ...one, countries: Array(1) } }, /countries\[0\]` is missing: /],
    ['a hole in the locations', { a: { ...one, locations: Array(1) } }, /locations\[0\]` is missing: /],
    [
      'a location in two',
      { a: one, b: { locations: ['rome', 'oslo'], countries: ['IT'] } },
      /^`x.jurisdictions.b.locations\[1\]` must be left out, because `a` already has it, got "oslo"$/,
    ],
    ['a location twice', { a: { ...one, locations: ['oslo', 'oslo'] } }, /locations\[1\]` must be left out/],
    [
      'a country in two',
      { a: one, b: { locations: ['rome'], countries: ['NO'] } },
      /^`x.jurisdictions.b.countries\[0\]` must be left out, because `a` already has it, got "NO"$/,
    ],
    [
      '`*` in two',
      { a: { locations: ['oslo'], countries: '*' }, b: { locations: ['rome'], countries: '*' } },
      /^`x.jurisdictions.b.countries` must be a list of country codes, because `a` already takes all the others/,
    ],
    [
      'a name that begins like the identifiers of another',
      { a: one, a_b: { locations: ['rome'], countries: ['IT'] } },
      /^`x.jurisdictions.a_b` must be named differently, because identifiers of people of `a` begin with `a_`/,
    ],
    [
      'an end for no location',
      { a: { ...one, until: { rome: '2031-12-27' } } },
      /until.rome` must be left out/,
    ],
    ['an end that is no day', { a: { ...one, until: { oslo: '2031-02-30' } } }, /until.oslo` must be a day/],
    ['an end that is no text', { a: { ...one, until: { oslo: 2031 } } }, /until.oslo` must be a day/],
    [
      'ends that are no object',
      { a: { ...one, until: '2031-12-27' } },
      /`x.jurisdictions.a.until` must be an object/,
    ],
    ['a name of digits', { 1: one }, /^`x.jurisdictions.1` must be named/],
    ['an empty name', { '': one }, /must be named/],
    ['a name with a blank', { 'the north': one }, /must be named/],
    ...['', 'Oslo', 'os lo', 'oslo.no', 'oslo\n', '\u00f8slo', 'a'.repeat(65), 1].map(
      (location) =>
        [
          `the location ${JSON.stringify(location)}`,
          { a: { ...one, locations: [location] } },
          /^`x.jurisdictions.a.locations\[0\]` must be a name of 1-64 characters of a-z 0-9 -, got /,
        ] as const,
    ),
  ]
  for (const [what, option, message] of wrong) {
    it(`refuses ${what}`, () => {
      const compile = () => compileJurisdictions(option, 'x.jurisdictions')
      expect(compile).toThrow(ConfigError)
      expect(compile).toThrow(message)
    })
  }

  it('is not confused by names of object members', () => {
    const option: unknown = JSON.parse('{"__proto__":{"locations":["oslo"],"countries":["NO"]}}')
    expect(located(compileJurisdictions(option, 'j'), 'NO')).toBe('__proto__')
  })

  it('accepts a location of 64 characters and a frozen option', () => {
    const location = 'a'.repeat(64)
    const option = Object.freeze({
      a: Object.freeze({ locations: Object.freeze([location]), countries: '*' }),
    })
    expect(compileJurisdictions(option, 'j').jurisdictionOf(location)).toBe('a')
  })
})
