import { AsyncLocalStorage } from 'node:async_hooks'
import { UsageError } from '../errors.ts'
import type { AuditSession } from './session.ts'

/** Has a session: the context of a request, or a job. The session is created when it is first read. */
export interface HasSession {
  readonly audit: AuditSession
}

/** The session of the running code, wherever that code was called from. */
export class Scope {
  readonly #storage = new AsyncLocalStorage<HasSession>()

  /** Runs `work` with the session as the current one, including everything that `work` starts asynchronously. */
  run<T>(holder: HasSession, work: () => T): T {
    return this.#storage.run(holder, work)
  }

  /** @throws UsageError outside a request and a job. */
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
