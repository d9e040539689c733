import type { IpAddress } from '../match/ip.ts'

/** A named list of addresses as guards ask it. Its content may change between two requests. */
export interface NamedSet {
  readonly name: string
  /** Whether the store has such a list. */
  readonly exists: boolean
  /** The digest of what is asked (`ListDigest`); missing where that is not known, and where there is no such list. */
  readonly digest?: string | undefined
  /** The canonical text of a range that contains the address and has not expired at `now`, milliseconds since the epoch. */
  find(address: IpAddress, now: number): string | undefined
}

/** Named lists by their names. */
export type NamedLists = ReadonlyMap<string, NamedSet>

/** A list that the store does not have. */
export function missingList(name: string): NamedSet {
  return { name, exists: false, find: () => undefined }
}
