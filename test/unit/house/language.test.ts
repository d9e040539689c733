import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { readDocuments, type Document } from '../../../scripts/readme/documents.ts'
import { repository } from '../../support/commands.ts'
import { readSources } from './sources.ts'

/** Turns of messages and documents that read as if they were translated, by what a native writer says. */
const REPLACED: Readonly<Record<string, readonly [turn: RegExp, sample: string]>> = {
  'fix, correct': [/(?<!`)\bmend(?:ed|s|ing)?\b/i, 'a fault of the spool was mended'],
  'is unreachable, is down': [/\bis away\b/, 'While Redis is away'],
  'is in, appears in': [/\bstands? (?:in|there|beside)\b/, 'it must stand there once'],
  'is called with, receives': [/\bhears (?:of|every|each|when|why)\b/, '`onError` hears of it'],
  'reach, read': [/(?:could not|cannot) be asked\b/, 'the store could not be asked'],
  'in transit': [/\bchanged on the way\b/, 'the content was changed on the way'],
  about: [/\bsome \d+ (?:bytes|[kKM]i?B|ms|seconds|minutes)\b/, 'some 300 KiB'],
  'newest first': [/\bfrom the newest back\b/, 'events from the newest back'],
  only: [/\balone\s*(?:[.,;:)|]|$)/, 'headers are written by helmet alone.'],
  'except, apart from': [/\bbut for\b/, 'It does so but for what the row says.'],
  'next to, with, besides': [/\bbeside\b/, 'the same request beside bare Express'],
  forever: [/\bfor ever\b/, 'It stands for one reason and stays for ever'],
  'again, from scratch': [/\banew\b/, 'has Redis write its files anew'],
  'no longer': [/\bany more\b/, 'an app that may not be used any more'],
  'at most': [/\bat the most\b/, 'A person has ten at the most.'],
  'continues, resumes': [/\bgo(?:es)? on (?!to )/, 'It goes on where it has stopped'],
  'is ignored': [/\bcounts? (?:as|for) nothing\b/, 'the header counts for nothing'],
  'anyone who, the person who': [/\bwho(?:so)?ever\b/i, 'Whoever reads it'],
}

/** The same for documents, whose sentences are longer than those of messages. */
const REPLACED_IN_DOCUMENTS: Readonly<Record<string, readonly [turn: RegExp, sample: string]>> = {
  'If two …, only one …': [
    /(?:^|[.;:|-] )Of (?:two|three|several|these|those|all|many)\b/,
    'Of two answers to one request one wins.',
  ],
  before: [/\bahead of\b/, 'a guard ahead of `auditAccess`'],
  'this repository, the package': [/\b[Tt]he house\b/, 'The map of the house'],
  'path, flow': [/\b[Tt]he way (?:of|back|through)\b/, '## The way of a request'],
  'is stored': [/\blies? (?:in|apart|with|sealed|elsewhere)\b/, 'the key lies in the Redis of the region'],
  'a test checks': [/\btests? (?:of [\w ]+ )?holds?\b/, 'A test of the house holds that'],
  'is called, is used, is read': [
    /\b(?:guard|location|store|source|list)s? (?:is|are) asked\b/,
    'the next location is asked',
  ],
  'is reported to, receives': [/\b(?:is|are|was|were) told (?:to|of|by|at)\b/, 'is told to `onError`'],
  'during this time': [/\b[Ff]or so long\b|\bso many at once\b/, 'For so long a process may read'],
  'is not valid': [/\bworth nothing\b/, 'is worth nothing without PKCE'],
  'If somebody …, they …': [/^[^#?]*(?:^|[.;|-] )Who [a-z]+[^?]*$/, 'Who calls from a page sends `Origin`.'],
  'the subject itself, as a noun': [
    /^(?!#)(?:.*[.;:|] |- )?What (?!happens)[^?#|.;]*\b(?:is|are|was|were|has|lies|stays|goes|must|holds)\b[^?]*$/,
    'What a location missed is owed to it by the others.',
  ],
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

/** Turns of comments, by what a native writer says. */
const REPLACED_IN_COMMENTS: Readonly<Record<string, readonly [turn: RegExp, sample: string]>> = {
  'again, from scratch': [/\banew\b/, 'The entries are read anew.'],
  'no longer': [/\bany more\b/, 'A list is not known any more.'],
  'next to, besides': [/\bbeside\b/, 'The server beside it.'],
  before: [/\bahead of\b/, 'The list that comes ahead of the parameters.'],
  'is, means, is written': [/\bstands?\b/, '`undefined` stands for no app'],
  only: [/\balone\s*(?:[.,;:)|]|$)/, 'The wildcards alone.'],
  'receives, is called with': [/\b(?:is|are|was|were) told\b/, 'Those that are refused are told.'],
  'is called, is used, is read': [/\b(?:is|are|was|were) asked\b/, 'A list that is asked twice.'],
  'If several …, the first …': [
    /(?:^|[.;:] )Of (?:two|three|several|these|those|all|many)\b/,
    'Of several the narrowest.',
  ],
  'if there is': [/\bwhere (?:there|none|one) (?:is|are|was)\b/, 'Left out where there is none.'],
  'regardless of how many': [
    /\bhowever (?:many|long|often)\b(?! it)/,
    'one look-up, however many entries there are',
  ],
  'returns whether, returns why': [/\b[Aa]nswers (?:whether|why|how|what|`)/, 'Answers why it is none.'],
  'invalid, not a …': [/(?<!\bthere )\bis none\b/, 'Why the range is none.'],
  'is stored, is in': [/\blies? in\b/, 'The range lies in another.'],
  forever: [/\bfor ever\b/, 'A pipe would hold the read up for ever.'],
  'how many, how long': [/(?:^|[.;] )So (?:many|much|long)\b/, 'So many failures in a row open it.'],
  continues: [/\bgo(?:es)? on\b/, 'both go on as they are'],
  'in progress': [/\bon (?:its|their) way\b/, 'those on their way included'],
}

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

