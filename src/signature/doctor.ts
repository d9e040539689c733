import { ALGORITHMS } from './algorithms.ts'
import { baseText } from './base.ts'
import { digestProblem } from './digest.ts'
import { readSignatures } from './fields.ts'
import { MOST_TRIED_CHARACTERS } from './budget.ts'
import { decoysFor, findKey, type VerifierKey } from './keys.ts'
import { keptReading, type KeptReading } from './kept-reading.ts'
import { mistakesWith } from './mistakes.ts'
import { structuredFields } from './structured.ts'
import { choose, type SignedMessage } from './verify.ts'

/** The reason why a signature is not valid. */
export interface Diagnosis {
  /** The signature base that the verifier built. `undefined` if the message does not allow one. */
  readonly base: string | undefined
  /** The components that differ for the signer, if this can be determined. Only names, no values. */
  readonly components: readonly string[]
  /** What the signer did wrong, as a phrase that quotes nothing of the message. */
  readonly mistake: string | undefined
  /** The value with which the signature would be valid. */
  readonly signedValue: string | undefined
}

/** How to search for the mistake. */
export interface DiagnosisOptions {
  /** The base that the signer claims to have signed. */
  readonly signedBase: string | undefined
  /** Whether the search may take long. A few dozen trials with Ed25519 take milliseconds. */
  readonly thorough: boolean
}

/**
 * Searches for the one mistake of a signer whose signature is not valid. If the signer sent its base, compares the bases.
 * Otherwise tries likely mistakes, one at a time: a few dozen in total, fewer for a long base. Without a key, uses a decoy,
 * so that the time reveals nothing about keys.
 */
export function diagnose(
  message: SignedMessage,
  keys: readonly VerifierKey[],
  tag: string | undefined,
  { signedBase, thorough }: DiagnosisOptions,
): Diagnosis {
  const reading = keptReading(message) ?? readAgain(message, keys, tag)
  if (reading === undefined) return NOTHING
  const { received, base } = reading
  const { keyId, content } = received
  if ('problem' in content) return NOTHING
  const { signature, signatureLength } = content
  const key = keyId === undefined ? undefined : findKey(keys, keyId)
  const trial = key?.signatureLength === signatureLength ? key : decoysFor(signatureLength)[0]
  if (trial === undefined) return { ...NOTHING, base }
  if (trial.holds(base, signature)) return { ...NOTHING, base, ...digestMistake(message) }
  const told = signedBase === undefined ? [] : differences(base, signedBase)
  if (told.length > 0) return { ...NOTHING, base, components: told }
  if (ALGORITHMS[trial.algorithm].isSlow && !thorough) return { ...NOTHING, base }
  return { ...NOTHING, base, ...tryMistakes(message, base, trial, signature) }
}

/** For a message that the verifier has refused before it built a base, or has never seen. */
function readAgain(
  message: SignedMessage,
  keys: readonly VerifierKey[],
  tag: string | undefined,
): KeptReading | undefined {
  const all = readSignatures(message.header('signature-input'), message.header('signature'))
  if ('problem' in all) return undefined
  const { received } = choose(all, keys, tag)
  const { content } = received
  if ('problem' in content) return undefined
  const base = baseText(message, content.components, content.input, structuredFields, content.outline)
  return typeof base === 'string' ? { received, base } : undefined
}

/** Other contents that the digest may belong to. */
function digestMistake(message: SignedMessage): Partial<Diagnosis> {
  const lines = message.header('content-digest')
  if (message.body.kind !== 'bytes' || digestProblem(lines, message.body) === undefined) return {}
  const text = Buffer.from(message.body.bytes).toString()
  for (const [what, other] of OTHER_CONTENTS) {
    const bytes = Buffer.from(other(text))
    if (digestProblem(lines, { kind: 'bytes', bytes }) === undefined)
      return { components: ['content-digest'], mistake: `the digest is of ${what}` }
  }
  return { components: ['content-digest'] }
}

const OTHER_CONTENTS: readonly (readonly [what: string, make: (text: string) => string])[] = [
  ['no content', () => ''],
  ['the content without trailing white space', (text) => text.trimEnd()],
  ['the content with a trailing line feed', (text) => `${text}\n`],
  ['the JSON without white space', (text) => jsonOf(text, 0)],
  ['the JSON with white space', (text) => jsonOf(text, 2)],
  ['the JSON as a JSON string', (text) => JSON.stringify(text)],
]

function jsonOf(text: string, indentation: number): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, indentation)
  } catch {
    return text
  }
}

const NOTHING: Diagnosis = { base: undefined, components: [], mistake: undefined, signedValue: undefined }

// A component can be covered many times, each time with other parameters.
const MOST_TRIALS = 80

function tryMistakes(
  message: SignedMessage,
  base: string,
  key: VerifierKey,
  signature: string,
): Partial<Diagnosis> {
  // The base itself and three changes of the whole base come before the mistakes in its lines.
  let characters = 4 * base.length
  if (characters > MOST_TRIED_CHARACTERS) return {}
  if (key.holds(`${base}\n`, signature)) return { mistake: 'the base was signed with a trailing line feed' }
  if (key.holds(base.replaceAll('\n', '\r\n'), signature))
    return { mistake: 'the base was signed with CR LF between its lines' }
  if (key.takenForText().holds(base, signature))
    return { mistake: 'the base64 text of the secret was used as the secret, without decoding it' }
  let trials = 0
  for (const { identifier, value, start } of linesOf(base)) {
    for (const mistake of mistakesWith(nameOf(identifier), value, message)) {
      const changed = base.slice(0, start) + mistake.value + base.slice(start + value.length)
      characters += changed.length
      if (++trials > MOST_TRIALS || characters > MOST_TRIED_CHARACTERS) return {}
      if (!key.holds(latin1(changed), signature)) continue
      const component = nameOf(identifier)
      return {
        components: [component],
        mistake: `\`${component}\` was signed ${mistake.what}`,
        signedValue: mistake.value,
      }
    }
  }
  return {}
}

// Signers use UTF-8, but the key reads each character as one byte.
function latin1(text: string): string {
  return Buffer.from(text).toString('latin1')
}

interface Line {
  /** As in the base: `"x";sf`. */
  readonly identifier: string
  readonly value: string
  /** The index of the value in the base. */
  readonly start: number
}

function linesOf(base: string): readonly Line[] {
  const lines: Line[] = []
  let at = 0
  for (const text of base.split('\n')) {
    const identifier = /^"(?:[^"\\]|\\.)*"(?:;[^=;:]+(?:="(?:[^"\\]|\\.)*")?)*/.exec(text)?.[0] ?? ''
    const start = identifier.length + 2
    lines.push({ identifier, value: text.slice(start), start: at + start })
    at += text.length + 1
  }
  return lines
}

function nameOf(identifier: string): string {
  return /^"([^"]*)"$/.exec(identifier)?.[1] ?? identifier
}

/** The components whose lines differ, or are in only one of the two bases. */
function differences(ours: string, theirs: string): readonly string[] {
  const differing = new Set<string>()
  const [left, right] = [ours, theirs].map(
    (base) => new Map(linesOf(base).map((line) => [line.identifier, line.value])),
  )
  for (const identifier of new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])])) {
    if (left?.get(identifier) !== right?.get(identifier)) differing.add(nameOf(identifier))
  }
  // If only the order of the lines differs, the lists of components differ.
  if (differing.size === 0 && ours !== theirs) differing.add('@signature-params')
  return [...differing]
}
