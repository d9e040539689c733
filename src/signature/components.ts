// Shared by the verifier and by `portcullis/client`: nothing here may need more than the language itself.

/** What is covered: a header or a derived component, and how its value is made of it (RFC 9421 2). */
export interface Component {
  /** A header in lower case, or a derived component: `@path`. */
  readonly name: string
  /** In their order, which is signed too. `true` for one that is only there. */
  readonly parameters: readonly (readonly [name: string, value: string | true])[]
}

/** Reads structured fields (RFC 9651). The package has a reader on the server; the client does without. */
export interface StructuredFields {
  /** The one way to write this field, or `undefined` when it is none, or its kind makes a difference. */
  canonical(text: string): string | undefined
  /** The one way to write a member of this dictionary, or `undefined` when there is none. */
  member(text: string, key: string): string | undefined
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
      return `component parameter \`;${key}\` has a wrong value`
    given.set(key, value)
  }
  if (name === '@query-param' && !given.has('name')) return 'component "@query-param" has no `;name`'
  // RFC 9421 2.1.3
  if (given.has('bs') && given.size > 1) return 'component parameter `;bs` allows no other'
  return undefined
}

const KINDS: ReadonlyMap<string, 'flag' | 'text'> = new Map([
  ['sf', 'flag'],
  ['bs', 'flag'],
  ['key', 'text'],
])

/** The value of the only query parameter of this name (RFC 9421 2.2.8), or `undefined`. Name and value are percent-encoded. */
export function queryParameter(query: string, name: string): string | undefined {
  const values: string[] = []
  for (const [key, value] of new URLSearchParams(query)) if (encode(key) === name) values.push(value)
  return values.length === 1 ? encode(values[0] as string) : undefined
}

// The percent-encode set of application/x-www-form-urlencoded, in which a space is not written as a plus.
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()~]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** A string of RFC 9651. The caller sees to it that it is printable ASCII. */
export function quote(text: string): string {
  return /["\\]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : `"${text}"`
}