/** The comments of a text that follow `//`, each line by itself. */
function lineCommentsOf(text: string): string[] {
  return [...text.matchAll(/^\s*\/\/ (.*)$/gm)].map(([, comment = '']) => comment)
}

/** All documents for users and contributors. */
function documentsInPlainEnglish(): readonly Document[] {
  const others = ['CHANGELOG.md', 'examples/README.md'].map((path) => ({
    path,
    text: readFileSync(join(repository, path), 'utf8'),
  }))
  return [...readDocuments(), ...others]
}

/** The sentences of a document, each on one line, without the titles of tests that a table names. */
function sentencesOf(text: string): readonly string[] {
  return text
    .split(/\n\s*\n|\n(?=\s*(?:[-|#]|\d+\.) ?)/)
    .map((passage) => passage.replace(/`[^`]+\.test\.ts`: [^|]*/, '').replaceAll(/\s+/g, ' '))
    .flatMap((passage) => passage.split(/(?<=[.?!]) /))
}

function isBanned(turns: readonly RegExp[], text: string): boolean {
  return turns.some((turn) => turn.test(text))
}

const sources = readSources()

describe('the language of messages', () => {
  it('contains no banned phrase in any string', () => {
    const wrong = sources.flatMap(({ path, withoutTypes }) =>
      stringsOf(withoutTypes)
        .filter((text) => isBanned(BANNED, text))
        .map((text) => `src/${path}: ${text}`),
    )
    expect(wrong).toEqual([])
  })

  it('contains no banned phrase in the comments that users see', () => {
    const wrong = sources.flatMap(({ path, text }) =>
      docCommentsOf(text)
        .filter((comment) => isBanned(BANNED_IN_COMMENTS, comment))
        .map((comment) => `src/${path}: ${comment}`),
    )
    expect(wrong).toEqual([])
  })

  it('has no turn in the comments that a native writer would put otherwise', () => {
    const wrong = sources.flatMap(({ path, text }) =>
      [...docCommentsOf(text), ...lineCommentsOf(text)].flatMap((comment) =>
        Object.entries(REPLACED_IN_COMMENTS)
          .filter(([, [turn]]) => turn.test(comment))
          .map(([better]) => `src/${path}: ${comment}\n  better: ${better}`),
      ),
    )
    expect(wrong).toEqual([])
  })

  it('contains no phrase in the documents that a native writer would write otherwise', () => {
    const documents = documentsInPlainEnglish()
    expect(documents.length).toBeGreaterThan(30)
    const turns = [...Object.entries(REPLACED), ...Object.entries(REPLACED_IN_DOCUMENTS)]
    const wrong = documents.flatMap(({ path, text }) =>
      sentencesOf(text).flatMap((sentence) =>
        turns
          .filter(([, [turn]]) => turn.test(sentence))
          .map(([better]) => `${path}: ${sentence}\n  better: ${better}`),
      ),
    )
    expect(wrong).toEqual([])
  })

  it.each([REPLACED, REPLACED_IN_DOCUMENTS, REPLACED_IN_COMMENTS].flatMap((turns) => Object.entries(turns)))(
    'suggests "%s" instead of a phrase that it finds',
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
  it.each(samples)('finds a banned phrase in %j', (text) => {
    expect(isBanned(BANNED, text)).toBe(true)
  })

  it.each([
    'Told of failures. Default: nobody.',
    'Default none.',
    'The page. Who edits it by hand loses.',
    '`undefined` when there is none.',
  ])('finds a banned phrase in the comment %j', (text) => {
    expect(isBanned(BANNED_IN_COMMENTS, text)).toBe(true)
  })

  it.each(['there is no app `x`', 'Who is it?', 'there is no longer a list'])('lets %j pass', (text) => {
    expect(isBanned(BANNED, text)).toBe(false)
  })
})
