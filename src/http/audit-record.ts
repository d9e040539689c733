import { randomUUID } from 'node:crypto'
import type { AuditEvent, OperationEvent, Outcome, OutcomeEvent, Pseudonymise } from '../audit/event.ts'
import type { FieldGetters } from '../audit/personal-view.ts'
import type { Recorder } from '../audit/recorder.ts'
import { createAuditSession, type AuditSession, type ReadLog } from '../audit/session.ts'
import { isThenable } from '../thenable.ts'
import type { GuardRequest, GuardResponse } from './handler.ts'
import { askNow } from './request/ask-option.ts'
import type { RequestContext } from './request/context.ts'
import { applicationOf, routeNameOf } from './request/route-name.ts'
import { Gate, whenOver, wholeAnswerLeft, whyNotHeld, type GateKeeper } from './response/gate.ts'

// Registered symbols: the ESM and the CommonJS build may both audit one request.
const SESSION = Symbol.for('portcullis.auditSession')
const GATE = Symbol.for('portcullis.gate')

/** What one `auditAccess` needs to record. */
export interface RecordMeans {
  /** The options that name things. What they return is not trusted. */
  readonly options: {
    readonly actor?: ((req: GuardRequest) => unknown) | undefined
    readonly operation?: ((req: GuardRequest) => unknown) | undefined
  }
  readonly recorder: Recorder
  readonly pseudonymise: Pseudonymise
  /** Shared by the views of all requests. */
  readonly getters: FieldGetters
}

/** What is said of the end of a request. */
interface End {
  readonly outcome: Outcome
  readonly status: number | undefined
}

/**
 * The events of one request on their way to the sink of one `auditAccess`. The session of reads belongs to the request, and
 * every mount has its own record of it.
 */
export class RequestRecord {
  readonly #context: RequestContext
  readonly #req: GuardRequest
  readonly #res: GuardResponse
  readonly #means: RecordMeans
  /** The application that the request came to, by whose routers operations are named. */
  readonly #outer: ReturnType<typeof applicationOf>
  readonly #log: ReadLog
  #appId: string | undefined
  #revision: number | undefined
  #silent = false
  #ended = false
  /** What the operation event says, once it is made. */
  #told: End | undefined

