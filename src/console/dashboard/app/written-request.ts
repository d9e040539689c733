interface Lines {
  readonly headers: Readonly<Record<string, string>>
  /** A header name that occurs twice, if there is one. Such a request cannot be tried. */
  readonly repeated: string | undefined
}

/** The headers in lines of `name: value`. Lines without a colon are ignored. */
export function headersOf(text: string): Lines {
  const headers = new Map<string, string>()
  let repeated: string | undefined
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).trim().toLowerCase()
    if (headers.has(name)) repeated ??= name
    headers.set(name, line.slice(colon + 1).trim())
  }
  return { headers: Object.fromEntries(headers), repeated }
}

interface Read {
  readonly method: string
  readonly url: string
  readonly headers: string
  readonly body: string
}

/** Parses a pasted request: a curl command, or an HTTP message. `undefined` for any other text. */
export const readRequest = (text: string): Read | undefined => readCurl(text) ?? readMessage(text)

/** Whether one of the headers is a signature. If so, the request is judged with it. */
export const hasSignature = (headers: string): boolean => /^signature\s*:/im.test(headers)

/** The usual names of return URLs. */
const RETURN_URL_NAMES = ['return_url', 'returnUrl', 'redirect_uri']

/** The return URL in a JSON or form body, otherwise in the query; `undefined` if there is none. */
export function returnUrlIn(body: string, url: string): string | undefined {
  const query = URL.canParse(url) ? new URL(url).searchParams : new URLSearchParams()
  const sources = [membersOf(body), Object.fromEntries(query)]
  const found = sources.flatMap((source) => RETURN_URL_NAMES.map((name) => source[name]))
  return found.find((value) => typeof value === 'string' && value !== '') as string | undefined
}

function membersOf(body: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(body)) as Record<string, unknown>
  } catch {
    return Object.fromEntries(new URLSearchParams(body))
  }
}

/** Parses an HTTP message: a request line, headers, an empty line and the body. */
function readMessage(text: string): Read | undefined {
  const [head = '', ...rest] = text.trimStart().replaceAll('\r\n', '\n').split('\n\n')
  const [first = '', ...lines] = head.split('\n')
  const [, method, target] = /^([A-Z]+) (\S+) HTTP\/\d(?:\.\d)?$/.exec(first.trim()) ?? []
  if (method === undefined || target === undefined) return undefined
  const headers = lines.join('\n')
  const host = /^host\s*:\s*(\S+)/im.exec(headers)?.[1] ?? 'host.example'
  return {
    method,
    url: target.startsWith('/') ? `https://${host}${target}` : target,
    headers,
    body: rest.join('\n\n'),
  }
}

/**
 * The request that a curl command would send; `undefined` for any other text. Options that do not describe the request are
 * ignored.
 */
function readCurl(text: string): Read | undefined {
  const [program, ...words] = wordsOf(text.trim().replaceAll('\r\n', '\n'))
  if (program !== 'curl') return undefined
  let [method, url, body] = ['', '', '']
  const headers: string[] = []
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? ''
    const value = (): string => words[(index += 1)] ?? ''
    if (word === '-X' || word === '--request') method = value()
    else if (word === '-H' || word === '--header') headers.push(value())
    else if (/^(?:-d|--data(?:-raw|-binary)?|--json)$/.test(word)) body = value()
    else if (!word.startsWith('-')) url = word
  }
  return {
    method: method === '' ? (body === '' ? 'GET' : 'POST') : method,
    url,
    headers: headers.join('\n'),
    body,
  }
}

/** Splits a command into words like a shell. An unclosed quote ends with the text. */
function wordsOf(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index)
    const next = text.charAt(index + 1)
    if (quote === '' && /\s/.test(character)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (character === quote || (quote === '' && (character === "'" || character === '"'))) {
      quote = quote === '' ? character : ''
      word ??= ''
    } else if (character === '\\' && quote !== "'" && (quote === '' || /["\\$`\n]/.test(next))) {
      // A backslash before a line feed continues the line.
      if (next !== '\n') word = (word ?? '') + next
      index += 1
    } else word = (word ?? '') + character
  }
  return word === undefined ? words : [...words, word]
}

interface Call {
  readonly origin?: string | undefined
  readonly xOrigin?: string | undefined
  readonly returnUrl?: string | undefined
}

/**
 * A recorded request as a curl command. The record has only the pattern of the path, and no body or signature: the reader must
 * replace the words in capitals.
 */
export function curlOf(operation: string, { origin, xOrigin, returnUrl }: Call, appId: string): string {
  const [method = 'GET', path = '/'] = operation.split(' ')
  const query = returnUrl === undefined ? '' : `?RETURN_URL_PARAMETER=${encodeURIComponent(returnUrl)}`
  const headers = Object.entries({ 'x-app-id': appId, origin, 'x-origin': xOrigin })
  return [
    `curl -X ${quoted(method)} ${quoted(`https://YOUR-HOST${path}${query}`)}`,
    ...headers.flatMap(([name, value]) => (value === undefined ? [] : `-H ${quoted(`${name}: ${value}`)}`)),
  ].join(' ')
}

/** The text as one word of a shell. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`
