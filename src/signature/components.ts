// Shared by the verifier and `portcullis/client`, so it must use only the language itself.
import { MOST_QUERY_PARAMETERS } from './budget.ts'

/** A covered component: a header or a derived component, and how its value is built (RFC 9421, section 2). */
export interface Component {
  /** A header name in lower case, or a derived component such as `@path`. */
  readonly name: string
  /** In order, because the order is signed too. `true` for a parameter without a value. */
  readonly parameters: readonly (readonly [name: string, value: string | true])[]
}

/** Reads structured fields (RFC 9651). The server has such a reader; the client does without. */
export interface StructuredFields {
  /** Creates a reader of one field, which parses the value only once. */
  read(text: string): StructuredField
}

/** One structured field of a message. */
export interface StructuredField {
  /** The canonical form of the field. `undefined` if it is not a structured field, or if its form depends on its type. */
  canonical(): string | undefined
  /** The canonical form of a dictionary member. `undefined` if the field has no such member. */
  member(key: string): string | undefined
}

/** The identifier of a component in a signature base and in `Signature-Input`. Its strings must be printable ASCII. */
export function identifierOf({ name, parameters }: Component): string {
  let text = quote(name)
  for (const [key, value] of parameters) text += value === true ? `;${key}` : `;${key}=${quote(value)}`
  return text
}

export function parameterOf({ parameters }: Component, name: string): string | true | undefined {
  return parameters.find(([given]) => given === name)?.[1]
}

/** A text that is equal for equal components. The order of parameters has no meaning (RFC 9421, section 2). */
export function identityOf({ name, parameters }: Component): string {
  if (parameters.length < 2) return identifierOf({ name, parameters })
  const sorted = [...parameters].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return identifierOf({ name, parameters: sorted })
}

/**
 * Why a component cannot be part of a request, or `undefined`. An unknown parameter is refused by name, because it may have
 * been meant as a restriction.
 */
export function componentProblem({ name, parameters }: Component): string | undefined {
  if (name === '@status') return 'component "@status" belongs to responses'
  const derived = name.startsWith('@')
  const given = new Map<string, string | true>()
  for (const [key, value] of parameters) {
    if (key === 'req') return 'component parameter `;req` belongs to responses'
    if (key === 'tr') return 'component parameter `;tr` is refused: trailers are not kept'
    const kind = derived ? (name === '@query-param' && key === 'name' ? 'text' : undefined) : KINDS.get(key)
    if (kind === undefined) return `component parameter \`;${key}\` is not supported`
    if (kind === 'flag' ? value !== true : typeof value !== 'string')
      return `component parameter \`;${key}\` has an invalid value`
    given.set(key, value)
  }
  if (name === '@query-param' && !given.has('name')) return 'component "@query-param" has no `;name`'
  // RFC 9421 2.1.3
  if (given.has('bs') && given.size > 1) return 'component parameter `;bs` cannot be combined with another'
  return undefined
}

const KINDS: ReadonlyMap<string, 'flag' | 'text'> = new Map([
  ['sf', 'flag'],
  ['bs', 'flag'],
  ['key', 'text'],
])

/**
 * The decoded values of all query parameters, by their percent-encoded names (RFC 9421 2.2.8). A name that occurs more than
 * once has the value `undefined`. Returns `undefined` if the query has too many parameters.
 */
export function readQueryParameters(query: string): ReadonlyMap<string, string | undefined> | undefined {
  const values = new Map<string, string | undefined>()
  if (query.split('&', MOST_QUERY_PARAMETERS + 1).length > MOST_QUERY_PARAMETERS) return undefined
  for (const [key, value] of new URLSearchParams(query)) {
    const name = encodeParameter(key)
    values.set(name, values.has(name) ? undefined : value)
  }
  return values
}

/** Percent-encodes like application/x-www-form-urlencoded, but with `%20` for a space. */
export function encodeParameter(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A string of RFC 9651. The caller must ensure that it is printable ASCII. */
export function quote(text: string): string {
  return /["\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`
}
