import { open, readdir, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { UnavailableError } from '../../errors.ts'

/** `<writer>.<number>.spool` */
const SEGMENT = /^([A-Za-z0-9_-]{1,64})\.(\d{8})\.spool$/

/** The path of a segment. */
export function segmentPath(directory: string, writer: string, number: number): string {
  return join(directory, `${writer}.${String(number).padStart(8, '0')}.spool`)
}

/** The segments of all writers in a directory, in order. */
export async function segmentsIn(directory: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>()
  for (const name of (await readdir(directory)).toSorted()) {
    const writer = SEGMENT.exec(name)?.[1]
    if (writer === undefined) continue
    const paths = found.get(writer) ?? []
    paths.push(join(directory, name))
    found.set(writer, paths)
  }
  return found
}

/** Writes all bytes at a position of a file. A single write may write only part of them. */
export async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  let written = 0
  while (written < bytes.length) {
    const { bytesWritten } = await file.write(bytes, written, bytes.length - written, position + written)
    written += bytesWritten
  }
}

/** Makes the names in a directory survive a power failure. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const WORDS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free space on it, or move `spool.directory`',
  EDQUOT: 'the disk quota is used up: raise it, or move `spool.directory`',
  EROFS: 'the disk is read-only: move `spool.directory`',
  EACCES: 'the process may not write there: change the permissions of `spool.directory`',
  EPERM: 'the process may not write there: change the permissions of `spool.directory`',
  EMFILE: 'the process has too many open files',
  ENOENT: '`spool.directory` does not exist',
  ENOTDIR: '`spool.directory` is not a directory',
  EIO: 'the disk reports errors',
}

/** Explains a failure of the disk so that an operator can act on it. */
export function spoolFailure(error: unknown): UnavailableError {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  const name = typeof code === 'string' ? code : 'unknown error'
  const advice = WORDS[name] ?? 'look up this code in the documentation of your system'
  return new UnavailableError(`the audit spool cannot be used (${name}): ${advice}`, { cause: error })
}
