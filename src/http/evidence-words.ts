import type { Refusal } from '../decision.ts'
import { printable } from './printable.ts'

/** A member of the evidence as a clause; `undefined` if the line says it already. */
type Words = (value: string, refusal: Refusal) => string | undefined

const UNTOLD: Words = () => undefined

const WORDS: Readonly<Record<string, Words>> = {
  // Internal labels, and members that the line states in other words.
  case: UNTOLD,
  origin: UNTOLD,
  reason: UNTOLD,
  parameter: UNTOLD,
  cause: UNTOLD,
  evidence: (value) =>
    value === 'preflight'
      ? 'the request is a CORS preflight'
      : `the request has the header \`${value === 'origin' ? 'Origin' : value}\``,
  source: (value, { guard }) => SOURCES[guard]?.(value),
  entry: (value) => (value === 'a single address' ? `the entry is ${value}` : `the entry is \`${value}\``),
  list: (value) => `the list is \`${value}\``,
  // If only the digest is named, the signature is valid: the content differs, and the line says so.
  components: (value, { evidence }) =>
    Object.hasOwn(evidence, 'mistake') || value === 'content-digest'
      ? undefined
      : `the request was signed with another ${value.replaceAll(/[^, ]+/g, '`$&`')}`,
  mistake: (value) => value,
  keyId: (value) => `the key is \`${value}\``,
  keyNotAfter: (value) => `the key is valid until ${value}`,
  here: (value) => `this location is \`${value}\``,
  jurisdiction: (value) => `the jurisdiction is \`${value}\``,
}

/** Where a guard found the value that it judged. */
const SOURCES: Partial<Record<Refusal['guard'], (source: string) => string>> = {
  ipWhitelist(source) {
    if (source === 'socket') return 'the address was read from the socket'
    if (source === 'clientAddress') return 'the `clientAddress` option returned the address'
    return `the address was read from ${source.includes('.') ? '' : 'the header '}\`${source}\``
  },
  regionPin: (source) =>
    source === 'fallback'
      ? 'it is the fallback of the policy'
      : `it comes from the ${source === 'id' ? 'id of the person' : '`country` option'}`,
}

/** The evidence of a refusal as clauses, ready for printing. */
export function sayEvidence(refusal: Refusal): string[] {
  return Object.entries(refusal.evidence).flatMap(([name, value]) => {
    const words = Object.hasOwn(WORDS, name) ? WORDS[name] : undefined
    const clause = words === undefined ? `\`${name}\` is \`${String(value)}\`` : words(String(value), refusal)
    return clause === undefined ? [] : [printable(clause, 240)]
  })
}
