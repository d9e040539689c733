import { describe, expect, it } from '@jest/globals'
import { readSources } from './sources.ts'

/** Turns that read as if they were translated, and riddles that leave out their noun. The ground plan says what to write. */
const BANNED: readonly RegExp[] = [
  /(?<!\bthere )\b(?:is|are) no (?!longer|more|problem|such )/,
  /\bis none\b/,
  /\bis of no\b/,
  /\bholds no\b/,
  /\bholds what\b/,
  /\bmust be (?:a|the) text\b/,
  /\ba text (?:of|that)\b/,
  /\bnone such\b/,
  /\b[Ww]ho (?:trusts|has|admits|reads|makes)\b/,
  /\bsuch$/,
  /\bwhat there is to\b/i,
  /\bmust hold no\b/,
  /\bmust have no\b/,
  /\bis there twice\b/,
  /\bbehind the back\b/,
]

/** Folders and files at the root whose strings are still to be cleaned. Take one out when it is clean. */
const TO_BE_CLEANED: ReadonlySet<string> = new Set(['audit', 'http', 'source', 'store'])

/** The strings of a text without comments, as they are written between their quotes. */
function stringsOf(code: string): string[] {
  return [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g)].map(
    ([, single, double, template]) => single ?? double ?? template ?? '',
  )
}

function bannedIn(area: (name: string) => boolean): string[] {
  return readSources()
    .filter((file) => area(file.area))
    .flatMap(({ path, code }) =>
      stringsOf(code)
        .filter((text) => BANNED.some((turn) => turn.test(text)))
        .map((text) => `src/${path}: ${text}`),
    )
}

describe('the language of messages', () => {
  it('has none of the banned turns in any string', () => {
    expect(bannedIn((area) => !TO_BE_CLEANED.has(area))).toEqual([])
  })

  it('finds each banned turn where it stands', () => {
    const samples = [
      'it is no limiter',
      'the id is none',
      'must be a text of 3 characters',
      'Who trusts all',
      'there is none such',
    ]
    for (const text of samples) expect([text, BANNED.some((turn) => turn.test(text))]).toEqual([text, true])
  })

  it('names only folders that are there', () => {
    const areas = new Set(readSources().map(({ area }) => area))
    expect([...TO_BE_CLEANED].filter((area) => !areas.has(area))).toEqual([])
  })
})
