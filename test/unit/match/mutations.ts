/** Pseudo-random numbers, which are the same in every run (xorshift32). */
export function createChance(seed: number): (below: number) => number {
  let state = seed | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

type Chance = ReturnType<typeof createChance>

/** Parts of text that parsers read differently, and of the targeted hosts and paths. */
export const TOKENS: readonly string[] = [
  [
    '..',
    '.',
    '/',
    '//',
    '\\',
    '@',
    ':',
    ':443',
    ':80',
    '#',
    '?',
    ';',
    '%',
    '%2e',
    '%2F',
    '%5c',
    '%25',
    '%00',
    '%0a',
  ],
  [
    '%252e',
    '%c0%ae',
    '%ef%bc%8e',
    '%e2%80%8b',
    '\t',
    '\n',
    '\r',
    '\0',
    ' ',
    '\x7f',
    '\u00a0',
    '\u200b',
    '\ufeff',
  ],
  [
    '\u3002',
    '\uff0e',
    '\uff0f',
    '\u00ad',
    '\ud800',
    '[',
    ']',
    '*',
    '"',
    "'",
    '<',
    '|',
    '^',
    '`',
    '{',
    '}',
    '&',
    '=',
  ],
  [
    'evil.example',
    '.evil.example',
    'https:',
    'https://',
    'javascript:',
    '/../',
    '/..;/',
    '/callback',
    'callback',
  ],
  [
    'example.org',
    'org',
    'xn--',
    '127.0.0.1',
    '[::1]',
    '0x7f',
    'localhost',
    'null',
    ',',
    '+',
    '-',
    '_',
    'a',
    '0',
  ],
].flat()

const LOOKALIKES: Readonly<Record<string, string>> = {
  a: '\u0430',
  e: '\u0435',
  o: '\u043e',
  p: '\u0440',
  c: '\u0441',
  x: '\u0445',
  k: '\u212a',
  s: '\u017f',
  i: '\u0131',
  l: '\uff4c',
  '.': '\u3002',
  '/': '\u2215',
  ':': '\uff1a',
  '@': '\uff20',
  '-': '\u2010',
  '0': '\uff10',
}

type Mutation = (text: string, chance: Chance, other: string) => string

/** A position in the text, and a later one. */
function cut(text: string, chance: Chance): [number, number] {
  const start = chance(text.length + 1)
  return [start, start + 1 + chance(4)]
}

function replaceOne(text: string, chance: Chance, change: (character: string) => string): string {
  const at = chance(Math.max(1, text.length))
  return text.slice(0, at) + change(text.charAt(at)) + text.slice(at + 1)
}

const escaped = (character: string): string =>
  character > '\xff' ? character : `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`

const MUTATIONS: readonly Mutation[] = [
  // Insert, delete, replace.
  (text, chance) => {
    const [at] = cut(text, chance)
    return text.slice(0, at) + TOKENS[chance(TOKENS.length)] + text.slice(at)
  },
  (text, chance) => {
    const [start, end] = cut(text, chance)
    return text.slice(0, start) + text.slice(end)
  },
  (text, chance) => replaceOne(text, chance, () => String.fromCharCode(chance(128))),
  (text, chance) => replaceOne(text, chance, () => String.fromCharCode(chance(65_536))),
  // Swap two neighbours, repeat a part.
  (text, chance) => {
    const [at] = cut(text, chance)
    return text.slice(0, at) + text.charAt(at + 1) + text.charAt(at) + text.slice(at + 2)
  },
  (text, chance) => {
    const [start, end] = cut(text, chance)
    return text.slice(0, end) + text.slice(start)
  },
  // Other spellings of a character: escaped once or twice, in the other case, a look-alike.
  (text, chance) => replaceOne(text, chance, (character) => (character === '' ? '' : escaped(character))),
  (text, chance) =>
    replaceOne(text, chance, (character) => (character === '' ? '' : escaped(character).replace('%', '%25'))),
  (text, chance) =>
    replaceOne(text, chance, (character) =>
      character < 'a' ? character.toLowerCase() : character.toUpperCase(),
    ),
  (text, chance) => replaceOne(text, chance, (character) => LOOKALIKES[character.toLowerCase()] ?? character),
  // The beginning of one line and the end of another.
  (text, chance, other) => text.slice(0, cut(text, chance)[0]) + other.slice(cut(other, chance)[0]),
]

/** One of the texts with one to four changes. */
export function mutate(texts: readonly string[], chance: Chance): string {
  let text = texts[chance(texts.length)] ?? ''
  for (let left = 1 + chance(4); left > 0; left -= 1) {
    const mutation = MUTATIONS[chance(MUTATIONS.length)] as Mutation
    text = mutation(text, chance, texts[chance(texts.length)] ?? '')
  }
  return text
}
