import { describe, expect, it } from '@jest/globals'
import { readDocuments } from '../../../scripts/readme/documents.ts'
import { readSources } from './sources.ts'

/** Turns of messages and documents that read as if they were translated, by what a native writer says. */
const REPLACED: Readonly<Record<string, readonly [turn: RegExp, sample: string]>> = {
  'fix, correct': [/\b(?:to|how to|the way to) mend\b|\bmend it\b/i, 'How to mend it'],
  'is unreachable, is down': [/\bis away\b/, 'While Redis is away'],
  'is in, appears in': [/\bstands? (?:in|there|beside)\b/, 'it must stand there once'],
  'is called with, receives': [/\bhears (?:of|every|each|when|why)\b/, '`onError` hears of it'],
  'reach, read': [/(?:could not|cannot) be asked\b/, 'the store could not be asked'],
  continues: [/\bgoes on (?:below|behind|inside|from|where)\b/, 'the URL goes on below it'],
  'in transit': [/\bchanged on the way\b/, 'the content was changed on the way'],
  about: [/\bsome \d+ (?:bytes|[kKM]i?B|ms|seconds|minutes)\b/, 'some 300 KiB'],
  'newest first': [/\bfrom the newest back\b/, 'events from the newest back'],
  'is ignored': [/\bcounts? (?:as|for) nothing\b/, 'the header counts for nothing'],
  'anyone who, the person who': [/\bwho(?:so)?ever\b/i, 'Whoever reads it'],
}

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
  /\bcan be none\b/,
  /(?:^|[.;] )Who (?!is\b)[a-z]+/,
  /\b[Ww]ho (?:trusts|has|admits|reads|makes|takes|edits) (?!.*\?)/,
  /\b[Ww]ho(?:ever|soever)\b/,
  /\bsuch$/,
  /\bwhat there is to\b/i,
  /\bmust hold no\b/,
  /\bmust have no\b/,
  /\bis there twice\b/,
  /\bbehind the back\b/,
  ...Object.values(REPLACED).map(([turn]) => turn),
]

/** Turns that are banned in the comments that users see, besides those that only a message can have. */
const BANNED_IN_COMMENTS: readonly RegExp[] = [
  /(?:^|[.;] )Who (?!is\b|calls\b)[a-z]+/,
  /\b[Ww]hoever\b/,
  /\bDefault:? (?:nobody|none)\b/,
  /\bmust be (?:a|the) text\b/,
  /\bis of no\b/,
  /\bnone such\b/,
  /\bcan be none\b/,
  /\bbehind the back\b/,
  /\bwhen (?:it|there) is none\b/,
]

/** Documents that are made from sources, and those whose sentences are still to be cleaned. */
const DOCUMENTS_TO_BE_CLEANED: ReadonlySet<string> = new Set([
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'docs/asvs.md',
  'docs/cli.md',
  'docs/proofs.md',
])

/** Files whose strings are still to be cleaned. Take one out when it is clean. */
const TO_BE_CLEANED: ReadonlySet<string> = new Set(['http/region-pin.ts'])

/** Folders whose comments are still to be cleaned. */
const COMMENTS_TO_BE_CLEANED: ReadonlySet<string> = new Set(['http', 'match', 'policy', 'lint', 'list'])

/** The strings of a text without comments, as they are written between their quotes. */
function stringsOf(code: string): string[] {
  return [...code.matchAll(/'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)"|`((?:[^`\\]|\\.)*)`/g)].map(
    ([, single, double, template]) => single ?? double ?? template ?? '',
  )
}

/** The doc comments of a text, each as one line. */
function docCommentsOf(text: string): string[] {
  return [...text.matchAll(/\/\*\*([\s\S]*?)\*\//g)].map(([, comment = '']) =>
    comment
      .replaceAll(/\n\s*\*/g, ' ')
      .replaceAll(/\s+/g, ' ')
      .trim(),
  )
}

function isBanned(turns: readonly RegExp[], text: string): boolean {
  return turns.some((turn) => turn.test(text))
}

const sources = readSources()

describe('the language of messages', () => {
  it('has none of the banned turns in any string', () => {
    const wrong = sources
      .filter(({ path }) => !TO_BE_CLEANED.has(path))
      .flatMap(({ path, code }) =>
        stringsOf(code)
          .filter((text) => isBanned(BANNED, text))
          .map((text) => `src/${path}: ${text}`),
      )
    expect(wrong).toEqual([])
  })

  it('has none of them in the comments that users see', () => {
    const wrong = sources
      .filter(({ area }) => !COMMENTS_TO_BE_CLEANED.has(area))
      .flatMap(({ path, text }) =>
        docCommentsOf(text)
          .filter((comment) => isBanned(BANNED_IN_COMMENTS, comment))
          .map((comment) => `src/${path}: ${comment}`),
      )
    expect(wrong).toEqual([])
  })

  it('has no turn in the documents that a native writer would put otherwise', () => {
    const documents = readDocuments()
    expect(documents.length).toBeGreaterThan(30)
    const wrong = documents
      .filter(({ path }) => !DOCUMENTS_TO_BE_CLEANED.has(path))
      .flatMap(({ path, text }) =>
        text.split('\n').flatMap((line, index) =>
          Object.entries(REPLACED)
            .filter(([, [turn]]) => turn.test(line))
            .map(([better]) => `${path}:${index + 1}: ${line}\n  better: ${better}`),
        ),
      )
    expect(wrong).toEqual([])
  })

  it.each(Object.entries(REPLACED))(
    'says "%s" in place of a turn that is found',
    (_better, [turn, sample]) => {
      expect(sample).toMatch(turn)
    },
  )

  const samples = [
    'it is no limiter',
    'the id is none',
    'must be a text of 3 characters',
    'Who trusts all',
    'there is none such',
    'Who edits it raises the revision',
    'for whoever asks',
    'an app that can be none',
  ]
  it.each(samples)('finds a banned turn in %j', (text) => {
    expect(isBanned(BANNED, text)).toBe(true)
  })

  it.each([
    'Told of failures. Default: nobody.',
    'Default none.',
    'The page. Who edits it by hand loses.',
    '`undefined` when there is none.',
  ])('finds a banned turn in the comment %j', (text) => {
    expect(isBanned(BANNED_IN_COMMENTS, text)).toBe(true)
  })

  it.each(['there is no app `x`', 'Who is it?', 'there is no longer a list'])('lets %j pass', (text) => {
    expect(isBanned(BANNED, text)).toBe(false)
  })

  it('names only files and folders that are there', () => {
    const there = new Set([
      ...sources.flatMap(({ area, path }) => [area, path]),
      ...readDocuments().map(({ path }) => path),
    ])
    const named = [...TO_BE_CLEANED, ...COMMENTS_TO_BE_CLEANED, ...DOCUMENTS_TO_BE_CLEANED]
    expect(named.filter((name) => !there.has(name))).toEqual([])
  })
})
