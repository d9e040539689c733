import type { IpAddress } from '../match/ip.ts'

/** A named list of addresses, as guards use it. Its contents may change between two requests. */
export interface NamedSet {
  readonly name: string
  /** Whether the list is in the store. */
  readonly exists: boolean
  /** The digest of the current contents (`ListDigest`). `undefined` if the digest is unknown or the list does not exist. */
  readonly digest?: string | undefined
  /**
   * Returns the canonical text of a range that contains the address and has not expired at `now` (milliseconds since the
   * epoch).
   */
  find(address: IpAddress, now: number): string | undefined
}

/** Named lists, by name. */
export type NamedLists = ReadonlyMap<string, NamedSet>

/** A list that is not in the store. */
export function missingList(name: string): NamedSet {
  return { name, exists: false, find: () => undefined }
}
