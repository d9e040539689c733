// Shared by the verifier and `portcullis/client`, so it must use only the language itself.
import {
  componentProblem,
  identifierOf,
  identityOf,
  parameterOf,
  quote,
  type Component,
  type StructuredField,
  type StructuredFields,
} from './components.ts'
import { MOST_STRUCTURED_CHARACTERS } from './budget.ts'
import { derivedValue, Target, type BaseProblem, type MessageParts } from './derived.ts'

export type { BaseProblem, MessageParts }

/** The parameters of a signature, in order: `created` and `expires` are integers, the others strings. */
export type SignatureParameters = readonly (readonly [name: string, value: string | number])[]

/** The text that is signed, and the `Signature-Input` member that describes it. */
export interface SignatureBase {
  readonly text: string
  /** The inner list of components with its parameters, serialised by RFC 9651. */
  readonly input: string
}

/** The accepted nonces: 16 to 128 characters, for example of base64, base64url or a UUID. */
export const NONCE: RegExp = /^[A-Za-z0-9+/=._~:-]{16,128}$/

/** A key of an RFC 9651 dictionary, which is the label of a signature. */
export const LABEL: RegExp = /^[a-z*][a-z0-9_.*-]{0,63}$/

/** A secret that is shorter than the output of SHA-256 would be the weakest part of the scheme (RFC 2104, section 3). */
export const LEAST_SECRET_BYTES = 32

/** Whether a value is a time in whole seconds, up to the year 9999, so that arithmetic with it is exact. */
export function isWholeSecond(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 253_402_300_799
}

