import { isKeyId } from '../names.ts'
import { isArrayBuffer } from 'node:util/types'
import type { InnerList, Item } from 'structured-headers'
import { isWholeSecond, outlineOf, NONCE, signatureInput } from './base.ts'
import { MOST_CHARACTERS, MOST_COMPONENTS, MOST_LABELS, MOST_PARAMETERS } from './budget.ts'
import { componentProblem, type Component } from './components.ts'
import { coverageOf } from './coverage.ts'
import type { ReadSignature } from './read-signature.ts'
import { scanSignature } from './scan.ts'
import { isInnerList, readDictionary, scanDictionary, type WrittenDictionary } from './structured.ts'

/** One labelled signature, from both headers. */
export interface ReceivedSignature {
  readonly label: string
  /** Its `keyid`, if that is a string that is a valid key id. */
  readonly keyId: string | undefined
  readonly tag: string | undefined
  /** The signature, or why it cannot be read. A signature by someone else, such as a proxy, may be unreadable. */
  readonly content: ReadSignature | FieldProblem
}

/** Why a field cannot be read, as a phrase for operators. It quotes only names. */
export interface FieldProblem {
  readonly problem: string
}

/**
 * Reads the signatures of a message from the lines of its `Signature-Input` and `Signature` headers (RFC 9421, section 4).
 * Strict: a header that cannot be parsed, or that repeats a label, a component parameter or a parameter, is refused as a
 * whole. A header that exceeds the budget is refused before it is parsed.
 */
export function readSignatures(
  inputLines: readonly string[],
  signatureLines: readonly string[],
): readonly ReceivedSignature[] | FieldProblem {
  const single = inputLines.length === 1 && signatureLines.length === 1
  const input = inputLines[0] ?? ''
  const signature = signatureLines[0] ?? ''
  const characters = single
    ? input.length + signature.length
    : charactersOf(inputLines) + charactersOf(signatureLines)
  if (characters > MOST_CHARACTERS) {
    return { problem: `Signature-Input and Signature are longer than ${MOST_CHARACTERS} characters in total` }
  }
  if (single) {
    const scanned = scanSignature(input, signature)
    if (scanned !== undefined) {
      const { label, keyId, tag } = scanned
      return [{ label, keyId, tag, content: scanned }]
    }
  }
  return parseSignatures(inputLines, signatureLines)
}

/** Like {@link readSignatures}, but only with the parser of structured fields. */
export function parseSignatures(
  inputLines: readonly string[],
  signatureLines: readonly string[],
): readonly ReceivedSignature[] | FieldProblem {
  if (inputLines.length === 0) return { problem: 'Signature-Input was not sent' }
  if (signatureLines.length === 0) return { problem: 'Signature was not sent' }
  const writtenInputs = scanDictionary(inputLines.join(', '))
  const writtenSignatures = scanDictionary(signatureLines.join(', '))
  const excess = excessOf(writtenInputs) ?? excessOf(writtenSignatures)
  if (excess !== undefined) return { problem: excess }
  const inputs = readDictionary(inputLines)
  if (inputs === undefined) return { problem: 'Signature-Input is not a dictionary, or repeats a key' }
  const signatures = readDictionary(signatureLines)
  if (signatures === undefined) return { problem: 'Signature is not a dictionary, or repeats a key' }
  if (inputs.size === 0) return { problem: 'Signature-Input is empty' }
  if (inputs.size !== signatures.size)
    return { problem: 'Signature and Signature-Input name different labels' }

  const labels = [...signatures.keys()]
  const received: ReceivedSignature[] = []
  for (const [label, input] of inputs) {
    const signature = signatures.get(label)
    if (signature === undefined) return { problem: 'Signature and Signature-Input name different labels' }
    if (!isInnerList(input)) return { problem: `Signature-Input \`${label}\` is not a list of components` }
    if (isInnerList(signature)) return { problem: `Signature \`${label}\` is not a byte sequence` }
    const keyid = input[1].get('keyid') as unknown
    const tag = input[1].get('tag') as unknown
    const read = readSignature(label, input, signature)
    const content =
      'problem' in read
        ? read
        : (spellingProblem(label, read, {
            input: writtenInputs.members[received.length],
            signature: writtenSignatures.members[labels.indexOf(label)],
          }) ?? read)
    received.push({
      label,
      keyId: isKeyId(keyid) ? keyid : undefined,
      tag: typeof tag === 'string' ? tag : undefined,
      content,
    })
  }
  return received
}

