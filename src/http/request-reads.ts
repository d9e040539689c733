import type { FieldGetters } from '../audit/personal-view.ts'
import type { ModelRules } from '../audit/models.ts'
import { createAuditSession, type RecordedSession } from '../audit/session.ts'
import type { GuardResponse } from './handler.ts'
import { LeakWatch, type LeakGuardSettings } from './leak-guard.ts'
import type { RequestContext } from './request/context.ts'

// A registered symbol: the ESM and the CommonJS build may both audit one request.
const READS = Symbol.for('portcullis.reads')

/** The part of one `auditAccess` that reads need. */
export interface ReadsMeans {
  /** Shared by the views of all requests. */
  readonly getters: FieldGetters
  readonly models: ReadonlyMap<string, ModelRules>
  readonly leakGuard: LeakGuardSettings
}

/** What one `auditAccess` records of a request. */
interface ReadsRecord {
  readonly reads: ReadsMeans
  log(session: RecordedSession): void
  why(): string | undefined
  needsPurpose(): boolean
}

/** The reads of one request. Most handlers read nothing, so the session is created on first use. */
class RequestReads {
  readonly #context: RequestContext
  readonly #res: GuardResponse
  readonly #records: ReadsRecord[]
  #session: RecordedSession | undefined

  constructor(context: RequestContext, res: GuardResponse, first: ReadsRecord) {
    this.#context = context
    this.#res = res
    this.#records = [first]
  }

  add(record: ReadsRecord): void {
    this.#records.push(record)
    if (this.#session !== undefined) record.log(this.#session)
  }

  get session(): RecordedSession {
    if (this.#session === undefined) {
      const { requestId } = this.#context
      const leaks = this.#leakWatch()
      this.#session = createAuditSession({
        requestId,
        now: Date.now,
        getters: this.#records[0]?.reads.getters,
        models: { get: (name) => this.#modelNamed(name), keys: () => this.#namesOfModels() },
        why: () => this.#why(),
        ...(leaks !== undefined && { onSealed: (sealed) => leaks.add(sealed) }),
        needsPurpose: () => this.#records.some((record) => record.needsPurpose()),
      })
      for (const record of this.#records) record.log(this.#session)
    }
    return this.#session
  }

  /** The first audit that searches for leaks searches for all; every audit records what is found. */
  #leakWatch(): LeakWatch | undefined {
    const guards = this.#records.map(({ reads }) => reads.leakGuard)
    const by = guards.find(({ does, share }) => does !== 'off' && Math.random() < share)
    if (by === undefined) return undefined
    return new LeakWatch(this.#context.req, this.#res, by.does, () => this.session)
  }

  #modelNamed(name: string): ModelRules | undefined {
    for (const { reads } of this.#records) {
      const model = reads.models.get(name)
      if (model !== undefined) return model
    }
    return undefined
  }

  #namesOfModels(): string[] {
    return this.#records.flatMap(({ reads }) => [...reads.models.keys()])
  }

  #why(): string | undefined {
    for (const record of this.#records) {
      const purpose = record.why()
      if (purpose !== undefined) return purpose
    }
    return undefined
  }
}

/** Makes `record` also log the reads of the request. */
export function recordReads(context: RequestContext, res: GuardResponse, record: ReadsRecord): void {
  const known = context.recall(READS) as RequestReads | undefined
  if (known !== undefined) {
    known.add(record)
    return
  }
  const reads = new RequestReads(context, res, record)
  context.keep(READS, reads)
  context.readsOf(reads)
}
