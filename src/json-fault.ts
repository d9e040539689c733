/** Where a text stops being JSON. */
export interface JsonFault {
  /** Counted from 1. */
  readonly line: number
  readonly column: number
  /** What was found there, for a message. It quotes nothing from the text. */
  readonly what: 'a comment' | 'a comma at the end of a list' | 'the end of the text' | 'something else'
}

const TOKEN =
  /"(?:[^"\\\u0000-\u001F]|\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[[\]{},:]/y
const SPACES = /[ \t\n\r]*/y

/** What may come next. `]` and `}` close an empty array or object. */
type Expected = 'value' | 'value or ]' | 'name' | 'name or }' | ':' | ', or end'

/**
 * Finds the first place where a text is not JSON; `undefined` if the text is JSON. Messages of `JSON.parse` have a position only
 * in some versions of Node and for some faults.
 */
export function jsonFault(text: string): JsonFault | undefined {
  const open: string[] = []
  let expected: Expected = 'value'
  let index = 0
  for (;;) {
    index = endOf(SPACES, text, index)
    if (index === text.length && open.length === 0 && expected === ', or end') return undefined
    const end = endOf(TOKEN, text, index)
    const next = after(text.slice(index, end), expected, open)
    if (next === undefined) return faultAt(text, index, expected)
    ;[expected, index] = [next, end]
  }
}

/**
 * Returns what may follow a token, or `undefined` if the token is not allowed here. Updates `open`, the stack of open brackets.
 */
function after(token: string, expected: Expected, open: string[]): Expected | undefined {
  if (token === '') return undefined
  if (token === ']' || token === '}') {
    const isRight = expected === ', or end' || expected.endsWith(token)
    return isRight && open.pop() === (token === ']' ? '[' : '{') ? ', or end' : undefined
  }
  if (token === ',' || token === ':') {
    if (token === ':') return expected === ':' ? 'value' : undefined
    if (expected !== ', or end' || open.length === 0) return undefined
    return open.at(-1) === '[' ? 'value' : 'name'
  }
  if (expected === 'name' || expected === 'name or }') return token.startsWith('"') ? ':' : undefined
  if (expected !== 'value' && expected !== 'value or ]') return undefined
  if (token !== '[' && token !== '{') return ', or end'
  open.push(token)
  return token === '[' ? 'value or ]' : 'name or }'
}

function faultAt(text: string, index: number, expected: Expected): JsonFault {
  const lines = text.slice(0, index).split('\n')
  const rest = text.slice(index, index + 2)
  const isEndOfList = /[\]}]/.test(rest.charAt(0)) && (expected === 'value' || expected === 'name')
  const what =
    rest === '//' || rest === '/*'
      ? 'a comment'
      : rest === ''
        ? 'the end of the text'
        : isEndOfList && text.slice(0, index).trimEnd().endsWith(',')
          ? 'a comma at the end of a list'
          : 'something else'
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1, what }
}

function endOf(pattern: RegExp, text: string, index: number): number {
  pattern.lastIndex = index
  return pattern.test(text) ? pattern.lastIndex : index
}

/** Why a text is not JSON, as the end of a sentence: `line 7, column 3: a comment; JSON has no comments`. */
export function sayJsonFault(text: string): string {
  const fault = jsonFault(text)
  if (fault === undefined) return 'it cannot be parsed'
  const advice = {
    'a comment': 'a comment; JSON has no comments, so remove it',
    'a comma at the end of a list': 'nothing follows the last comma; remove the comma',
    'the end of the text': 'the text ends too early; a closing bracket, brace or quotation mark is missing',
    'something else': 'a name or a value in double quotes, or a comma, is missing or misspelt',
  }
  return `line ${fault.line}, column ${fault.column}: ${advice[fault.what]}`
}
