import type { FieldEvent, OperationEvent, OutcomeEvent } from '../../../src/audit/event.ts'

/** A field event with this id. */
export function fieldEvent(id: string, members: Partial<FieldEvent> = {}): FieldEvent {
  return {
    kind: 'field',
    version: 1,
    id,
    time: '2026-11-24T12:00:00.000Z',
    requestId: 'request-1',
    appId: 'app-1',
    person: 'pseudonym',
    field: 'email',
    reads: 1,
    ...members,
  }
}

/** An operation event with this id. */
export function operationEvent(id: string, members: Partial<OperationEvent> = {}): OperationEvent {
  return {
    kind: 'operation',
    version: 1,
    id,
    time: '2026-11-24T12:00:00.000Z',
    requestId: 'request-1',
    appId: 'app-1',
    revision: 3,
    operation: 'GET /auth/v2/me',
    outcome: 'answered',
    status: 200,
    address: 'pseudonym',
    region: { here: 'london', jurisdiction: 'europe' },
    decisions: [],
    ...members,
  }
}

/** An outcome event with this id. */
export function outcomeEvent(id: string, members: Partial<OutcomeEvent> = {}): OutcomeEvent {
  return {
    kind: 'outcome',
    version: 1,
    id,
    time: '2026-11-24T12:00:00.000Z',
    requestId: 'request-1',
    appId: 'app-1',
    outcome: 'aborted',
    status: 200,
    ...members,
  }
}
