import { AsyncLocalStorage } from 'node:async_hooks'
import { UsageError } from '../errors.ts'
import type { AuditSession } from './session.ts'

/** What has a session: the context of a request, or a job. It is asked when the session is needed. */
export interface HasSession {
  readonly audit: AuditSession
}

/** Which session belongs to the code that runs now, wherever it was called from. */
export class Scope {
  readonly #storage = new AsyncLocalStorage<HasSession>()

  /** Runs `work`, in which and behind which the session is the current one. */
  run<T>(holder: HasSession, work: () => T): T {
    return this.#storage.run(holder, work)
  }

  /** @throws UsageError where neither a request nor a job is under way. */
  get current(): AuditSession {
    const holder = this.#storage.getStore()
    if (holder === undefined) {
      throw new UsageError(
        'personal data was read outside a request and outside a job, so the reader is unknown: ' +
          'in requests, set the option `models` of `auditAccess`; in jobs, use `audit.run({ actor, why }, work)`',
      )
    }
    return holder.audit
  }
}
