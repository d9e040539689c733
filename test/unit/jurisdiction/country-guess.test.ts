import { describe, expect, it } from '@jest/globals'
import { COUNTRIES } from '../../../src/jurisdiction/countries.ts'
import { guessCountry } from '../../../src/jurisdiction/country-guess.ts'

describe('guessCountry', () => {
  it.each([
    ['GB', ['GB', 'gb', ' GB ', 'UK', 'uk', 'GBR', 'GB-ENG', 'gb_sct', 'United Kingdom', 'England', '826']],
    ['GR', ['EL', 'GRC', 'Greece', 'Ελλάδα']],
    ['DE', ['DEU', 'ger', 'Germany', 'germani', 'Deutschland', '276']],
    ['CH', ['CHE', 'Switzerland', 'Swizerland', 'Schweiz', 'de-ch'.slice(3)]],
    ['UA', ['UKR', 'Ukraine']],
    ['US', ['USA', 'United States', 'us-ca', '840']],
    ['NL', ['Holland', 'Netherlands', 'NLD']],
    ['CI', ['Cote d’Ivoire', 'Ivory Coast']],
    ['AT', ['Österreich', 'osterreich', 'AUT']],
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
    'nobody',
    'world',
    'new',
    'x'.repeat(1_000),
  ])('says nothing of %j', (text) => {
    expect(guessCountry(text)).toBeUndefined()
  })

  it.each([[undefined], [null], [{}], [['DE', 'FR']], [Number.NaN], [true]])(
    'says nothing of %j',
    (value) => {
      expect(guessCountry(value)).toBeUndefined()
    },
  )

  it('takes a number as that of the standard', () => {
    expect([guessCountry(276), guessCountry(56), guessCountry(8)]).toEqual(['DE', 'BE', 'AL'])
  })

  it('knows each country by its name in English', () => {
    const english = new Intl.DisplayNames('en', { type: 'region' })
    for (const code of COUNTRIES) expect([code, guessCountry(english.of(code))]).toEqual([code, code])
  })
})
