import { createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto'
import { UnreadableError } from '../../errors.ts'

/**
 * Signed notes as C2SP `signed-note` writes them, with Ed25519 keys: a text, an empty line, and a line for each signature. Any
 * program that knows the format can check and cosign them.
 */

/** A name of a key: what cannot be read as a part of a signature line is refused. */
const NAME = /^[^\s+]+$/u
const SIGNATURE = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/
const ED25519 = 1
const KEY_BYTES = 32

/** A key that signs notes, or checks them. */
export interface NoteKey {
  readonly name: string
  readonly key: KeyObject
}

/** Whether a name can stand in a note. */
export function isNoteName(name: unknown): name is string {
  return typeof name === 'string' && NAME.test(name) && name.length <= 200
}

/** The bytes of an Ed25519 public key. */
function publicBytes(key: KeyObject): Buffer {
  const open = key.type === 'private' ? createPublicKey(key) : key
  const { x = '' } = open.export({ format: 'jwk' })
  return Buffer.from(x, 'base64url')
}

/** The first four bytes of SHA-256 of name, line feed, kind and key: what tells keys of one name apart. */
function keyHash(name: string, key: Buffer): Buffer {
  return hash(
    'sha256',
    Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([ED25519]), key]),
    'buffer',
  ).subarray(0, 4)
}

/** The key as one line, `name+hash+key`, for those who check: the verifier key of C2SP `signed-note`. */
export function verifierKey({ name, key }: NoteKey): string {
  const bytes = publicBytes(key)
  const encoded = Buffer.concat([Buffer.from([ED25519]), bytes]).toString('base64')
  return `${name}+${keyHash(name, bytes).toString('hex')}+${encoded}`
}

/** The key of a line that {@link verifierKey} wrote; `undefined` when it is not one. */
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

/** A text, which ends with a line feed, with a signature. */
export function signNote(text: string, { name, key }: NoteKey): string {
  const signature = Buffer.concat([keyHash(name, publicBytes(key)), sign(null, Buffer.from(text), key)])
  return `${text}\n— ${name} ${signature.toString('base64')}\n`
}

/** A note as it was read. */
export interface ReadNote {
  readonly text: string
  /** Whether one of the keys has signed it. */
  readonly isSigned: boolean
}

/**
 * Reads a note, and checks the signatures of keys that are known. Those of others are passed over, as the format asks.
 *
 * @throws UnreadableError when it is not a note, or a known key has not made the signature that bears its name.
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
    // The last character has bits that mean nothing: a note is written in one way.
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
