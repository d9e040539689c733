import { decodeParameterName, sameParameter } from '../../match/parameter-name.ts'
import type { SignedMessage } from '../../signature/verify.ts'
import { readMember } from './json-member.ts'

/** A parameter of the query, or a member of the body: `options.redirect.url`. */
export type ParameterPlace = { readonly query: string } | { readonly body: string }

export function isOfQuery(place: ParameterPlace): place is { readonly query: string } {
  return Object.hasOwn(place, 'query')
}

/** Why it cannot be said what stands in a place. */
export type ParameterProblem =
  | 'repeated'
  | 'too many parameters'
  | 'encoding'
  | 'fragment in the request target'
  | 'body not kept'
  | 'malformed body'

/** What stands in a place; `undefined` when nothing does. */
export type ParameterReading = { readonly value: unknown } | { readonly problem: ParameterProblem }

const NOTHING: ParameterReading = { value: undefined }

/** Express 4 and 5 and body-parser all drop, or refuse, what comes after so many. */
const MAX_PARAMETERS = 1000

/** Reads a parameter of the query from the request target, because the parsers of Express 4 and 5 differ, drop and repair. */
export function readQueryParameter(target: string, name: string): ParameterReading {
  if (target.includes('#')) return { problem: 'fragment in the request target' }
  const start = target.indexOf('?')
  return start === -1 ? NOTHING : readPairs(target.slice(start + 1), name)
}

/**
 * Reads a member of a JSON or form body from its bytes. The path has the names from the outermost on; in a form
 * `['options', 'url']` is spelled `options[url]`.
 */
export function readBodyParameter(
  body: SignedMessage['body'],
  contentType: string | undefined,
  path: readonly string[],
): ParameterReading {
  if (body.kind === 'none') return NOTHING
  if (body.kind === 'unavailable') return { problem: 'body not kept' }
  if (body.bytes.length === 0) return NOTHING
  const [type = '', ...parameters] = (contentType ?? '').toLowerCase().split(';')
  // In another charset (UTF-7 is one of them) a parser may read something else.
  if (parameters.some((parameter) => !isUtf8(parameter))) return { problem: 'malformed body' }
  const text = decodeUtf8(body.bytes)
  if (text === undefined) return { problem: 'malformed body' }
  if (/^application\/(?:[^/]+\+)?json$/.test(type.trim())) return readMember(text, path)
  if (type.trim() !== 'application/x-www-form-urlencoded') return { problem: 'malformed body' }
  const [first = '', ...others] = path
  return readPairs(text, first + others.map((name) => `[${name}]`).join(''))
}

/** One plain parameter of exactly this name. Whatever else some parser puts under that name counts as a repetition. */
function readPairs(text: string, name: string): ParameterReading {
  const pairs = text.split('&', MAX_PARAMETERS + 1)
  if (pairs.length > MAX_PARAMETERS) return { problem: 'too many parameters' }
  let found: string | undefined
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const candidate = decodeParameterName(equals === -1 ? pair : pair.slice(0, equals))
    if (!sameParameter(candidate, name)) continue
    if (found !== undefined || candidate !== name) return { problem: 'repeated' }
    found = equals === -1 ? '' : pair.slice(equals + 1)
  }
  if (found === undefined) return NOTHING
  // There qs ends the name.
  if (/(?:\]|%5D)=/i.test(found)) return { problem: 'encoding' }
  try {
    return { value: decodeURIComponent(found.replaceAll('+', ' ')) }
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
