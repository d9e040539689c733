import { open, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { UnreadableError } from '../../errors.ts'
import type { StoredFrame } from '../log/frame-store.ts'
import { syncDirectory, writeAll } from '../spool/files.ts'
import { encodeRecord, scanRecords } from '../spool/record.ts'

/**
 * Files of frames that were moved out of the store; they are never appended to. The name has two counts: the frames of the log
 * before the file, and the frames up to its end.
 */
const NAME = /^(\d{12})-(\d{12})\.frames$/
const CHUNK = 1_048_576

interface ArchiveFile {
  readonly path: string
  /** How many frames of the log precede its first frame. */
  readonly first: number
  /** How many frames of the log there are up to its last frame. */
  readonly end: number
}

async function archiveFiles(directory: string): Promise<readonly ArchiveFile[]> {
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names
    .toSorted((one, other) => (one < other ? -1 : 1))
    .flatMap((name) => {
      const [, first, end] = NAME.exec(name) ?? []
      return first === undefined
        ? []
        : [{ path: join(directory, name), first: Number(first), end: Number(end) }]
    })
}

/** Writes frames to a new file of an archive, which then exists as a whole or not at all. Resolves when it is on disk. */
export async function writeArchive(
  directory: string,
  first: number,
  frames: AsyncIterable<StoredFrame> | Iterable<StoredFrame>,
): Promise<number> {
  const work = join(directory, `.${process.pid}.part`)
  const file = await open(work, 'w', 0o600)
  let count = 0
  try {
    let at = 0
    for await (const { place, bytes } of frames) {
      const head = Buffer.alloc(1)
      head[0] = place.length
      const record = encodeRecord('frame', Buffer.concat([head, Buffer.from(place, 'latin1'), bytes]))
      await writeAll(file, record, at)
      at += record.length
      count += 1
    }
    await file.sync()
  } finally {
    await file.close()
  }
  const name = (number: number): string => String(number).padStart(12, '0')
  await rename(work, join(directory, `${name(first)}-${name(first + count)}.frames`))
  await syncDirectory(directory)
  return count
}

/**
 * The frames of an archive, oldest first, with the places they had in the store.
 *
 * @throws UnreadableError (as a rejection) if a file of the archive is missing or damaged.
 */
export async function* archivedFrames(directory: string, after?: number): AsyncGenerator<StoredFrame> {
  let expected: number | undefined
  for (const { path, first, end } of await archiveFiles(directory)) {
    if (expected !== undefined && first !== expected) {
      throw new UnreadableError(`the audit archive lacks frames ${expected} to ${first - 1}`)
    }
    expected = end
    if (after !== undefined && end <= after) continue
    let found = 0
    for await (const frame of framesOfFile(path)) {
      found += 1
      yield frame
    }
    if (found !== end - first) throw new UnreadableError(`an archive file is damaged: \`${path}\``)
  }
}

async function* framesOfFile(path: string): AsyncGenerator<StoredFrame> {
  const file = await open(path, 'r')
  try {
    const { size } = await file.stat()
    let want = CHUNK
    for (let offset = 0; offset < size;) {
      const bytes = Buffer.alloc(Math.min(want, size - offset))
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset)
      const { records, end, broken } = scanRecords(
        bytes.subarray(0, bytesRead),
        offset,
        offset + bytesRead >= size,
      )
      for (const { content } of records) {
        const length = content[0] ?? 0
        yield { place: content.toString('latin1', 1, 1 + length), bytes: content.subarray(1 + length) }
      }
      if (broken) return
      // The next record is longer than what was read.
      want = records.length === 0 ? want * 2 : CHUNK
      offset = end
    }
  } finally {
    await file.close()
  }
}
