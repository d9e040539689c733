import { LABEL } from './base.ts'

/** One signature as its two headers say it, when both are written plainly. */
export interface ScannedSignature {
  readonly label: string
  readonly components: readonly string[]
  readonly parameters: readonly (readonly [name: string, value: string | number])[]
  readonly bytes: Uint8Array
}

const LIST = /^\((?:"[a-z0-9@_.-]+"(?: "[a-z0-9@_.-]+")*)?\)$/
const TEXT = /^[ !#-[\]-~]*$/
const INTEGER = /^[0-9]{1,15}$/
const MAC = /^:[A-Za-z0-9+/]{43}=:$/
const PAIR = /^:[A-Za-z0-9+/]{86}==:$/
const NAMES: ReadonlySet<string> = new Set(['created', 'expires', 'nonce', 'alg', 'keyid', 'tag'])

/**
 * Reads the only signature of a message from its two headers if they are written as nearly all signers write them, which
 * takes a tenth of the time of a parser of structured fields. Answers `undefined` for all else, right or wrong; where it
 * answers, the parser finds the same.
 */
export function scanSignature(input: string, signature: string): ScannedSignature | undefined {
  const start = input.indexOf('=')
  const label = input.slice(0, start)
  if (start < 1 || !LABEL.test(label) || !signature.startsWith(`${label}=:`)) return undefined
  const encoded = signature.slice(start + 1)
  if (!MAC.test(encoded) && !PAIR.test(encoded)) return undefined
  const end = input.indexOf(')', start)
  const list = input.slice(start + 1, end + 1)
  if (!LIST.test(list)) return undefined
  const parameters = scanParameters(input, end + 1)
  if (parameters === undefined) return undefined
  return {
    label,
    components: list === '()' ? [] : list.slice(2, -2).split('" "'),
    parameters,
    bytes: Buffer.from(encoded.slice(1, -1), 'base64'),
  }
}

function scanParameters(text: string, from: number): ScannedSignature['parameters'] | undefined {
  const parameters: [string, string | number][] = []
  let at = from
  while (at < text.length) {
    const equals = text.indexOf('=', at)
    const name = text.slice(at + 1, equals)
    if (text[at] !== ';' || !NAMES.has(name) || parameters.some(([other]) => other === name)) return undefined
    if (text[equals + 1] === '"') {
      at = text.indexOf('"', equals + 2) + 1
      const value = text.slice(equals + 2, at - 1)
      if (at === 0 || !TEXT.test(value)) return undefined
      parameters.push([name, value])
    } else {
      const next = text.indexOf(';', equals)
      at = next === -1 ? text.length : next
      const value = text.slice(equals + 1, at)
      if (!INTEGER.test(value)) return undefined
      parameters.push([name, Number(value)])
    }
  }
  return parameters
}
