// Shared by the verifier and by `portcullis/client`: nothing here may need more than the language itself.

/** What a signature can cover of a request. */
export interface MessageParts {
  /** As on the wire; methods are case-sensitive. */
  readonly method: string
  /** The `Host` as received; `undefined` when there was none. */
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

/**
 * The signature base of RFC 9421 2.5 over these components, in this order.
 * Components are names of headers, or of the derived components that do not need a parameter.
 */
export function signatureBase(
  message: MessageParts,
  components: readonly string[],
  parameters: SignatureParameters,
): SignatureBase | BaseProblem {
  let text = ''
  let list = ''
  for (const [index, name] of components.entries()) {
    if (components.indexOf(name) !== index) return { problem: `component ${quote(name)} is repeated` }
    const value = componentValue(message, name)
    if (typeof value !== 'string') return value
    if (!PRINTABLE.test(value)) return { problem: `component ${quote(name)} is not printable ASCII` }
    text += `"${name}": ${value}\n`
    list += `${index === 0 ? '' : ' '}"${name}"`
  }
  let input = `(${list})`
  for (const [name, value] of parameters)
    input += `;${name}=${typeof value === 'number' ? value : quote(value)}`
  return { text: `${text}"@signature-params": ${input}`, input }
}

/** The value of one component, or why it has none. */
function componentValue(message: MessageParts, name: string): string | BaseProblem {
  return name.startsWith('@') ? derivedValue(message, name) : fieldValue(message, name)
}

function derivedValue(message: MessageParts, name: string): string | BaseProblem {
  const { method, scheme, target } = message
  if (name === '@method') return method
  if (name === '@scheme')
    return scheme ?? { problem: 'the scheme is not known, so `@scheme` cannot be derived' }
  if (name === '@authority') return authorityOf(message)
  // Absolute and other forms of the target name a second authority, and `#` is read differently by routers.
  if (!target.startsWith('/') || target.includes('#')) {
    return { problem: 'the request target is not a path with an optional query' }
  }
  const mark = target.indexOf('?')
  switch (name) {
    case '@path':
      return mark === -1 ? target : target.slice(0, mark)
    case '@query':
      // RFC 9421 2.2.7: no query and an empty query are the same, a lone question mark.
      return mark === -1 ? '?' : target.slice(mark)
    case '@request-target':
      return target
    case '@target-uri': {
      if (scheme === undefined) {
        return { problem: 'the scheme is not known, so `@target-uri` cannot be derived' }
      }
      const authority = authorityOf(message)
      return typeof authority === 'string' ? `${scheme}://${authority}${target}` : authority
    }
    default:
      return { problem: `component ${quote(name)} is not supported` }
  }
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

/** RFC 9421 2.1: the lines without outer white space, joined by a comma and a space. */
function fieldValue(message: MessageParts, name: string): string | BaseProblem {
  if (!FIELD_NAME.test(name)) return { problem: `component ${quote(name)} is not a lower-case header name` }
  const lines = message.header(name)
  if (lines.length === 0) return { problem: `header \`${name}\` is covered but was not sent` }
  if (lines.length > 1 && SINGLE_LINE.has(name))
    return { problem: `header \`${name}\` was sent more than once` }
  return lines.map(trim).join(', ')
}

// Not String.trim: HTTP white space is space and tab only. Not an expression: it would try every blank inside of the line.
function trim(line: string): string {
  let [start, end] = [0, line.length]
  while (isBlank(line, start)) start += 1
  while (end > start && isBlank(line, end - 1)) end -= 1
  return line.slice(start, end)
}

function isBlank(line: string, at: number): boolean {
  const character = line.charAt(at)
  return character === ' ' || character === '\t'
}

/** A string of RFC 9651. The caller sees to it that it is printable ASCII. */
function quote(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`
}
