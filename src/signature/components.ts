// Shared by the verifier and by `portcullis/client`: nothing here may need more than the language itself.
import { MOST_QUERY_PARAMETERS } from './budget.ts'

/** What is covered: a header or a derived component, and how its value is made of it (RFC 9421 2). */
export interface Component {
  /** A header in lower case, or a derived component: `@path`. */
  readonly name: string
  /** In their order, which is signed too. `true` for one that is only there. */
  readonly parameters: readonly (readonly [name: string, value: string | true])[]
}

/** Reads structured fields (RFC 9651). The package has a reader on the server; the client does without. */
export interface StructuredFields {
  /** Makes a reader of one field, which parses the value once, however much is asked of it. */
  read(text: string): StructuredField
}

/** One field of a message. */
export interface StructuredField {
  /** The one way to write the field; `undefined` when it is not a structured field, or when its kind makes a difference. */
  canonical(): string | undefined
  /** The one way to write this member of a dictionary; `undefined` when the field has no such member. */
  member(key: string): string | undefined
}

/** How the component is named in a signature base and in `Signature-Input`. Its strings must be printable ASCII. */
export function identifierOf({ name, parameters }: Component): string {
  let text = quote(name)
  for (const [key, value] of parameters) text += value === true ? `;${key}` : `;${key}=${quote(value)}`
  return text
}

export function parameterOf({ parameters }: Component, name: string): string | true | undefined {
  return parameters.find(([given]) => given === name)?.[1]
}

/** The same for components that say the same: the order of parameters does not count (RFC 9421 2). */
export function identityOf({ name, parameters }: Component): string {
  if (parameters.length < 2) return identifierOf({ name, parameters })
  const sorted = [...parameters].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return identifierOf({ name, parameters: sorted })
}

/**
 * Why the component cannot be a part of a request, or `undefined`. A parameter that is not understood is refused by name:
 * it might have been meant as a restriction.
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
 * The values of all query parameters by their percent-encoded names (RFC 9421 2.2.8), as they are before encoding;
 * `undefined` for a name that stands there more than once. Answers `undefined` for a query of too many parameters.
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

/** By the percent-encode set of application/x-www-form-urlencoded, but with `%20` for a space. */
export function encodeParameter(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A string of RFC 9651. The caller sees to it that it is printable ASCII. */
export function quote(text: string): string {
  return /["\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`
}