function excessOf({ members, parameters }: WrittenDictionary): string | undefined {
  if (members.length > MOST_LABELS) return `there are more than ${MOST_LABELS} signatures`
  return parameters > MOST_PARAMETERS ? `there are more than ${MOST_PARAMETERS} parameters` : undefined
}

/**
 * Why a signature is not in the canonical form of RFC 9651 4.1. A signature covers values and not their spelling, so
 * `1700000000.0`, `01700000000` or base64 without padding could replace them in transit.
 */
function spellingProblem(
  label: string,
  { input, signature }: ReadSignature,
  written: { readonly input: string | undefined; readonly signature: string | undefined },
): FieldProblem | undefined {
  if (written.input !== scanDictionary(`${label}=${input}`).members[0])
    return {
      problem: `Signature-Input \`${label}\` has a value that is not in the canonical form of RFC 9651`,
    }
  if (written.signature !== `${label}=:${signature}:`)
    return { problem: `Signature \`${label}\` is not base64 in the canonical form of RFC 9651` }
  return undefined
}

/** Reads one signature strictly. Anything unknown is refused by name, because it may have been meant as a restriction. */
function readSignature(
  label: string,
  [items, given]: InnerList,
  [value, extensions]: Item,
): ReadSignature | FieldProblem {
  if (!isArrayBuffer(value)) return { problem: `Signature \`${label}\` is not a byte sequence` }
  if (extensions.size > 0) return { problem: `Signature \`${label}\` has parameters` }
  if (items.length > MOST_COMPONENTS) {
    return { problem: `signature \`${label}\` covers more than ${MOST_COMPONENTS} components` }
  }
  const components: (string | Component)[] = []
  for (const item of items) {
    const component = componentOf(label, item)
    if (typeof component === 'object' && 'problem' in component) return component
    components.push(component)
  }
  const parameters: [string, string | number][] = []
  for (const [name, parameter] of given as ReadonlyMap<string, unknown>) {
    const problem = parameterProblem(name, parameter)
    if (problem !== undefined) return { problem }
    parameters.push([name, parameter as string | number])
  }
  const { created, expires, keyid: keyId, nonce, alg } = Object.fromEntries(parameters)
  if (typeof created !== 'number') return { problem: 'parameter `created` is missing' }
  if (typeof expires === 'number' && expires < created) return { problem: '`expires` is before `created`' }
  if (!isKeyId(keyId)) {
    return { problem: 'parameter `keyid` is missing or cannot be the id of a key' }
  }
  if (typeof nonce !== 'string' || !NONCE.test(nonce)) {
    return { problem: 'parameter `nonce` must be 16 to 128 characters of A-Z a-z 0-9 + / = . _ ~ : -' }
  }
  return {
    components,
    outline: outlineOf(components),
    coverage: coverageOf(components),
    input: signatureInput(components, parameters),
    keyId,
    nonce,
    created,
    expires: typeof expires === 'number' ? expires : undefined,
    algorithm: typeof alg === 'string' ? alg : undefined,
    signature: Buffer.from(value).toString('base64'),
    signatureLength: value.byteLength,
  }
}

function parameterProblem(name: string, value: unknown): string | undefined {
  if (name === 'created' || name === 'expires') {
    return isWholeSecond(value) ? undefined : `parameter \`${name}\` must be whole seconds since the epoch`
  }
  if (!TEXT_PARAMETERS.has(name)) return `parameter \`${name}\` is not supported`
  return typeof value === 'string' ? undefined : `parameter \`${name}\` must be a string`
}

const TEXT_PARAMETERS: ReadonlySet<string> = new Set(['nonce', 'alg', 'keyid', 'tag'])

function componentOf(label: string, [name, given]: Item): string | Component | FieldProblem {
  if (typeof name !== 'string') return { problem: `a component of \`${label}\` is not a string` }
  if (given.size === 0) return name
  const component = { name, parameters: [...given] } as Component
  const problem = componentProblem(component)
  return problem === undefined ? component : { problem }
}

function charactersOf(lines: readonly string[]): number {
  let characters = 0
  for (const line of lines) characters += line.length
  return characters
}
