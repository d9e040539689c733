/** An entry of a stream. */
export interface StreamEntry {
  readonly id: string
  /** The value of a field; empty if the entry has no such field. */
  value(field: string): string
}

/** The entries in a reply to XRANGE or XREVRANGE. */
export function streamEntries(reply: unknown): StreamEntry[] {
  if (!Array.isArray(reply)) return []
  return (reply as [string, string[]][]).map(([id, fields]) => ({
    id,
    value(field) {
      const index = fields.findIndex((name, at) => at % 2 === 0 && name === field)
      return index === -1 ? '' : String(fields[index + 1])
    },
  }))
}

/** The entries in a reply to XREAD of one stream: pairs with RESP2, a flat list of names and entries with RESP3. */
export function readEntries(reply: unknown): StreamEntry[] {
  const pair: unknown = Array.isArray(reply) && Array.isArray(reply[0]) ? reply[0] : reply
  return streamEntries(Array.isArray(pair) ? (pair as unknown[])[1] : undefined)
}
