import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ConfigError, formatList, memoryStore, parseList, PolicyError, type ListEntry } from 'portcullis'
import type { ListFormat } from 'portcullis/store'
import { parseIpRange } from '../../../src/match/ip.ts'
import { isListName } from '../../../src/names.ts'
import { parseListEntry } from '../../../src/list/entry.ts'
import { runs } from '../../support/runs.ts'

const FORMATS: readonly ListFormat[] = ['text', 'csv', 'json']
const UNTIL = '2030-01-31T12:00:00Z'

const parse = (text: string, format: ListFormat): ListEntry[] => [...parseList(text, format)]
const format = (entries: readonly ListEntry[], to: ListFormat): string =>
  [...formatList(entries, to)].join('')

/** The reasons of the thrown error, one per line. */
function refusals(run: () => unknown): string[] {
  try {
    run()
  } catch (error) {
    if (!(error instanceof PolicyError)) throw error
    return error.issues.map(({ path, message, corrected }) =>
      [path, message, ...(corrected === undefined ? [] : [`write ${corrected}`])].join(' | '),
    )
  }
  return []
}

describe('an entry', () => {
  it('is a frozen copy, without missing members', () => {
    const given = { range: '192.0.2.1', note: undefined, owner: 'ada' }
    const entry = parseListEntry(given)
    expect(Object.keys(entry)).toEqual(['range', 'owner'])
    expect(Object.isFrozen(entry)).toBe(true)
    given.range = '0.0.0.0/0'
    expect(entry.range).toBe('192.0.2.1')
  })

  const ranges: [string, string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['192.0.2.1/32', '192.0.2.1'],
    ['192.0.2.0/24', '192.0.2.0/24'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:db8::1/128', '2001:db8::1'],
    ['::/0', '::/0'],
  ]
  for (const [given, range] of ranges) {
    it(`${given} has the range ${range}`, () => expect(parseListEntry({ range: given })).toEqual({ range }))
  }

  const text256 = 'x'.repeat(256)
  const refused: [string, unknown, string[]][] = [
    ['a text', '192.0.2.1', [' | must be an object with range, note, owner, expires, got "192.0.2.1"']],
    ['null', null, [' | must be an object with range, note, owner, expires, got null']],
    ['an array', [], [' | must be an object with range, note, owner, expires, got an array of 0']],
    ['no range', { note: 'x' }, ['range | is missing']],
    ['a number', { range: 3_221_225_985 }, ['range | must be a string, got 3221225985']],
    [
      'host bits',
      { range: '192.0.2.1/24' },
      ['range | host bits are set, got "192.0.2.1/24" | write 192.0.2.0/24'],
    ],
    [
      'a mapped address',
      { range: '::ffff:192.0.2.1' },
      ['range | is IPv4 written as IPv6, got "::ffff:192.0.2.1" | write 192.0.2.1'],
    ],
    [
      'a space',
      { range: ' 192.0.2.1' },
      [
        'range | has characters that do not belong to an address or range, got " 192.0.2.1" | write 192.0.2.1',
      ],
    ],
    [
      'a dash range',
      { range: '192.0.2.1-192.0.2.9' },
      [
        'range | is a span of addresses: write `192.0.2.1`, `192.0.2.2/31`, `192.0.2.4/30` and `192.0.2.8/31` as separate entries, got "192.0.2.1-192.0.2.9"',
      ],
    ],
    [
      'too much and too little text',
      { range: '192.0.2.1', note: `${text256}x`, owner: '' },
      [
        'note | must be a string of 1 to 256 characters, got 257',
        'owner | must be a string of 1 to 256 characters, got ""',
      ],
    ],
    [
      'null for nothing',
      { range: '192.0.2.1', owner: null },
      ['owner | must be a string of 1 to 256 characters, got null'],
    ],
    [
      'a sequence for terminals',
      { range: '192.0.2.1', note: '\u001b[2J' },
      ['note | must not contain control characters or unpaired surrogates, got "\\u001b[2J"'],
    ],
    [
      'half of a character',
      { range: '192.0.2.1', note: 'x\ud83d' },
      ['note | must not contain control characters or unpaired surrogates, got "x\\ud83d"'],
    ],
    [
      'a day that there is not',
      { range: '192.0.2.1', expires: '2030-02-30T12:00:00Z' },
      [
        'expires | must be an ISO 8601 instant with its offset, like 2030-01-31T12:00:00Z, got "2030-02-30T12:00:00Z"',
      ],
    ],
    [
      'a day without a time',
      { range: '192.0.2.1', expires: '2030-01-31' },
      ['expires | must be an ISO 8601 instant with its offset, like 2030-01-31T12:00:00Z, got "2030-01-31"'],
    ],
    [
      'members of other names',
      { range: '192.0.2.1', expiry: UNTIL, ['x'.repeat(1_000)]: 1 },
      [` | must not have members other than range, note, owner, expires, got "expiry", "${'x'.repeat(60)}…"`],
    ],
    [
      'a prototype of its own',
      JSON.parse('{"range":"192.0.2.1","__proto__":{"owner":"ada"}}'),
      [' | must not have members other than range, note, owner, expires, got "__proto__"'],
    ],
    ['members of a prototype', Object.create({ range: '192.0.2.1' }), ['range | is missing']],
  ]
  for (const [what, value, reasons] of refused) {
    it(`is refused: ${what}`, () => expect(refusals(() => parseListEntry(value))).toEqual(reasons))
  }

  it('accepts 256 characters, tabs, line breaks and combined characters', () => {
    const entry = { range: '192.0.2.1', note: text256, owner: 'a\tb\r\nc\n👩‍💻' }
    expect(parseListEntry(entry)).toEqual(entry)
  })

  it('accepts exactly the ranges that a policy accepts', () => {
    const part = fc.constantFrom(
      ...'0 00 1 10 01 255 256 ffff FFFF db8 : :: . / /0 /8 /24 /32 /33 /64 /128 - %'.split(' '),
      ' ',
    )
    const text = fc.oneof(
      fc.array(part, { maxLength: 12 }).map((parts) => parts.join('')),
      fc.tuple(fc.ipV4(), fc.nat(33)).map(([address, prefix]) => `${address}/${prefix}`),
      fc.tuple(fc.ipV6(), fc.nat(129)).map(([address, prefix]) => `${address}/${prefix}`),
      fc.tuple(fc.ipV4(), fc.nat(32)).map(([address, prefix]) => network(`${address}/${prefix}`)),
      fc.tuple(fc.ipV6(), fc.nat(128)).map(([address, prefix]) => network(`${address}/${prefix}`)),
    )
    fc.assert(
      fc.property(text, (range) => {
        const known = parseIpRange(range)
        if ('problem' in known) expect(refusals(() => parseListEntry({ range }))).toHaveLength(1)
        else expect(parseListEntry({ range }).range).toBe(known.text)
      }),
      { numRuns: runs(3_000) },
    )
  })

  it('belongs to a list whose name follows the rules of app ids', () => {
    for (const name of ['office', 'a.b_c:d-9', 'x'.repeat(128)]) expect(isListName(name)).toBe(true)
    for (const name of ['', 'a b', 'a/b', 'x'.repeat(129), 'é', 'a\n', 7, null, ['office']]) {
      expect(isListName(name)).toBe(false)
    }
  })
})

/** The correct form of a range. */
function network(text: string): string {
  const range = parseIpRange(text)
  return 'problem' in range ? (range.corrected ?? text) : range.text
}

describe('a list as text', () => {
  const readings: [string, string, ListEntry[]][] = [
    ['nothing', '', []],
    [
      'one range a line, and empty lines',
      '\n192.0.2.1\n\n \t\n2001:db8::/32',
      [{ range: '192.0.2.1' }, { range: '2001:db8::/32' }],
    ],
    [
      'a byte order mark and CRLF',
      '\uFEFF192.0.2.1\r\n192.0.2.2 # x\r\n',
      [{ range: '192.0.2.1' }, { range: '192.0.2.2', note: 'x' }],
    ],
    [
      'the comment behind a range as its note',
      '192.0.2.1 # the office # ground floor',
      [{ range: '192.0.2.1', note: 'the office # ground floor' }],
    ],
    ['a comment without a space', '192.0.2.1#x', [{ range: '192.0.2.1', note: 'x' }]],
    ['an empty comment as none', '192.0.2.1 #', [{ range: '192.0.2.1' }]],
    [
      'a comment line above its range',
      '# the office\n192.0.2.1\n# a shop\n192.0.2.2 # the shop\n192.0.2.3',
      [
        { range: '192.0.2.1', note: 'the office' },
        { range: '192.0.2.2', note: 'the shop' },
        { range: '192.0.2.3' },
      ],
    ],
    [
      "a comment line apart from ranges as nobody's",
      '# my list\n\n192.0.2.1\n# the end',
      [{ range: '192.0.2.1' }],
    ],
    ["a head of several lines as nobody's", '# my list\n# of addresses\n192.0.2.1', [{ range: '192.0.2.1' }]],
    [
      'owner and expiry',
      `192.0.2.1 # {"owner": "ada", "expires": "${UNTIL}"}\n# {"note": "shop"}\n192.0.2.2`,
      [
        { range: '192.0.2.1', owner: 'ada', expires: UNTIL },
        { range: '192.0.2.2', note: 'shop' },
      ],
    ],
    [
      'the same range twice',
      '192.0.2.1\n192.0.2.1 # x',
      [{ range: '192.0.2.1' }, { range: '192.0.2.1', note: 'x' }],
    ],
    [
      'what reads like another format as a note',
      '192.0.2.1 # owner=ada expires=tomorrow',
      [{ range: '192.0.2.1', note: 'owner=ada expires=tomorrow' }],
    ],
    [
      'a list of Spamhaus',
      '; Spamhaus DROP List 2025/01/01 - (c) 2025 The Spamhaus Project SLU\n; https://www.spamhaus.org/drop/drop.txt\n; Last-Modified: Wed, 01 Jan 2025 00:00:00 GMT\n1.10.16.0/20 ; SBL256894\n1.19.0.0/16 ; SBL434604\n',
      [
        { range: '1.10.16.0/20', note: 'SBL256894' },
        { range: '1.19.0.0/16', note: 'SBL434604' },
      ],
    ],
    [
      'a list of FireHOL',
      '#\n# firehol_level1\n#\n# ipv4 hash:net ipset\n#\n# Maintainer      : FireHOL\n# Maintainer URL  : http://iplists.firehol.org/\n# Entries         : 2 subnets, 16777472 unique IPs\n#\n0.0.0.0/8\n1.10.16.0/20\n',
      [{ range: '0.0.0.0/8' }, { range: '1.10.16.0/20' }],
    ],
  ]
  for (const [what, text, entries] of readings) {
    it(`reads ${what}`, () => expect(parse(text, 'text')).toEqual(entries))
  }

  const refused: [string, string, string[]][] = [
    [
      'host bits',
      '192.0.2.1\n\n# x\n192.0.2.7/24 # x',
      ['line 4 | host bits are set, got "192.0.2.7/24" | write 192.0.2.0/24'],
    ],
    [
      'two ranges on a line',
      '192.0.2.1 192.0.2.2',
      [
        'line 1 | holds several entries: write `192.0.2.1` and `192.0.2.2` as separate entries, got "192.0.2.1 192.0.2.2"',
      ],
    ],
    [
      'a range with zeros',
      '\r\n192.0.02.1\r\n',
      ['line 2 | has a part with a leading zero, which some programs read as octal, got "192.0.02.1"'],
    ],
    [
      'a note that is too long',
      `192.0.2.1 # ${'x'.repeat(257)}`,
      ['line 1 | note must be a string of 1 to 256 characters, got 257'],
    ],
    [
      'a broken object',
      '192.0.2.1 # {"owner": ada}',
      ['line 1 | has a comment that begins with `{` but is not JSON'],
    ],
    [
      'an object of other members',
      '192.0.2.1 # {"until": "x"}',
      ['line 1 | must not have members other than range, note, owner, expires, got "until"'],
    ],
    [
      'a prototype',
      '192.0.2.1 # {"__proto__": {"owner": "ada"}}',
      ['line 1 | must not have members other than range, note, owner, expires, got "__proto__"'],
    ],
    [
      'a range within the comment',
      '192.0.2.1 # {"range": "0.0.0.0/0"}',
      ['line 1 | has a second range in its comment'],
    ],
    [
      'a NUL',
      '192.0.2.1\u0000\n192.0.2.2 # \u0000',
      [
        'line 1 | is not an IP address or CIDR range, got "192.0.2.1\\u0000"',
        'line 2 | note must not contain control characters or unpaired surrogates, got "\\u0000"',
      ],
    ],
    [
      'a return within a line',
      '192.0.2.1\r192.0.2.2',
      [
        'line 1 | holds several entries: write `192.0.2.1` and `192.0.2.2` as separate entries, got "192.0.2.1\\r192.0.2.2"',
      ],
    ],
  ]
  for (const [what, text, reasons] of refused) {
    it(`refuses ${what}`, () => expect(refusals(() => parse(text, 'text'))).toEqual(reasons))
  }

  it('is written as a person would write it', () => {
    const entries = [
      { range: '192.0.2.1' },
      { range: '192.0.2.2', note: 'the "office", #2' },
      { range: '192.0.2.3', note: 'shop', owner: 'ada', expires: UNTIL },
      { range: '192.0.2.4', note: 'two\nlines' },
    ]
    expect(format(entries, 'text')).toBe(
      [
        '192.0.2.1',
        '192.0.2.2 # the "office", #2',
        `192.0.2.3 # {"note":"shop","owner":"ada","expires":"${UNTIL}"}`,
        '192.0.2.4 # {"note":"two\\nlines"}',
        '',
      ].join('\n'),
    )
  })
})

describe('a list as CSV', () => {
  const readings: [string, string, ListEntry[]][] = [
    ['nothing', '', []],
    ['a header alone', 'range,note\r\n', []],
    [
      'ranges without a header',
      '192.0.2.1\n2001:db8::/32\n',
      [{ range: '192.0.2.1' }, { range: '2001:db8::/32' }],
    ],
    [
      'ranges and notes without a header',
      '192.0.2.1,range\r\n"192.0.2.2","a, b"',
      [
        { range: '192.0.2.1', note: 'range' },
        { range: '192.0.2.2', note: 'a, b' },
      ],
    ],
    [
      'an address of IPv6 in the first line, which is no header',
      '2001:db8::/32,office\n2001:db9::/32',
      [{ range: '2001:db8::/32', note: 'office' }, { range: '2001:db9::/32' }],
    ],
    [
      'columns in any order',
      `expires,owner,range\n${UNTIL},ada,192.0.2.1\n,,192.0.2.2\n`,
      [{ range: '192.0.2.1', owner: 'ada', expires: UNTIL }, { range: '192.0.2.2' }],
    ],
    [
      'a quoted header, a byte order mark, empty lines',
      '\uFEFF\r\n"range","note"\r\n\r\n192.0.2.1,x\r\n\r\n',
      [{ range: '192.0.2.1', note: 'x' }],
    ],
    [
      'values that are left out at the end',
      'range,note,owner\n192.0.2.1\n192.0.2.2,x',
      [{ range: '192.0.2.1' }, { range: '192.0.2.2', note: 'x' }],
    ],
    [
      'quotes and line breaks in quotes',
      '192.0.2.1,"a ""b""\r\nc\n"\r\n192.0.2.2,""',
      [{ range: '192.0.2.1', note: 'a "b"\r\nc\n' }, { range: '192.0.2.2' }],
    ],
    [
      'a quoted value before one that is not',
      'note,range\r\n"a,b",192.0.2.1\r\n"",192.0.2.2',
      [{ range: '192.0.2.1', note: 'a,b' }, { range: '192.0.2.2' }],
    ],
    ['spaces as what they are', '192.0.2.1, x ', [{ range: '192.0.2.1', note: ' x ' }]],
    [
      'a guarded formula as what it was',
      "192.0.2.1,'=1+1\n192.0.2.2,''=1+1\n192.0.2.3,'twas",
      [
        { range: '192.0.2.1', note: '=1+1' },
        { range: '192.0.2.2', note: "'=1+1" },
        { range: '192.0.2.3', note: "'twas" },
      ],
    ],
  ]
  for (const [what, text, entries] of readings) {
    it(`reads ${what}`, () => expect(parse(text, 'csv')).toEqual(entries))
  }

  const refused: [string, string, string[]][] = [
    [
      'columns of other names',
      'range,comment,Note\n192.0.2.7/24',
      [
        'line 1 | has the column "comment", which is not one of range, note, owner, expires',
        'line 1 | has the column "Note", which is not one of range, note, owner, expires | write note',
      ],
    ],
    ['a column that is there twice', 'range,note,note\n', ['line 1 | has the column "note" twice']],
    [
      'a header without ranges',
      'note,owner\n',
      ['line 1 | is neither an entry nor a header with a column `range`'],
    ],
    [
      'what is no table',
      'hello\n',
      [
        'line 1 | has the column "hello", which is not one of range, note, owner, expires',
        'line 1 | is neither an entry nor a header with a column `range`',
      ],
    ],
    [
      'a comma without quotes',
      '192.0.2.1,a,b\nrange,x',
      [
        'line 1 | has more values than columns (range, note): put quotes around a value that contains a comma',
        'line 2 | is not an address: write the addresses of the host, or a list in `lists`, got "range"',
      ],
    ],
    [
      'host bits below a note of three lines',
      'note,range\n"a\r\nb\nc",192.0.2.1\n,192.0.2.7/24',
      ['line 5 | host bits are set, got "192.0.2.7/24" | write 192.0.2.0/24'],
    ],
    ['a row without a range', 'range,note\n,x\n"",x', ['line 2 | is missing', 'line 3 | is missing']],
    [
      'a quote within a value',
      '192.0.2.1,the "office"\n192.0.2.7/24',
      [
        'line 1 | has a quote within a value that does not begin with one',
        'line 2 | host bits are set, got "192.0.2.7/24" | write 192.0.2.0/24',
      ],
    ],
    [
      'text behind a quote',
      '192.0.2.1,"x"y\n192.0.2.2,"x" \n',
      ['line 1 | has text after a closing quote', 'line 2 | has text after a closing quote'],
    ],
    [
      'a quote that does not close',
      '192.0.2.7/24\n192.0.2.1,"x\n192.0.2.2\n',
      [
        'line 1 | host bits are set, got "192.0.2.7/24" | write 192.0.2.0/24',
        'line 2 | has a quoted value of more than 4096 characters: is its closing quote missing?',
      ],
    ],
    [
      'a table with semicolons',
      'range;note\n192.0.2.1;x',
      [
        'line 1 | has the column "range;note", which is not one of range, note, owner, expires',
        'line 1 | is neither an entry nor a header with a column `range`',
      ],
    ],
    [
      'a bad owner and a bad expiry',
      'range,owner,expires\n192.0.2.1,\u0007,tomorrow',
      [
        'line 2 | owner must not contain control characters or unpaired surrogates, got "\\u0007"',
        'line 2 | expires must be an ISO 8601 instant with its offset, like 2030-01-31T12:00:00Z, got "tomorrow"',
      ],
    ],
  ]
  for (const [what, text, reasons] of refused) {
    it(`refuses ${what}`, () => expect(refusals(() => parse(text, 'csv'))).toEqual(reasons))
  }

  it('is written with a header, CRLF, and quotes if needed', () => {
    const entries = [
      { range: '192.0.2.1' },
      { range: '192.0.2.2', note: 'the "office", #2' },
      { range: '192.0.2.3', note: 'shop', owner: 'ada', expires: UNTIL },
    ]
    expect(format(entries, 'csv')).toBe(
      `range,note,owner,expires\r\n192.0.2.1,,,\r\n192.0.2.2,"the ""office"", #2",,\r\n192.0.2.3,shop,ada,${UNTIL}\r\n`,
    )
  })

  it('starts no value with a character that a spreadsheet treats as a formula', () => {
    const hostile = [
      '=HYPERLINK("http://x.example","y")',
      '+1',
      '-1',
      '@SUM(A1)',
      '\t=1',
      '\r\n=1',
      ' =1',
      "'=1",
      '＝1',
    ]
    for (const note of hostile) {
      const [, row = ''] = [...formatList([{ range: '192.0.2.1', note, owner: note }], 'csv')]
      expect(row).toMatch(/^192\.0\.2\.1,"?'[^]*,"?'/)
    }
  })
})

describe('a list as JSON', () => {
  it('reads ranges and entries', () => {
    const text = `\uFEFF["192.0.2.1/32", {"range": "192.0.2.2", "note": "x", "owner": "ada", "expires": "${UNTIL}"}]`
    expect(parse(text, 'json')).toEqual([
      { range: '192.0.2.1' },
      { range: '192.0.2.2', note: 'x', owner: 'ada', expires: UNTIL },
    ])
  })

  const refused: [string, string, RegExp[]][] = [
    ['nothing', '', [/^ \| is not JSON: /]],
    ['what is cut off', '["192.0.2.1", ', [/^ \| is not JSON: /]],
    [
      'an object',
      '{"ranges": []}',
      [/^ \| must be an array of ranges and entries, got an object with ranges$/],
    ],
    [
      'items that are none',
      '["192.0.2.7/24", 7, {"note": "x"}, "192.0.2.1", {"range": "192.0.2.1", "note": ""}, ["192.0.2.1"]]',
      [
        /^\[0\]\.range \| host bits are set, got "192.0.2.7\/24" \| write 192.0.2.0\/24$/,
        /^\[1\] \| must be an object .*, got 7$/,
        /^\[2\]\.range \| is missing$/,
        /^\[4\]\.note \| must be a string of 1 to 256 characters, got ""$/,
        /^\[5\] \| must be an object .*, got an array of 1$/,
      ],
    ],
    [
      'a prototype',
      '[{"range": "192.0.2.1", "__proto__": {"owner": "ada"}}]',
      [/^\[0\] \| must not have members other than .*, got "__proto__"$/],
    ],
  ]
  for (const [what, text, reasons] of refused) {
    it(`refuses ${what}`, () => {
      const found = refusals(() => parse(text, 'json'))
      expect(found).toHaveLength(reasons.length)
      for (const [index, reason] of reasons.entries()) expect(found[index]).toMatch(reason)
    })
  }

  it('is written as one array, one entry per line', () => {
    expect(format([], 'json')).toBe('[]\n')
    expect(format([{ range: '192.0.2.1' }, { range: '192.0.2.2', note: 'x' }], 'json')).toBe(
      '[\n{"range":"192.0.2.1"},\n{"range":"192.0.2.2","note":"x"}\n]\n',
    )
  })
})

describe('parseList and formatList', () => {
  const piece = fc.constantFrom(
    ...'" "" , \\n \\ # ; { } \' = + - @ ＝ é 👩‍💻 range 192.0.2.1 owner=ada {"note":"x"}'.split(' '),
    ...' \n\r\t\u00a0\uFEFF\u2028',
    '\r\n',
  )
  const words = fc
    .oneof(
      fc.array(fc.oneof(piece, fc.string({ unit: 'binary', maxLength: 3 })), { minLength: 1, maxLength: 12 }),
      fc.array(piece, { minLength: 1, maxLength: 12 }),
    )
    .map((pieces) => pieces.join('').replaceAll(/[^\P{Cc}\t\n\r]/gu, ''))
    .filter((text) => text !== '')
  const range = fc.oneof(
    fc.tuple(fc.ipV4(), fc.nat(32)).map(([address, prefix]) => network(`${address}/${prefix}`)),
    // A mapped range wider than IPv4 is refused: `::ffff:0.0.0.0/0`.
    fc
      .tuple(fc.ipV6(), fc.nat(128))
      .map(([address, prefix]) => network(`${address}/${prefix}`))
      .filter((text) => !text.startsWith('::ffff:')),
  )
  const expires = fc
    .date({ min: new Date(0), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true })
    .map((date) => date.toISOString())
  const entries = fc.array(
    fc.record(
      { range, note: words, owner: words, expires },
      { requiredKeys: ['range'], noNullPrototype: true },
    ),
    { maxLength: 8 },
  )

  for (const to of FORMATS) {
    it(`written as ${to} are read back unchanged`, () => {
      fc.assert(
        fc.property(entries, (given) => expect(parse(format(given, to), to)).toEqual(given)),
        { numRuns: runs(2_000) },
      )
    })

    it(`any text as ${to} gives valid entries or a PolicyError`, () => {
      const text = fc.array(fc.oneof(piece, range, fc.constantFrom('range,note', '[', ']', '"range":')), {
        maxLength: 30,
      })
      fc.assert(
        fc.property(text, (pieces) => {
          let found: ListEntry[] = []
          refusals(() => (found = parse(pieces.join(''), to)))
          for (const entry of found) expect(parseListEntry(entry)).toEqual(entry)
        }),
        { numRuns: runs(2_000) },
      )
    })
  }

  it('convert from one format to the other and back', () => {
    fc.assert(
      fc.property(entries, fc.array(fc.constantFrom(...FORMATS), { maxLength: 6 }), (given, ways) => {
        const last = ways.reduce((list, to) => parse(format(list, to), to), given as ListEntry[])
        expect(last).toEqual(given)
      }),
      { numRuns: runs(200) },
    )
  })

  for (const to of FORMATS) {
    it(`write ${to} chunk by chunk with the same result as all at once`, async () => {
      const given = Array.from({ length: 600 }, (_, index) => ({
        range: `10.0.${index >> 8}.${index & 255}`,
      }))
      const store = memoryStore()
      for (const [revision, written] of [given, []].entries()) {
        await store.writeList('many', written, revision)
        const pieces: string[] = []
        const list = await store.readList('many')
        if (list !== undefined) for await (const text of formatList(list.chunks(), to)) pieces.push(text)
        expect(pieces.join('')).toBe(format(written, to))
      }
    })
  }

  it('refuse invalid input immediately', () => {
    for (const none of [undefined, Buffer.from('192.0.2.1'), []]) {
      expect(() => parseList(none as never, 'text')).toThrow(ConfigError)
    }
    for (const none of [undefined, '192.0.2.1', {}]) {
      expect(() => formatList(none as never, 'text')).toThrow(ConfigError)
    }
    expect(() => parseList(undefined as never, 'json')).toThrow('`text` is missing: give the text of a list')
  })

  it('refuse an unknown format immediately, by name', () => {
    const yaml = 'yaml' as ListFormat
    for (const run of [
      () => parseList('', yaml),
      () => formatList([], yaml),
      () => parseList('', 'toString' as ListFormat),
    ]) {
      expect(run).toThrow(ConfigError)
    }
    expect(() => parseList('', yaml)).toThrow('`format` must be `text`, `csv` or `json`, got "yaml"')
  })

  it('write only valid entries', () => {
    const injected = { range: '192.0.2.1\n0.0.0.0/0' }
    for (const to of FORMATS) expect(() => format([injected], to)).toThrow(PolicyError)
  })

  it('yield the valid entries, and throw at the end with every reason', () => {
    const list = parseList('192.0.2.7/24\n192.0.2.1\n192.0.2.9/24\n192.0.2.2', 'text')
    expect([list.next().value, list.next().value]).toEqual([{ range: '192.0.2.1' }, { range: '192.0.2.2' }])
    expect(() => list.next()).toThrow(/line 1.*line 3/)
  })

  it('stop at the hundredth reason', () => {
    const bad = Array.from({ length: 1_000 }, () => 'x')
    const texts = { text: bad.join('\n'), csv: `range\n${bad.join('\n')}`, json: JSON.stringify(bad) }
    for (const to of FORMATS) {
      expect(refusals(() => parse(texts[to], to))).toHaveLength(100)
      const cut = parseList(texts[to], to)
      expect(() => cut.next()).toThrow(PolicyError)
    }
  })
})
