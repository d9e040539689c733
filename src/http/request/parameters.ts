import { decodeParameterName, sameParameter } from '../../match/parameter-name.ts'
import type { SignedMessage } from '../../signature/verify.ts'
import { memberOf, parseJson } from './json-member.ts'

/** A parameter of the query, or a member of the body: `options.redirect.url`. */
export type ParameterPlace = { readonly query: string } | { readonly body: string }

export function isOfQuery(place: ParameterPlace): place is { readonly query: string } {
  return Object.hasOwn(place, 'query')
}

/** Why a place cannot be read. */
export type ParameterProblem =
  | 'repeated'
  | 'too many parameters'
  | 'encoding'
  | 'fragment in the request target'
  | 'body not kept'
  | 'malformed body'

/** The value in a place, `undefined` if there is none; or why the place cannot be read. */
export type ParameterReading = { readonly value: unknown } | { readonly problem: ParameterProblem }

const NOTHING: ParameterReading = { value: undefined }

/** Express 4 and 5 and body-parser drop or refuse the parameters after this many. */
const MAX_PARAMETERS = 1000

/**
 * Reads a query parameter from the request target, because the parsers of Express 4 and 5 differ, and drop or repair parameters.
 */
export function readQueryParameter(target: string, name: string): ParameterReading {
  return new QueryReader(target).read(name)
}

/** Like {@link readQueryParameter}, for several parameters: parses the query once. */
export class QueryReader {
  readonly #target: string
  #pairs: Pairs | undefined

  constructor(target: string) {
    this.#target = target
  }

  read(name: string): ParameterReading {
    if (this.#target.includes('#')) return { problem: 'fragment in the request target' }
    const start = this.#target.indexOf('?')
    if (start === -1) return NOTHING
    this.#pairs ??= readPairs(this.#target, start + 1)
    return findPair(this.#pairs, name)
  }
}

/**
 * Reads a member of a JSON or form body from its bytes. The path has the names, the outermost first; in a form `['options',
 * 'url']` is spelled `options[url]`.
 */
export function readBodyParameter(
  body: SignedMessage['body'],
  contentType: string | undefined,
  path: readonly string[],
): ParameterReading {
  return new BodyReader(body, contentType).read(path)
}

/** Like {@link readBodyParameter}, for several members: decodes and parses the body once. */
export class BodyReader {
  readonly #body: SignedMessage['body']
  readonly #contentType: string
  #parsed: ParsedBody | ParameterReading | undefined

  constructor(body: SignedMessage['body'], contentType: string | undefined) {
    this.#body = body
    this.#contentType = contentType ?? ''
  }

  /** Whether this reader is for the given body: a parser between two guards may have kept the bytes since. */
  isOf(body: SignedMessage['body'], contentType: string | undefined): boolean {
    const before = this.#body
    if (this.#contentType !== (contentType ?? '') || before.kind !== body.kind) return false
    return before.kind !== 'bytes' || body.kind !== 'bytes' || before.bytes === body.bytes
  }

  read(path: readonly string[]): ParameterReading {
    this.#parsed ??= parseBody(this.#body, this.#contentType)
    const parsed = this.#parsed
    if ('json' in parsed) return memberOf(parsed.text, parsed.json, path)
    if (!('form' in parsed)) return parsed
    const [first = '', ...others] = path
    return findPair(parsed.form, first + others.map((name) => `[${name}]`).join(''))
  }
}

type ParsedBody =
  { readonly text: string; readonly json: ReturnType<typeof parseJson> } | { readonly form: Pairs }

/** The parsed body, or the reading of every place in it. */
function parseBody(body: SignedMessage['body'], contentType: string): ParsedBody | ParameterReading {
  if (body.kind === 'none') return NOTHING
  if (body.kind === 'unavailable') return { problem: 'body not kept' }
  if (body.bytes.length === 0) return NOTHING
  const [type = '', ...parameters] = contentType.toLowerCase().split(';')
  // In another charset, such as UTF-7, a parser may read something else.
  if (parameters.some((parameter) => !isUtf8(parameter))) return { problem: 'malformed body' }
  const text = decodeUtf8(body.bytes)
  if (text === undefined) return { problem: 'malformed body' }
  if (/^application\/(?:[^/]+\+)?json$/.test(type.trim())) return { text, json: parseJson(text) }
  if (type.trim() !== 'application/x-www-form-urlencoded') return { problem: 'malformed body' }
  return { form: readPairs(text) }
}

/** Decoded names and raw values, alternating. */
type Pairs = readonly string[] | 'too many'

function readPairs(text: string, from = 0): Pairs {
  const count = countPairs(text, from)
  if (count > MAX_PARAMETERS) return 'too many'
  // oxlint-disable-next-line unicorn/no-new-array -- of this length; one that grows takes more than twice the memory
  const pairs = new Array<string>(2 * count)
  let equals = text.indexOf('=', from)
  let start = from
  for (let index = 0; index < pairs.length; index += 2) {
    const next = text.indexOf('&', start)
    const end = next === -1 ? text.length : next
    if (equals !== -1 && equals < start) equals = text.indexOf('=', start)
    const nameEnd = equals === -1 || equals > end ? end : equals
    pairs[index] = decodeParameterName(text.slice(start, nameEnd))
    pairs[index + 1] = nameEnd === end ? '' : text.slice(nameEnd + 1, end)
    start = end + 1
  }
  return pairs
}

/** The number of pairs, counted to at most one more than the limit. */
function countPairs(text: string, from: number): number {
  let count = 1
  for (let at = text.indexOf('&', from); at !== -1 && count <= MAX_PARAMETERS; at = text.indexOf('&', at + 1))
    count += 1
  return count
}

/**
 * Finds the only parameter with exactly this name. Any other parameter that a parser may store under this name counts as a
 * repetition.
 */
function findPair(pairs: Pairs, name: string): ParameterReading {
  if (pairs === 'too many') return { problem: 'too many parameters' }
  let found: string | undefined
  for (let index = 0; index < pairs.length; index += 2) {
    const candidate = pairs[index] as string
    if (!sameParameter(candidate, name)) continue
    if (found !== undefined || candidate !== name) return { problem: 'repeated' }
    found = pairs[index + 1] as string
  }
  if (found === undefined) return NOTHING
  // `qs` would end the name there.
  if (found.includes('=') && /(?:\]|%5D)=/i.test(found)) return { problem: 'encoding' }
  try {
    return { value: decodeURIComponent(found.includes('+') ? found.replaceAll('+', ' ') : found) }
  } catch {
    return { problem: 'encoding' }
  }
}

function isUtf8(parameter: string): boolean {
  const [name = '', value = ''] = parameter.split('=')
  return name.trim() !== 'charset' || /^(?:utf-?8|"utf-?8")$/.test(value.trim())
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
