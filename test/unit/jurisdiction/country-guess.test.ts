import { describe, expect, it } from '@jest/globals'
import { COUNTRIES } from '../../../src/jurisdiction/countries.ts'
import { guessCountry, isLocale } from '../../../src/jurisdiction/country-guess.ts'

describe('guessCountry', () => {
  it.each([
    ['GB', ['GB', 'gb', ' GB ', 'UK', 'uk', 'GBR', 'United Kingdom', 'UNITED KINGDOM', '826']],
    ['GR', ['EL', 'GRC', 'Greece']],
    ['DE', ['DEU', 'deu', 'Germany', 'germany', '276']],
    ['US', ['USA', 'United States', '840']],
    ['XK', ['XKX', 'Kosovo']],
  ])('reads %s in %j', (code, texts) => {
    expect(texts.map(guessCountry)).toEqual(texts.map(() => code))
  })

  it.each([
    '',
    'D',
    'EU',
    'XX',
    'en',
    'AN',
    'SU',
    '*',
    '000',
    '001',
    '999',
    '44',
    '0276',
    'nobody',
    'world',
    'new',
    'pt-BR',
    'de-AT',
    'de_AT',
    'ar-AE',
    'sv-SE',
    'ca-ES',
    'GB-ENG',
    'us-ca',
    'Korean',
    'Swaziland',
    'American',
    'Northern',
    'Western',
    'Czechoslovakia',
    'germani',
    'ger',
    'Deutschland',
    'England',
    '__proto__',
    'constructor',
    'x'.repeat(64),
    'x'.repeat(1_000),
  ])('makes no guess for %j', (text) => {
    expect(guessCountry(text)).toBeUndefined()
  })

  it('distinguishes a locale from a country', () => {
    const locales = ['pt-BR', 'de-AT', 'de_AT', 'ar-AE', 'sv-SE', 'ca-ES', 'fil-PH', 'en-us']
    expect(locales.filter(isLocale)).toEqual(locales)
    expect(['BR', 'pt', 'en-XX', 'GB-ENG', 'x-pt-BR', '', undefined, 55].filter(isLocale)).toEqual([])
  })

  it.each([[undefined], [null], [{}], [['DE', 'FR']], [Number.NaN], [true], [276], [44], [48], [40]])(
    'makes no guess for %j',
    (value) => {
      expect(guessCountry(value)).toBeUndefined()
    },
  )

  it('knows each country by its name in English', () => {
    const english = new Intl.DisplayNames('en', { type: 'region' })
    for (const code of COUNTRIES) expect([code, guessCountry(english.of(code))]).toEqual([code, code])
  })
})
