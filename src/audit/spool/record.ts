import { crc32 } from 'node:zlib'

/** The kinds of records in a spool file. */
export type RecordKind = 'frame' | 'secret'

export interface SpoolRecord {
  readonly kind: RecordKind
  readonly content: Buffer
  /** Where the record ends in its file. */
  readonly end: number
}

const KINDS: readonly RecordKind[] = ['frame', 'secret']
/** Length, checksum, kind. */
const HEAD = 9
/** More bytes than the longest frame has. */
const LONGEST = 64 * 1_048_576

/** A record: its length, the CRC-32 of everything after the checksum, its kind, its content. */
export function encodeRecord(kind: RecordKind, content: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD + content.length)
  bytes.writeUInt32BE(content.length, 0)
  bytes[8] = KINDS.indexOf(kind) + 1
  bytes.set(content, HEAD)
  bytes.writeUInt32BE(crc32(bytes.subarray(8)), 4)
  return bytes
}

/** The records found in bytes of a spool file. */
export interface ScannedRecords {
  readonly records: readonly SpoolRecord[]
  /** Where the last whole record ends. */
  readonly end: number
  /** Whether something follows that is not a record: the end is cut off, or bytes were changed. */
  readonly broken: boolean
}

/**
 * Reads records until the end, or until something is not a record.
 *
 * @param offset where `bytes` begin in their file.
 * @param whole whether nothing follows `bytes`. Otherwise a record that is cut off at the end is not an error.
 */
export function scanRecords(bytes: Buffer, offset: number, whole: boolean): ScannedRecords {
  const records: SpoolRecord[] = []
  let at = 0
  while (at + HEAD <= bytes.length) {
    const length = bytes.readUInt32BE(at)
    const kind = KINDS[(bytes[at + 8] ?? 0) - 1]
    if (length > LONGEST || kind === undefined) return { records, end: offset + at, broken: true }
    const end = at + HEAD + length
    if (end > bytes.length) break
    if (crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32BE(at + 4)) {
      return { records, end: offset + at, broken: true }
    }
    records.push({ kind, content: bytes.subarray(at + HEAD, end), end: offset + end })
    at = end
  }
  return { records, end: offset + at, broken: whole && at < bytes.length }
}
