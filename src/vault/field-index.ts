import { UsageError } from '../errors.ts'
import type { Vault } from './vault.ts'

/** How to find a field by its value. */
export type FieldIndex = {
  /**
   * Which values count as equal. `email`: ignores surrounding spaces, case and the width of letters (NFKC). `exact`: compares the
   * text after NFC normalisation. Default `exact`.
   */
  readonly match?: 'email' | 'exact' | undefined
} & (
  | {
      /** Hardly any two people have the same value: an email address, a telephone number. 128 bits are kept. */
      readonly unique: true
      readonly beacon?: undefined
    }
  | {
      readonly unique?: undefined
      /**
       * How many bits are kept, 1-24, for values that many people share. Choose so few that several values have the same index,
       * and open the fields that are found to see which ones match.
       */
      readonly beacon: number
    }
)

const UNIQUE_BYTES = 16
/** Normalising can take time that grows with the square of the length. */
const LONGEST_VALUE = 4_096

/** The index values under each key, the active one first. */
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