const FIELD_NAME = /^[a-z0-9!#$%&'*+.^_`|~-]+$/

// Any other character could start a new line of the base, or be decoded as other bytes by the other side.
const NOT_PRINTABLE = /[^\t -~]/

/**
 * Fields that HTTP allows only once. Frameworks keep the first or the last of several lines, so the handler might not see
 * what was signed.
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

const TOO_LONG: BaseProblem = {
  problem: `the headers covered with \`;sf\` and \`;key\` are longer than ${MOST_STRUCTURED_CHARACTERS} characters in total`,
}

/** Builds the signature base of RFC 9421 2.5 from these components, in this order. See {@link baseText}. */
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

/** The parts of a signature base that depend only on its list of components. */
export interface Outline {
  /**
   * The start of each component's line, then of the parameters' line. Each includes the line feed that ends the previous
   * line.
   */
  readonly starts: readonly string[]
  /** The number of leading components that usually do not vary between requests: `@method`, `@authority`, `@scheme`. */
  readonly headLength: number
  /** The lines of these components in the last request. */
  head: Head | undefined
}

interface Head extends Pick<MessageParts, 'method' | 'authority' | 'scheme'> {
  readonly text: string
}

/** The outline of a base over these components, or why it is impossible. */
export function outlineOf(components: readonly (string | Component)[]): Outline | BaseProblem {
  const starts: string[] = []
  const identities = new Set<string>()
  let end = ''
  for (const component of components) {
    const plain = typeof component === 'string'
    const name = plain ? component : component.name
    const identity = plain ? identified(component) : identityOf(component)
    if (identities.has(identity)) return { problem: `component ${identified(component)} is repeated` }
    identities.add(identity)
    if (!isDerived(name) && !FIELD_NAME.test(name))
      return { problem: `component ${quote(name)} is not a lower-case header name` }
    starts.push(`${end}${identified(component)}: `)
    end = '\n'
  }
  starts.push(`${end}"@signature-params": `)
  const other = components.findIndex((component) => !OF_HEAD.has(component))
  return { starts, headLength: other === -1 ? components.length : other, head: undefined }
}

const OF_HEAD: ReadonlySet<unknown> = new Set(['@method', '@authority', '@scheme'])

/**
 * Builds the text of a signature base from its components and their serialisation. A string is a component without
 * parameters. Without a reader of structured fields, `;sf` and `;key` are refused.
 */
export function baseText(
  message: MessageParts,
  components: readonly (string | Component)[],
  input: string,
  structured: StructuredFields | undefined,
  outline: Outline | BaseProblem = outlineOf(components),
): string | BaseProblem {
  if ('problem' in outline) return outline
  const target = new Target(message.target)
  const head = headText(message, target, components, outline)
  if (typeof head !== 'string') return head
  const { starts, headLength } = outline
  let text = head
  let fields: FieldReader | undefined
  for (let index = headLength; index < components.length; index++) {
    const component = components[index] as string | Component
    const plain = typeof component === 'string'
    const value = plain
      ? componentValue(message, target, component)
      : parameterisedValue(message, target, component, (fields ??= new FieldReader(structured)))
    if (typeof value !== 'string') return value
    // A derived component is printable by definition.
    if (!(plain && isDerived(component)) && NOT_PRINTABLE.test(value))
      return { problem: `component ${identified(component)} is not printable ASCII` }
    text += (starts[index] as string) + value
  }
  return text + (starts[components.length] as string) + input
}

// Bounds the memory of a cached head, because anyone can send one.
const MOST_HEAD_CHARACTERS = 1024

/** The lines of the leading components. A server is called with few methods and host names, so the last text is reused. */
function headText(
  message: MessageParts,
  target: Target,
  components: readonly (string | Component)[],
  outline: Outline,
): string | BaseProblem {
  const { method, authority, scheme } = message
  const { head, starts, headLength } = outline
  if (head !== undefined && head.method === method && head.authority === authority && head.scheme === scheme)
    return head.text
  let text = ''
  for (let index = 0; index < headLength; index++) {
    const value = componentValue(message, target, components[index] as string)
    if (typeof value !== 'string') return value
    text += (starts[index] as string) + value
  }
  const characters = text.length + method.length + (authority?.length ?? 0)
  if (characters <= MOST_HEAD_CHARACTERS) outline.head = { method, authority, scheme, text }
  return text
}

function identified(component: string | Component): string {
  return typeof component === 'string' ? `"${component}"` : identifierOf(component)
}

function isDerived(name: string): boolean {
  return name.charCodeAt(0) === AT
}

const AT = 0x40

/** The value of a component without parameters, or why it has none. */
function componentValue(message: MessageParts, target: Target, name: string): string | BaseProblem {
  if (isDerived(name)) return derivedValue(message, target, name)
  const lines = fieldLines(message, name)
  return Array.isArray(lines) ? joined(lines) : (lines as BaseProblem)
}

/** The value of a component with parameters (RFC 9421 2.1.1 to 2.1.3 and 2.2.8), or why it has none. */
function parameterisedValue(
  message: MessageParts,
  target: Target,
  component: Component,
  fields: FieldReader,
): string | BaseProblem {
  const problem = componentProblem(component)
  if (problem !== undefined) return { problem }
  const { name } = component
  if (component.parameters.length === 0) return componentValue(message, target, name)
  if (name === '@query-param') {
    const query = derivedValue(message, target, '@query')
    return typeof query === 'string' ? target.parameter(String(parameterOf(component, 'name'))) : query
  }
  if (parameterOf(component, 'bs') !== undefined) {
    const lines = fieldLines(message, name)
    return Array.isArray(lines) ? byteSequences(name, lines) : (lines as BaseProblem)
  }
  return fields.value(message, component)
}

/** Parses each header with `;sf` or `;key` once per message, regardless of how many components use it. */
class FieldReader {
  readonly #structured: StructuredFields | undefined
  readonly #fields = new Map<string, StructuredField | BaseProblem>()
  #characters = 0

  constructor(structured: StructuredFields | undefined) {
    this.#structured = structured
  }

  value(message: MessageParts, component: Component): string | BaseProblem {
    const { name } = component
    if (this.#structured === undefined)
      return { problem: `${identifierOf(component)} needs a reader of structured fields` }
    let field = this.#fields.get(name)
    if (field === undefined) {
      field = this.#read(message, name, this.#structured)
      this.#fields.set(name, field)
    }
    if ('problem' in field) return field
    const key = parameterOf(component, 'key')
    const value = typeof key === 'string' ? field.member(key) : field.canonical()
    return value ?? { problem: `header \`${name}\` has no value for ${identifierOf(component)}` }
  }

  #read(message: MessageParts, name: string, structured: StructuredFields): StructuredField | BaseProblem {
    const lines = fieldLines(message, name)
    if (!Array.isArray(lines)) return lines as BaseProblem
    const text = joined(lines)
    this.#characters += text.length
    return this.#characters > MOST_STRUCTURED_CHARACTERS ? TOO_LONG : structured.read(text)
  }
}

/** RFC 9421 2.1.3: each line is a byte sequence. */
function byteSequences(name: string, lines: readonly string[]): string | BaseProblem {
  try {
    return lines.map((line) => `:${btoa(trim(line))}:`).join(', ')
  } catch {
    return { problem: `header \`${name}\` is not a byte sequence` }
  }
}

/** Every line of a covered header, or why it cannot be covered. */
function fieldLines(message: MessageParts, name: string): readonly string[] | BaseProblem {
  const lines = message.header(name)
  if (lines.length === 0) return { problem: `header \`${name}\` is covered but was not sent` }
  if (lines.length > 1 && SINGLE_LINE.has(name))
    return { problem: `header \`${name}\` was sent more than once` }
  return lines
}

/** RFC 9421 2.1: the lines without surrounding white space, joined by a comma and a space. */
function joined(lines: readonly string[]): string {
  return lines.length === 1 ? trim(lines[0] as string) : lines.map(trim).join(', ')
}

// Not `String.trim`, because HTTP white space is only space and tab. Not a regular expression, because it would try every
// space inside the line.
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
