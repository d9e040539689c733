import type { AuditEvent, OperationEvent, Pseudonymise } from '../audit/event.ts'
import type { AuditSink } from '../audit/sink.ts'
import { UnavailableError } from '../errors.ts'
import { randomId } from '../random-id.ts'

/** What is recorded about one request of the console. */
export interface Entry {
  readonly requestId: string
  /** `console PUT /apps/:appId/draft`. */
  readonly operation: string
  /** The app that the request concerned. */
  readonly appId?: string | undefined
  readonly name?: string | undefined
  readonly purpose?: string | undefined
}

/** Records what is done in the console, in the audit sink of the options. */
export interface Trail {
  /** Resolves when the event is kept. Only then may the action be done. Rejects with `UnavailableError`. */
  begin(entry: Entry): Promise<void>
  /** Records that an action failed after `begin`, or that a request was refused. Never rejects. */
  refused(entry: Entry, status: number, begun: boolean): Promise<void>
}

export function createTrail(
  sink: AuditSink,
  pseudonymise: Pseudonymise,
  now: () => number,
  onError: (error: unknown) => void,
): Trail {
  const base = ({
    requestId,
    appId,
    name,
  }: Entry): Omit<OperationEvent, 'kind' | 'operation' | 'outcome' | 'decisions'> => ({
    version: 1,
    id: randomId(),
    time: new Date(now()).toISOString(),
    requestId,
    ...(appId !== undefined && { appId }),
    ...(name !== undefined && { actor: pseudonymise('actor', name), actorKind: 'staff' as const }),
  })
  const operation = (entry: Entry, outcome: OperationEvent['outcome'], status?: number): AuditEvent => ({
    kind: 'operation',
    ...base(entry),
    operation: entry.operation,
    outcome,
    ...(status !== undefined && { status }),
    ...(entry.purpose !== undefined && { purpose: entry.purpose }),
    decisions: [],
  })
  return {
    async begin(entry) {
      try {
        await sink.write([operation(entry, 'answered')])
      } catch (error) {
        throw new UnavailableError('the audit could not record the action', { cause: error })
      }
    },
    async refused(entry, status, begun) {
      try {
        await sink.write([
          begun
            ? { kind: 'outcome', ...base(entry), outcome: 'refused', status }
            : operation(entry, 'refused', status),
        ])
      } catch (error) {
        onError(error)
      }
    },
  }
}
