import { checkOptions, wholeNumber } from '../options.ts'
import { checkOneProcess } from '../several-processes.ts'
import type { AuditEvent } from './event.ts'
import type { AuditSink } from './sink.ts'

export interface MemoryAuditSinkOptions {
  /** How many events are kept; the oldest are dropped. Default 10 000. */
  readonly max?: number | undefined
}

export interface MemoryAuditSink extends AuditSink {
  write(events: readonly AuditEvent[]): void
  /** Never throws: memory is always available. */
  check(): void
  /** The events that are kept, oldest first. */
  events(): readonly AuditEvent[]
  clear(): void
}

/**
 * Keeps the newest events in the memory of this process, for tests and first experiments. It is not suitable for a real audit.
 *
 * @throws ConfigError
 */
export function memoryAuditSink(options: MemoryAuditSinkOptions = {}): MemoryAuditSink {
  const { max = 10_000 } = checkOptions<MemoryAuditSinkOptions>('memoryAuditSink', options, {
    max: wholeNumber('events', 1),
  })
  checkOneProcess()
  let kept: AuditEvent[] = []
  return {
    write(events) {
      for (const event of events) {
        kept.push(event)
        // Cut only at twice the limit, so that the cost per event stays low.
        if (kept.length >= 2 * max) kept = kept.slice(-max)
      }
    },
    check: () => undefined,
    events: () => kept.slice(-max),
    clear() {
      kept = []
    },
  }
}
