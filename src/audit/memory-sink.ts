import { checkOptions, wholeNumber } from '../options.ts'
import { checkOneProcess } from '../several-processes.ts'
import type { AuditEvent } from './event.ts'
import type { AuditSink } from './sink.ts'

export interface MemoryAuditSinkOptions {
  /** How many events are kept; the oldest leave. Default 10 000. */
  readonly max?: number | undefined
}

export interface MemoryAuditSink extends AuditSink {
  write(events: readonly AuditEvent[]): void
  /** The events that are kept, the oldest first. */
  events(): readonly AuditEvent[]
  clear(): void
}

/**
 * Keeps the newest events in the memory of this process: for tests and for a first look, not for an audit.
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
        // Twice the bound before it is cut, so that cutting costs little per event.
        if (kept.length >= 2 * max) kept = kept.slice(-max)
      }
    },
    events: () => kept.slice(-max),
    clear() {
      kept = []
    },
  }
}
