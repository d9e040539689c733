import { randomUUID } from 'node:crypto'
import type { OperationEvent } from '../event.ts'

/** An event about the log itself. */
export function ownEvent(
  members: Pick<OperationEvent, 'operation' | 'time' | 'actor' | 'person' | 'purpose'>,
): OperationEvent {
  const id = randomUUID()
  return { version: 1, kind: 'operation', id, requestId: id, outcome: 'answered', decisions: [], ...members }
}
