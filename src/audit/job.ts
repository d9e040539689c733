import { randomUUID } from 'node:crypto'
import { UnavailableError } from '../errors.ts'
import type { ActorKind, AuditEvent, Pseudonymise } from './event.ts'
import type { ModelRules } from './models.ts'
import type { FieldGetters } from './personal-view.ts'
import type { Recorder } from './recorder.ts'
import type { Scope } from './scope.ts'
import { createAuditSession, type AuditSession } from './session.ts'

/** On whose behalf a job runs, and why. */
export interface JobOptions {
  /** The name of a program (`mailer`), or a member of staff with `kind: 'staff'`. Only a pseudonym is recorded. */
  readonly actor: string | { readonly id: string; readonly kind?: ActorKind | undefined }
  /** The purpose of every read and action of the job that has no purpose of its own. */
  readonly why: string
}

export interface JobMeans {
  readonly recorder: Recorder
  readonly pseudonymise: Pseudonymise
  readonly getters: FieldGetters
  readonly models: ReadonlyMap<string, ModelRules>
  readonly scope: Scope
}

/**
 * Runs work that reads personal data outside a request, such as a job of a queue. Reads are recorded as they happen, and all of
 * them are kept when the promise resolves.
 *
 * Rejects with what `work` throws, and with `UnavailableError` if events were not kept: they wait and are sent again. While
 * events wait, records are not sealed.
 *
 * @throws TypeError (as a rejection) if `actor` or `why` is missing.
 */
export async function runJob<T>(
  means: JobMeans,
  { actor: given, why }: JobOptions,
  work: (audit: AuditSession) => T | Promise<T>,
): Promise<T> {
  const { id, kind = 'system' } = typeof given === 'string' ? { id: given } : given
  if (typeof id !== 'string' || id === '') throw new TypeError('a job needs an `actor`: who does the work')
  if (typeof why !== 'string' || why.trim() === '') throw new TypeError('a job needs `why`: its purpose')
  const { recorder, pseudonymise, getters, models, scope } = means
  const session = createAuditSession({
    requestId: randomUUID(),
    now: Date.now,
    getters,
    models,
    why: () => why,
    onSealed() {
      if (recorder.failing) throw new UnavailableError('earlier audit events are still waiting for the sink')
    },
  })
  const under = new Set<Promise<void>>()
  let failure: unknown
  const keep = (events: AuditEvent[]): void | Promise<void> => recorder.record(events)
  const who = { actor: pseudonymise('actor', id), actorKind: kind }
  const log = session.attach({ who: () => who, pseudonymise, keep })
  const record = (events: AuditEvent[]): void => {
    const kept = keep(events)
    if (kept === undefined) return
    const settled = kept
      .catch((error: unknown) => void (failure ??= error))
      .finally(() => under.delete(settled))
    under.add(settled)
  }
  log.finish(record)
  try {
    return await scope.run({ audit: session }, async () => work(session))
  } finally {
    record(log.take())
    await Promise.all(under)
    // oxlint-disable-next-line no-unsafe-finally -- what was read and not kept is worse than what `work` threw
    if (failure !== undefined) throw failure
  }
}
