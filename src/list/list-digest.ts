import { createHash, type Hash } from 'node:crypto'
import type { ListEntry } from './entry.ts'

/** What guards judge by in a list, as a digest: its ranges, each with its end, in their order. Notes and owners do not count. */
export class ListDigest {
  readonly #hash: Hash = createHash('sha256')

  add(entries: Iterable<Pick<ListEntry, 'range' | 'expires'>>): this {
    let text = ''
    for (const { range, expires } of entries)
      text += expires === undefined ? `${range}\n` : `${range} ${expires}\n`
    this.#hash.update(text)
    return this
  }

  /** In base64url. Nothing can be added behind it. */
  end(): string {
    return this.#hash.digest('base64url')
  }
}
