// Shared by the verifier and by `portcullis/client`: nothing here may need more than the language itself.
import {
  componentProblem,
  identifierOf,
  identityOf,
  parameterOf,
  queryParameter,
  quote,
  type Component,
  type StructuredFields,
} from './components.ts'

/** What a signature can cover of a request. */
export interface MessageParts {
  /** As on the wire; methods are case-sensitive. */
  readonly method: string
  /** The `Host` as received; `undefined` when there was not exactly one. */
  readonly authority: string | undefined
  /** The request target as on the wire, in origin form: path and query. */
  readonly target: string
  /**
   * The scheme by which the signer called. Left out when it is not known: then `@scheme` and `@target-uri` cannot be
   * derived, and both default ports count as default.
   */
  readonly scheme?: 'http' | 'https' | undefined
  /** Every line of the header of this lower-case name, in order of arrival. */
  header(name: string): readonly string[]
}

/** The parameters of a signature, in their order: `created` and `expires` are integers, the others strings. */
export type SignatureParameters = readonly (readonly [name: string, value: string | number])[]

/** What is signed, and the `Signature-Input` member that says so. */
export interface SignatureBase {
  readonly text: string
  /** The inner list of components with its parameters, serialised by RFC 9651. */
  readonly input: string
}

/** Why no signature base can be made, as a phrase for operators. */
export interface BaseProblem {
  readonly problem: string
}

/** What is accepted as the id of a key. */
export const KEY_ID: RegExp = /^[A-Za-z0-9._:-]{1,128}$/

/** What is accepted as a nonce: 16 to 128 characters of base64, base64url, UUIDs and the like. */
export const NONCE: RegExp = /^[A-Za-z0-9+/=._~:-]{16,128}$/

/** A key of an RFC 9651 dictionary, and so the label of a signature. */
export const LABEL: RegExp = /^[a-z*][a-z0-9_.*-]{0,63}$/

/** A secret shorter than the output of SHA-256 is the weakest part of the scheme (RFC 2104 3). */
export const LEAST_SECRET_BYTES = 32

/** Whether it can be a moment, in seconds: up to the year 9999, so that arithmetic on it stays exact. */
export function isWholeSecond(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 253_402_300_799
}

const FIELD_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/

// Anything else in a value could start a new line of the base, or be read as other bytes by the other side.
const PRINTABLE = /^[\t\x20-\x7e]*$/

