import { createHash, type Hash } from 'node:crypto'
import type { ListEntry } from './entry.ts'

/** A digest of what guards use of a list: its ranges with their expiry, in order. Notes and owners are left out. */
export class ListDigest {
  readonly #hash: Hash = createHash('sha256')

  add(entries: Iterable<Pick<ListEntry, 'range' | 'expires'>>): this {
    let text = ''
    for (const { range, expires } of entries)
      text += expires === undefined ? `${range}\n` : `${range} ${expires}\n`
    this.#hash.update(text)
    return this
  }

  /** Returns the digest in base64url. Nothing can be added afterwards. */
  end(): string {
    return this.#hash.digest('base64url')
  }
}
