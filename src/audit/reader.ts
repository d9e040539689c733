import { UnreadableError } from '../errors.ts'
import type { AuditEvent } from './event.ts'
import { parseEvent } from './line.ts'

/** More characters than a line of `serialiseEvent` can have. */
const LONGEST_LINE = 1_048_576

/**
 * Reads events that a sink has written as lines of `serialiseEvent`, each ended by a line feed, in order. `chunks` are pieces of
 * UTF-8 or of text, as a file stream yields them. A last line without its line feed is a write that was cut off, and is not an
 * event. Empty lines are skipped.
 *
 * Rejects as `chunks` does, and with `UnreadableError` for the first line that is not an event; the error gives its number, but
 * none of its content.
 */
export async function* readEvents(
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
): AsyncGenerator<AuditEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  let number = 0
  for await (const chunk of chunks) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    const lines = rest.split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      number += 1
      if (line === '') continue
      const event = parseEvent(line)
      if (event === undefined) throw new UnreadableError(`line ${number} is not an audit event`)
      yield event
    }
    if (rest.length > LONGEST_LINE) throw new UnreadableError(`line ${number + 1} is not an audit event`)
  }
}
