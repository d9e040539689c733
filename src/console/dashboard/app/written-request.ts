interface Lines {
  readonly headers: Readonly<Record<string, string>>
  /** The name of two lines, if there is one. A request with both cannot be tried. */
  readonly repeated: string | undefined
}

/** The headers of lines `name: value`. Lines without a colon say nothing. */
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

/** What a pasted request says: a curl command, or HTTP as it is sent. `undefined` for any other text. */
export const readRequest = (text: string): Read | undefined => readCurl(text) ?? readMessage(text)

/** Whether one of the lines is a signature: then the request is judged with it as it stands. */
export const hasSignature = (headers: string): boolean => /^signature\s*:/im.test(headers)

/** What return URLs are called in most APIs. */
const RETURN_URL_NAMES = ['return_url', 'returnUrl', 'redirect_uri']

/** The return URL in a body of JSON or of form fields, otherwise in the query; `undefined` where there is none. */
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

/** HTTP as it is sent: a request line, headers, an empty line and the body. */
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

/** What a curl command would send; `undefined` for any other text. Options that do not describe the request are passed over. */
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

/** The words of a command as a shell parts them. A quote that is not closed ends with the text. */
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
      // A line that goes on is no character.
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
 * A recorded request as a curl command. The record holds the pattern of the path and neither content nor signature: what stands in capitals
 * is for the reader to fill in.
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

/** As one word of a shell, whatever is in it. */
const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`