// A single registered name, IPv4 or bracketed IPv6 address, with or without a port. No comma: that is two hosts.
const AUTHORITY = /^(?:[a-z0-9._~!$&'()*+;=%-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/

/**
 * Fields of which HTTP knows one line. Frameworks keep the first or the last of several, so that what was signed
 * would not be what the handler sees.
 */
const SINGLE_LINE: ReadonlySet<string> = new Set([
  'authorization',
  'content-length',
  'content-type',
  'cookie',
  'date',
  'from',
  'host',
  'max-forwards',
  'origin',
  'proxy-authorization',
  'referer',
  'user-agent',
  'x-origin',
])

// Reading structured fields is slow, and is done before it is known who asks for it.
const MOST_STRUCTURED_CHARACTERS = 4096

const TOO_LONG: BaseProblem = {
  problem: `the headers under \`;sf\` and \`;key\` are longer than ${MOST_STRUCTURED_CHARACTERS} characters together`,
}

/** The signature base of RFC 9421 2.5 over these components, in this order; see {@link baseText}. */
export function signatureBase(
  message: MessageParts,
  components: readonly (string | Component)[],
  parameters: SignatureParameters,
  structured?: StructuredFields,
): SignatureBase | BaseProblem {
  const input = signatureInput(components, parameters)
  const text = baseText(message, components, input, structured)
  return typeof text === 'string' ? { text, input } : text
}

/** The inner list of components with its parameters, serialised by RFC 9651. */
export function signatureInput(
  components: readonly (string | Component)[],
  parameters: SignatureParameters,
): string {
  let input = `(${components.map((one) => (typeof one === 'string' ? quote(one) : identifierOf(one))).join(' ')})`
  for (const [name, value] of parameters)
    input += `;${name}=${typeof value === 'number' ? value : quote(value)}`
  return input
}

/**
 * The text of a signature base, from its components and their serialisation. A text stands for a component without
 * parameters. Without a reader of structured fields, `;sf` and `;key` are refused.
 */
export function baseText(
  message: MessageParts,
  components: readonly (string | Component)[],
  input: string,
  structured: StructuredFields | undefined,
): string | BaseProblem {
  let text = ''
  let structuredCharacters = 0
  for (let index = 0; index < components.length; index++) {
    const component = components[index] as string | Component
    const plain = typeof component === 'string'
    const identifier = plain ? `"${component}"` : identifierOf(component)
    if (plain ? components.indexOf(component) !== index : isRepeated(components, index)) {
      return { problem: `component ${identifier} is repeated` }
    }
    if (!plain && structured !== undefined && isStructured(component)) {
      for (const line of message.header(component.name)) structuredCharacters += line.length
      if (structuredCharacters > MOST_STRUCTURED_CHARACTERS) return TOO_LONG
    }
    const value = plain
      ? componentValue(message, component)
      : parameterisedValue(message, component, structured)
    if (typeof value !== 'string') return value
    // What an authority may be has been looked at more closely.
    if (component !== '@authority' && !PRINTABLE.test(value))
      return { problem: `component ${identifier} is not printable ASCII` }
    text += `${identifier}: ${value}\n`
  }
  return `${text}"@signature-params": ${input}`
}

function isStructured(component: Component): boolean {
  return parameterOf(component, 'sf') !== undefined || parameterOf(component, 'key') !== undefined
}

function isRepeated(components: readonly (string | Component)[], index: number): boolean {
  const identity = (component: string | Component): string =>
    typeof component === 'string' ? `"${component}"` : identityOf(component)
  return components.findIndex((one) => identity(one) === identity(components[index] as Component)) !== index
}

/** The value of a component without parameters, or why it has none. */
function componentValue(message: MessageParts, name: string): string | BaseProblem {
  if (name.startsWith('@')) return derivedValue(message, name)
  const lines = fieldLines(message, name)
  return Array.isArray(lines) ? joined(lines) : (lines as BaseProblem)
}

/** The value of a component with parameters (RFC 9421 2.1.1 to 2.1.3 and 2.2.8), or why it has none. */
function parameterisedValue(
  message: MessageParts,
  component: Component,
  structured: StructuredFields | undefined,
): string | BaseProblem {
  const problem = componentProblem(component)
  if (problem !== undefined) return { problem }
  const { name } = component
  if (component.parameters.length === 0) return componentValue(message, name)
  if (name === '@query-param') {
    const query = derivedValue(message, '@query')
    if (typeof query !== 'string') return query
    const value = queryParameter(query.slice(1), String(parameterOf(component, 'name')))
    return value ?? { problem: `there is not one query parameter of the name in ${identifierOf(component)}` }
  }
  const lines = fieldLines(message, name)
  if (!Array.isArray(lines)) return lines as BaseProblem
  if (parameterOf(component, 'bs') !== undefined) return byteSequences(name, lines)
  if (structured === undefined)
    return { problem: `${identifierOf(component)} needs a reader of structured fields` }
  const text = joined(lines)
  const key = parameterOf(component, 'key')
  const value = typeof key === 'string' ? structured.member(text, key) : structured.canonical(text)
  return value ?? { problem: `header \`${name}\` has no value for ${identifierOf(component)}` }
}

/** RFC 9421 2.1.3: each line as a byte sequence of its own. */
function byteSequences(name: string, lines: readonly string[]): string | BaseProblem {
  try {
    return lines.map((line) => `:${btoa(trim(line))}:`).join(', ')
  } catch {
    return { problem: `header \`${name}\` is not bytes` }
  }
}

function derivedValue(message: MessageParts, name: string): string | BaseProblem {
  const { method, scheme, target } = message
  switch (name) {
    case '@method':
      return method
    case '@authority':
      return authorityOf(message)
    case '@scheme':
      return scheme ?? { problem: 'the scheme is not known, so `@scheme` cannot be derived' }
    case '@path':
    case '@query':
    case '@request-target':
    case '@target-uri':
      // Absolute and other forms of the target name a second authority, and `#` is read differently by routers.
      if (target.startsWith('/') && !target.includes('#')) break
      return { problem: 'the request target is not a path with an optional query' }
    default:
      return {
        problem: componentProblem({ name, parameters: [] }) ?? `component ${quote(name)} is not supported`,
      }
  }
  if (name === '@request-target') return target
  if (name === '@target-uri') {
    const authority = authorityOf(message)
    if (scheme === undefined) {
      return { problem: 'the scheme is not known, so `@target-uri` cannot be derived' }
    }
    return typeof authority === 'string' ? `${scheme}://${authority}${target}` : authority
  }
  const mark = target.indexOf('?')
  if (name === '@path') return mark === -1 ? target : target.slice(0, mark)
  // RFC 9421 2.2.7: no query and an empty query are the same, a lone question mark.
  return mark === -1 ? '?' : target.slice(mark)
}

/** RFC 9421 2.2.3: in lower case, without the default port. */
function authorityOf({ authority, scheme }: MessageParts): string | BaseProblem {
  const host = authority?.toLowerCase()
  if (host === undefined || !AUTHORITY.test(host)) return { problem: 'there is no single readable Host' }
  if (host.endsWith(':')) return host.slice(0, -1)
  if (scheme !== 'https' && host.endsWith(':80')) return host.slice(0, -3)
  if (scheme !== 'http' && host.endsWith(':443')) return host.slice(0, -4)
  return host
}

/** Every line of a header that is covered, or why it cannot be. */
function fieldLines(message: MessageParts, name: string): readonly string[] | BaseProblem {
  if (!FIELD_NAME.test(name)) return { problem: `component ${quote(name)} is not a lower-case header name` }
  const lines = message.header(name)
  if (lines.length === 0) return { problem: `header \`${name}\` is covered but was not sent` }
  if (lines.length > 1 && SINGLE_LINE.has(name))
    return { problem: `header \`${name}\` was sent more than once` }
  return lines
}

/** RFC 9421 2.1: the lines without outer white space, joined by a comma and a space. */
function joined(lines: readonly string[]): string {
  return lines.length === 1 ? trim(lines[0] as string) : lines.map(trim).join(', ')
}

// Not String.trim: HTTP white space is space and tab only.
function trim(line: string): string {
  let start = 0
  let end = line.length
  while (start < end && isWhiteSpace(line.charCodeAt(start))) start++
  while (end > start && isWhiteSpace(line.charCodeAt(end - 1))) end--
  return line.slice(start, end)
}

function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x09
}
