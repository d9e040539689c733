import { isArrayBuffer } from 'node:util/types'
import { parseDictionary, type Dictionary, type InnerList, type Item } from 'structured-headers'
import { KEY_ID, NONCE, type SignatureParameters } from './base.ts'

/** One labelled signature as it stands in the two headers; only its syntax has been looked at. */
export interface ReceivedSignature {
  readonly label: string
  readonly input: InnerList
  readonly signature: Item
  /** Its `keyid`, where that is a text which can be the id of a key. */
  readonly keyId: string | undefined
}

/** A signature of which every part is of the right kind. */
export interface ReadSignature {
  readonly components: readonly string[]
  readonly parameters: SignatureParameters
  readonly keyId: string
  readonly nonce: string
  /** Seconds since the epoch, as `expires`. */
  readonly created: number
  readonly expires: number | undefined
  readonly algorithm: string | undefined
  readonly bytes: Uint8Array
}

/** Why it could not be read, as a phrase for operators. It repeats nothing of what was sent but names. */
export interface FieldProblem {
  readonly problem: string
}

// Checked before any cryptography, so that a stranger cannot buy much work with one request.
const MOST_CHARACTERS = 8192
const MOST_LABELS = 4
const MOST_COMPONENTS = 32

/**
 * The signatures of a message from the lines of its `Signature-Input` and `Signature` headers (RFC 9421 4).
 * Strict: what cannot be parsed, or holds a repeated label, component parameter or parameter, is refused as a whole.
 */
export function readSignatures(
  inputLines: readonly string[],
  signatureLines: readonly string[],
): readonly ReceivedSignature[] | FieldProblem {
  if (charactersOf(inputLines) + charactersOf(signatureLines) > MOST_CHARACTERS) {
    return { problem: `Signature-Input and Signature are longer than ${MOST_CHARACTERS} characters together` }
  }
  const inputs = readDictionary(inputLines)
  if (inputs === undefined) return { problem: 'Signature-Input is not a dictionary without repetitions' }
  const signatures = readDictionary(signatureLines)
  if (signatures === undefined) return { problem: 'Signature is not a dictionary without repetitions' }
  if (inputs.size === 0) return { problem: 'Signature-Input is empty' }
  if (inputs.size > MOST_LABELS) return { problem: `there are more than ${MOST_LABELS} signatures` }
  if (inputs.size !== signatures.size)
    return { problem: 'Signature and Signature-Input name different labels' }

  const received: ReceivedSignature[] = []
  for (const [label, input] of inputs) {
    const signature = signatures.get(label)
    if (signature === undefined) return { problem: 'Signature and Signature-Input name different labels' }
    if (!isInnerList(input)) return { problem: `Signature-Input \`${label}\` is not a list of components` }
    if (isInnerList(signature)) return { problem: `Signature \`${label}\` is not a byte sequence` }
    if (input[0].length > MOST_COMPONENTS) {
      return { problem: `signature \`${label}\` covers more than ${MOST_COMPONENTS} components` }
    }
    const keyId = input[1].get('keyid') as unknown
    received.push({
      label,
      input,
      signature,
      keyId: typeof keyId === 'string' && KEY_ID.test(keyId) ? keyId : undefined,
    })
  }
  return received
}

/** Reads one signature closely. What is not understood is refused by name: it might have been meant as a restriction. */
export function readSignature({
  label,
  input,
  signature,
  keyId,
}: ReceivedSignature): ReadSignature | FieldProblem {
  const [value, extensions] = signature as readonly [unknown, ReadonlyMap<string, unknown>]
  if (!isArrayBuffer(value)) return { problem: `Signature \`${label}\` is not a byte sequence` }
  if (extensions.size > 0) return { problem: `Signature \`${label}\` has parameters` }

  const components: string[] = []
  for (const [name, parameters] of input[0]) {
    if (typeof name !== 'string') return { problem: `a component of \`${label}\` is not a string` }
    const [parameter] = parameters.keys()
    if (parameter !== undefined) return { problem: `component parameter \`;${parameter}\` is not supported` }
    components.push(name)
  }

  const parameters: [string, string | number][] = []
  for (const [name, given] of input[1]) {
    const isTime = name === 'created' || name === 'expires'
    if (!isTime && !TEXT_PARAMETERS.has(name)) return { problem: `parameter \`${name}\` is not supported` }
    if (isTime ? !isWholeSecond(given) : typeof given !== 'string') {
      return {
        problem: `parameter \`${name}\` must be ${isTime ? 'whole seconds since the epoch' : 'a string'}`,
      }
    }
    parameters.push([name, given as string | number])
  }
  const { created, expires, nonce, alg } = Object.fromEntries(parameters)
  if (typeof created !== 'number') return { problem: 'parameter `created` is missing' }
  if (typeof expires === 'number' && expires < created) return { problem: '`expires` is before `created`' }
  if (keyId === undefined) return { problem: 'parameter `keyid` is missing or cannot be the id of a key' }
  if (typeof nonce !== 'string' || !NONCE.test(nonce)) {
    return { problem: 'parameter `nonce` must be 16 to 128 characters of A-Z a-z 0-9 + / = . _ ~ : -' }
  }
  return {
    components,
    parameters,
    keyId,
    nonce,
    created,
    expires: typeof expires === 'number' ? expires : undefined,
    algorithm: typeof alg === 'string' ? alg : undefined,
    bytes: new Uint8Array(value),
  }
}

const TEXT_PARAMETERS: ReadonlySet<string> = new Set(['nonce', 'alg', 'keyid', 'tag'])

// Up to the year 9999, so that arithmetic on it stays exact.
function isWholeSecond(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 253_402_300_799
}

/**
 * The dictionary of RFC 9651 in the lines of one header, or `undefined` when there is none in it.
 * Repeated keys are refused, although RFC 9651 would let the last one win: two readers may disagree about them.
 */
export function readDictionary(lines: readonly string[]): Dictionary | undefined {
  const text = lines.join(', ')
  try {
    const dictionary = parseDictionary(text)
    return hasRepetition(text, dictionary) ? undefined : dictionary
  } catch {
    return undefined
  }
}

// The parser keeps the last of repeated keys and parameters, so then fewer come out than went in. Outside of strings
// a comma only separates members, and a semicolon only begins a parameter. Each string is closed, for it was parsed.
function hasRepetition(text: string, dictionary: Dictionary): boolean {
  const syntax = text.replace(/%"[^"]*"?|"(?:[^"\\]|\\.)*"?/g, '')
  let parameters = 0
  for (const member of dictionary.values()) {
    parameters += member[1].size
    if (isInnerList(member)) for (const [, ofItem] of member[0]) parameters += ofItem.size
  }
  const members = dictionary.size === 0 ? 0 : count(syntax, ',') + 1
  return members !== dictionary.size || count(syntax, ';') !== parameters
}

function count(text: string, character: string): number {
  let found = 0
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) found++
  return found
}

function charactersOf(lines: readonly string[]): number {
  return lines.reduce((sum, line) => sum + line.length, 0)
}

function isInnerList(member: InnerList | Item): member is InnerList {
  return Array.isArray(member[0])
}
