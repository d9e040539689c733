import { open, readFile } from 'node:fs/promises'
import { ConfigError, UnreadableError } from '../../errors.ts'

/** Publishes a signed checkpoint outside the store. Rejects if it could not be kept there. */
export type PublishCheckpoint = (note: string) => void | Promise<void>

/**
 * Appends checkpoints to a file, each as one line of JSON with the time and the note. Keep the file on another volume than the
 * store, preferably an append-only one.
 *
 * @throws ConfigError
 */
export function checkpointFile(path: string, now: () => number = Date.now): PublishCheckpoint {
  if (typeof path !== 'string' || path === '') {
    throw new ConfigError('checkpointFile path', 'the path of a file', path)
  }
  return async (note) => {
    const file = await open(path, 'a', 0o644)
    try {
      await file.write(`${JSON.stringify({ time: new Date(now()).toISOString(), checkpoint: note })}\n`)
      await file.datasync()
    } finally {
      await file.close()
    }
  }
}

/** Writes checkpoints to standard output, in the format of {@link checkpointFile}. */
export function checkpointsToStdout(now: () => number = Date.now): PublishCheckpoint {
  return (note) => {
    process.stdout.write(`${JSON.stringify({ time: new Date(now()).toISOString(), checkpoint: note })}\n`)
  }
}

/**
 * The notes of a file that {@link checkpointFile} wrote. A last line that was cut off is ignored.
 *
 * @throws UnreadableError (as a rejection) that names the first line that is not a checkpoint.
 */
export async function readCheckpointFile(path: string): Promise<readonly string[]> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  lines.pop()
  return lines.map((line, index) => {
    try {
      const { checkpoint } = JSON.parse(line) as { readonly checkpoint?: unknown }
      if (typeof checkpoint === 'string') return checkpoint
    } catch {
      // Reported below.
    }
    throw new UnreadableError(`line ${index + 1} of the checkpoint file is not a checkpoint`)
  })
}
