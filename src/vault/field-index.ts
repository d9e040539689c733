import { UsageError } from '../errors.ts'
import type { Vault } from './vault.ts'

/** How to find a field by its value. */
export type FieldIndex = {
  /**
   * What counts as the same value. `email`: without outer spaces, in any case and width of its letters (NFKC). `exact`: as written,
   * but for the composition of characters (NFC). Default `exact`.
   */
  readonly match?: 'email' | 'exact' | undefined
} & (
  | {
      /** Hardly two people have the same value: an email address, a telephone number. 128 bits are kept. */
      readonly unique: true
      readonly beacon?: undefined
    }
  | {
      readonly unique?: undefined
      /**
       * How many bits are kept, 1-24, where many people have the same value. Choose them so that several values fall together, and
       * open what is found to see which one it is.
       */
      readonly beacon: number
    }
)

const UNIQUE_BYTES = 16
/** To normalise a text can take a time that grows with the square of its length. */
const LONGEST_VALUE = 4_096

/** The values of an index under each key, the active one first. */
export function blindIndex(
  vault: Vault,
  { match = 'exact', beacon }: FieldIndex,
  place: readonly string[],
  value: string,
): readonly string[] {
  if (typeof value !== 'string' || value.length > LONGEST_VALUE)
    throw new UsageError(`an indexed value must be a string of at most ${LONGEST_VALUE} characters`)
  const same = match === 'email' ? value.normalize('NFKC').trim().toLowerCase() : value.normalize('NFC')
  return vault.fingerprints(same, `blind index ${JSON.stringify(place)}`).map((fingerprint) => {
    const dot = fingerprint.lastIndexOf('.')
    const [id, mac] = [fingerprint.slice(0, dot), Buffer.from(fingerprint.slice(dot + 1), 'base64url')]
    if (beacon === undefined) return `${id}.${mac.subarray(0, UNIQUE_BYTES).toString('base64url')}`
    return `${id}.${(mac.readUInt32BE(0) >>> (32 - beacon)).toString(16)}`
  })
}
