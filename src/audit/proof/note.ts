import { createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto'
import { UnreadableError } from '../../errors.ts'

/**
 * Signed notes in the format C2SP `signed-note`, with Ed25519 keys: a text, an empty line, and a line for each signature. Any
 * program that knows the format can check and cosign them.
 */

/** The name of a key. Names that would break a signature line are refused. */
const NAME = /^[^\s+]+$/u
const SIGNATURE = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/
const ED25519 = 1
const KEY_BYTES = 32

/** A key that signs or verifies notes. */
export interface NoteKey {
  readonly name: string
  readonly key: KeyObject
}

/** Whether a name is allowed in a note. */
export function isNoteName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name) && name.length <= 200
}

/** The bytes of an Ed25519 public key. */
function publicBytes(key: KeyObject): Buffer {
  const open = key.type === 'private' ? createPublicKey(key) : key
  const { x = '' } = open.export({ format: 'jwk' })
  return Buffer.from(x, 'base64url')
}

/** The first four bytes of SHA-256 of name, line feed, kind and key. They distinguish keys with the same name. */
function keyHash(name: string, key: Buffer): Buffer {
  return hash(
    'sha256',
    Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([ED25519]), key]),
    'buffer',
  ).subarray(0, 4)
}

/** The key as one line, `name+hash+key`, for verifiers: the verifier key of C2SP `signed-note`. */
export function verifierKey({ name, key }: NoteKey): string {
  const bytes = publicBytes(key)
  const encoded = Buffer.concat([Buffer.from([ED25519]), bytes]).toString('base64')
  return `${name}+${keyHash(name, bytes).toString('hex')}+${encoded}`
}

/** The key in a line that {@link verifierKey} wrote; `undefined` if it is not such a line. */
export function parseVerifierKey(line: string): NoteKey | undefined {
  const [, name = '', id = '', encoded = ''] =
    /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
  const bytes = Buffer.from(encoded, 'base64')
  if (!isNoteName(name) || bytes.length !== 1 + KEY_BYTES || bytes[0] !== ED25519) return undefined
  const key = bytes.subarray(1)
  if (keyHash(name, key).toString('hex') !== id || bytes.toString('base64') !== encoded) return undefined
  return {
    name,
    key: createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: key.toString('base64url') },
      format: 'jwk',
    }),
  }
}

/** Signs a text, which must end with a line feed. */
export function signNote(text: string, { name, key }: NoteKey): string {
  const signature = Buffer.concat([keyHash(name, publicBytes(key)), sign(null, Buffer.from(text), key)])
  return `${text}\n— ${name} ${signature.toString('base64')}\n`
}

/** A note after reading. */
export interface ReadNote {
  readonly text: string
  /** Whether one of the keys has signed it. */
  readonly isSigned: boolean
}

/**
 * Reads a note, and verifies the signatures of known keys. Those of others are ignored, as the format requires.
 *
 * @throws UnreadableError if it is not a note, or a signature with the name of a known key is not valid.
 */
export function readNote(note: string, keys: readonly NoteKey[]): ReadNote {
  const split = note.lastIndexOf('\n\n')
  const text = note.slice(0, split + 1)
  const lines = note.slice(split + 2).split('\n')
  if (split < 1 || lines.pop() !== '' || lines.length === 0 || lines.length > 100) {
    throw new UnreadableError('this is not a signed note')
  }
  let isSigned = false
  for (const line of lines) {
    const [, name = '', encoded = ''] = SIGNATURE.exec(line) ?? []
    const bytes = Buffer.from(encoded, 'base64')
    // The last character of base64 has unused bits. Only the canonical form is accepted.
    const isWhole = bytes.length >= 5 && bytes.toString('base64') === encoded
    if (name === '' || !isWhole) throw new UnreadableError('a signature of the note is malformed')
    const known = keys.find(
      (each) => each.name === name && keyHash(name, publicBytes(each.key)).equals(bytes.subarray(0, 4)),
    )
    if (known === undefined) continue
    if (!verify(null, Buffer.from(text), known.key, bytes.subarray(4))) {
      throw new UnreadableError(`the signature of \`${name}\` does not match the note`)
    }
    isSigned = true
  }
  return { text, isSigned }
}