  constructor(context: RequestContext, res: GuardResponse, means: RecordMeans) {
    this.#context = context
    this.#req = context.req
    this.#outer = applicationOf(context.req)
    this.#res = res
    this.#means = means
    this.#log = sessionOf(context, means.getters).attach({
      who: () => this.#who(),
      pseudonymise: means.pseudonymise,
    })
    // Node remembers the address of a socket that it was asked for once; of one that has closed it knows nothing.
    void context.req.socket?.remoteAddress
    whenOver(res, () => this.#over())
  }

  /** Why the response cannot be held; `undefined` where it can. */
  get notHeldBecause(): string | undefined {
    return whyNotHeld(this.#res)
  }

  /** The app that the mount of this record has judged. A later mount may judge another one. */
  judged(): void {
    this.#appId = this.#context.appId
    this.#revision = this.#context.revision
    // The context keeps it. When the caller has gone away it may not be found any more.
    void this.#context.address
  }

  /** From now on nothing is recorded. */
  silence(): void {
    this.#silent = true
    this.#log.silence()
  }

  /** No byte of the response leaves from now on before its events are kept. */
  hold(refuse: GateKeeper['refuse']): void {
    const keeper: GateKeeper = {
      before: (status) => this.#flush(status),
      refuse,
      over: () => this.#over(),
    }
    const gate = gateOf(this.#context)
    if (gate === undefined) this.#context.keep(GATE, new Gate(this.#res, keeper))
    else gate.add(keeper)
  }

  /** Hands over what has happened since; with the head of the response the operation too. */
  #flush(status: number | undefined): void | Promise<void> {
    if (this.#silent) return undefined
    const events = this.#log.take()
    if (this.#told === undefined && status !== undefined) {
      events.push(this.#operation({ outcome: this.#refused ? 'refused' : 'answered', status }))
    }
    return events.length === 0 ? undefined : this.#means.recorder.record(events)
  }

  #over(): void {
    if (this.#ended) return
    this.#ended = true
    const { recorder } = this.#means
    const gate = gateOf(this.#context)
    gate?.close()
    if (this.#silent) return
    const events = this.#log.take()
    const told = this.#told
    const end = told !== undefined && gate?.wholeAnswerLeft === true ? told : this.#end(gate)
    if (told === undefined) events.push(this.#operation(end))
    else if (told.outcome !== end.outcome || told.status !== end.status) events.push(this.#outcome(end))
    if (events.length > 0) settle(recorder.record(events))
    this.#log.finish((late) => settle(recorder.record(late)))
  }

  /** What the caller got. */
  #end(gate: Gate | undefined): End {
    if (gate?.refusalSent === true) return { outcome: 'refused', status: this.#res.statusCode }
    const begun = gate === undefined ? this.#res.headersSent : gate.begun
    const status = begun ? (gate?.status ?? this.#res.statusCode) : undefined
    if (!(gate?.wholeAnswerLeft ?? wholeAnswerLeft(this.#res))) return { outcome: 'aborted', status }
    return { outcome: this.#refused ? 'refused' : 'answered', status }
  }

  get #refused(): boolean {
    for (const { effect, mode } of this.#context.decisions) {
      if (effect === 'deny' && mode === 'enforce') return true
    }
    return false
  }

  #operation(end: End): OperationEvent {
    this.#told = end
    const { options, pseudonymise } = this.#means
    const { address, region, decisions } = this.#context
    const revision = this.#revision ?? this.#context.revision
    return {
      ...this.#base('operation'),
      ...(revision !== undefined && { revision }),
      operation: label(options.operation, this.#req) ?? routeNameOf(this.#req, this.#outer),
      outcome: end.outcome,
      ...(end.status !== undefined && { status: end.status }),
      ...(address !== undefined && { address: pseudonymise('address', address) }),
      ...(region && { region: { here: region.here, jurisdiction: region.jurisdiction } }),
      decisions,
    }
  }

  #outcome({ outcome, status }: End): OutcomeEvent {
    return { ...this.#base('outcome'), outcome, ...(status !== undefined && { status }) }
  }

  #base<Kind extends AuditEvent['kind']>(kind: Kind) {
    const time = new Date().toISOString()
    return {
      kind,
      version: 1 as const,
      id: randomUUID(),
      time,
      requestId: this.#context.requestId,
      ...this.#who(),
    }
  }

  #who(): { appId?: string; actor?: string } {
    const { options, pseudonymise } = this.#means
    const appId = this.#appId ?? this.#context.appId
    const actor = label(options.actor, this.#req)
    return {
      ...(appId !== undefined && { appId }),
      ...(actor !== undefined && { actor: pseudonymise('actor', actor) }),
    }
  }
}

/** The session of a request: the one that is there, or a new one. */
function sessionOf(context: RequestContext, getters: FieldGetters): AuditSession {
  const known = context.recall(SESSION) as AuditSession | undefined
  if (known !== undefined) return known
  const session = createAuditSession({ requestId: context.requestId, now: Date.now, getters })
  context.keep(SESSION, session)
  context.audit = session
  return session
}

function gateOf(context: RequestContext): Gate | undefined {
  return context.recall(GATE) as Gate | undefined
}

/** Nobody waits for these events; the recorder keeps them and reports. */
function settle(written: void | Promise<void>): void {
  if (isThenable(written)) written.then(undefined, () => undefined)
}

/** What an option that names something returns, unless it fails or returns no name. */
function label(option: ((req: GuardRequest) => unknown) | undefined, req: GuardRequest): string | undefined {
  if (option === undefined) return undefined
  try {
    const name = askNow(option, 'label', req)
    return typeof name === 'string' && name !== '' ? name : undefined
  } catch {
    return undefined
  }
}
