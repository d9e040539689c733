import { UnreadableError } from '../errors.ts'
import type { AuditEvent } from './event.ts'
import { parseEvent } from './line.ts'

/** More characters than a line of `serialiseEvent` can have. */
const LONGEST_LINE = 1_048_576

/**
 * Reads the events that a sink has written as lines of `serialiseEvent`, each ended by a line feed, in their order. `chunks`
 * are pieces of UTF-8 or of text, as a file stream gives them. A last line without its end is a write that was cut off: it
 * is not an event. Empty lines are skipped.
 *
 * Rejects with `UnreadableError` that names the number of the first line that is not an event, and nothing of what stands
 * there, and as `chunks` does.
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
