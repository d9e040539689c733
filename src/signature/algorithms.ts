import { createPublicKey, createSecretKey, verify, type KeyObject } from 'node:crypto'
import { LEAST_SECRET_BYTES } from './base.ts'
import { fastHmac } from './fast-hmac.ts'
import { plainHmac } from './hmac.ts'

/** Verifies signatures with one key. */
export interface Checker {
  /**
   * Whether a base64 signature is valid for a text whose characters are bytes (Latin-1). The time is the same for every
   * invalid signature.
   */
  holds(text: string, signature: string): boolean
}

/** Everything that the package needs to know about an algorithm. */
export interface Algorithm {
  /** The length of a signature, in bytes. */
  readonly signatureLength: number
  /** Whether a check is slow. The doctor then tries likely mistakes only if it may be thorough. */
  readonly isSlow: boolean
  /** Returns the key for the `secret` of an app, or what the secret must be instead. */
  readKey(bytes: Buffer): KeyObject | string
  checker(key: KeyObject): Checker
  /**
   * The checker for a signer that uses the base64 text of the secret as the secret. If that cannot happen, the checker of the
   * key.
   */
  checkerOfText(key: KeyObject): Checker
  /** The `secret` of a key that belongs to no app, for equal work. */
  readonly decoy: Buffer
}

/** Every algorithm of a key, by its name in the registry of RFC 9421. */
export const ALGORITHMS = {
  'hmac-sha256': {
    signatureLength: 32,
    isSlow: false,
    readKey: (bytes) =>
      bytes.length >= LEAST_SECRET_BYTES
        ? createSecretKey(bytes)
        : `must be at least ${LEAST_SECRET_BYTES} bytes long`,
    checker: fastHmac,
    checkerOfText: (key) => plainHmac(createSecretKey(Buffer.from(key.export().toString('base64')))),
    decoy: Buffer.alloc(LEAST_SECRET_BYTES),
  },
  ed25519: {
    signatureLength: 64,
    isSlow: true,
    readKey(bytes) {
      if (bytes.length !== 32) return 'must be the 32 raw bytes of an Ed25519 public key'
      if (isOfSmallOrder(bytes)) return 'is a point of small order, for which anyone can sign'
      return createPublicKey({
        key: { kty: 'OKP', crv: 'Ed25519', x: bytes.toString('base64url') },
        format: 'jwk',
      })
    },
    checker: ed25519Checker,
    checkerOfText: ed25519Checker,
    // RFC 8032 7.1, test 1. Any point of full order would do.
    decoy: Buffer.from('11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=', 'base64'),
  },
} as const satisfies Readonly<Record<string, Algorithm>>

export type AlgorithmName = keyof typeof ALGORITHMS

export const ALGORITHM_NAMES = Object.keys(ALGORITHMS) as readonly AlgorithmName[]

export function isAlgorithm(name: unknown): name is AlgorithmName {
  return typeof name === 'string' && Object.hasOwn(ALGORITHMS, name)
}

function ed25519Checker(key: KeyObject): Checker {
  return {
    holds: (text, signature) =>
      verify(null, Buffer.from(text, 'latin1'), key, Buffer.from(signature, 'base64')),
  }
}

// The y coordinates of the eight points of small order, little-endian, including the two unreduced encodings.
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
])

function isOfSmallOrder(publicKey: Buffer): boolean {
  const y = Buffer.from(publicKey)
  y[31] = (y[31] ?? 0) & 0x7f // the highest bit is the sign of x
  return SMALL_ORDER.has(y.toString('hex'))
}
