import { randomUUID } from 'node:crypto'
import type { Mode } from '../decision.ts'
import type {
  ActorKind,
  AuditEvent,
  OperationEvent,
  Outcome,
  OutcomeEvent,
  Pseudonymise,
} from '../audit/event.ts'
import type { ReadLog, ReadLogOptions } from '../audit/read-log.ts'
import type { Recorder } from '../audit/recorder.ts'
import type { RecordedSession } from '../audit/session.ts'
import { isThenable } from '../thenable.ts'
import type { GuardRequest, GuardResponse } from './handler.ts'
import { readsOf, type ReadsMeans } from './request-reads.ts'
import { actorOf } from './request/actor.ts'
import { askNow } from './request/ask-option.ts'
import type { RequestContext } from './request/context.ts'
import { applicationOf, routeNameOf } from './request/route-name.ts'
import { Gate, whenOver, wholeAnswerLeft, whyNotHeld, type GateKeeper } from './response/gate.ts'

// A registered symbol: the ESM and the CommonJS build may both audit one request.
const GATE = Symbol.for('portcullis.gate')

/** What one `auditAccess` needs to record. */
export interface RecordMeans extends ReadsMeans {
  /** The options that name things. What they return is not trusted. */
  readonly options: {
    readonly actor?: ((req: GuardRequest) => unknown) | undefined
    readonly operation?: ((req: GuardRequest) => unknown) | undefined
    readonly why?: ((req: GuardRequest) => unknown) | undefined
  }
  readonly recorder: Recorder
  readonly pseudonymise: Pseudonymise
  /** Writes the answer to a request whose events are not kept. */
  readonly refuse: (context: RequestContext, res: GuardResponse) => void
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
export class RequestRecord implements GateKeeper, ReadLogOptions {
  readonly #context: RequestContext
  readonly #req: GuardRequest
  readonly #res: GuardResponse
  readonly #means: RecordMeans
  /** The application that the request came to, by whose routers operations are named. */
  readonly #outer: ReturnType<typeof applicationOf>
  /** There is one once a handler has asked for the reads. */
  #log: ReadLog | undefined
  #appId: string | undefined
  #revision: number | undefined
  #mode: Mode | undefined
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
    readsOf(context, res).add(this)
    context.rememberPeer()
    whenOver(res, () => this.over())
  }

  /** Why the response cannot be held; `undefined` where it can. */
  get notHeldBecause(): string | undefined {
    return whyNotHeld(this.#res)
  }

  /** The app that the mount of this record has judged. A later mount may judge another one. */
  judged(mode: Mode): void {
    this.#mode = mode
    this.#appId = this.#context.appId
    this.#revision = this.#context.revision
    // The context keeps it. When the caller has gone away it may not be found any more.
    void this.#context.address
  }

  /** From now on nothing is recorded. */
  silence(): void {
    this.#silent = true
    this.#log?.silence()
  }

  /** The reads of the request are logged here, those that were made before too. */
  log(session: RecordedSession): void {
    this.#log = session.attach(this)
    if (this.#silent) this.#log.silence()
    else if (this.#ended) this.#finish()
  }

  get reads(): ReadsMeans {
    return this.#means
  }

  /** The purpose that the `why` option names. */
  why(): string | undefined {
    return label(this.#means.options.why, this.#req)
  }

  /** Whether the actor is, or may be, a member of staff, and the policy is enforced. */
  needsPurpose(): boolean {
    if (this.#silent || this.#mode !== 'enforce') return false
    const actor = actorOf(this.#means.options.actor, this.#req)
    return actor === 'unreadable' || actor?.kind === 'staff'
  }

  keep(events: AuditEvent[]): void | Promise<void> {
    return this.#means.recorder.record(events)
  }

  get pseudonymise(): Pseudonymise {
    return this.#means.pseudonymise
  }

  /** No byte of the response leaves from now on before its events are kept. */
  hold(): void {
    const gate = gateOf(this.#context)
    if (gate === undefined) this.#context.keep(GATE, new Gate(this.#res, this))
    else gate.add(this)
  }

  refuse(res: GuardResponse): void {
    this.#means.refuse(this.#context, res)
  }

  /** Hands over what has happened since; with the head of the response the operation too. */
  before(status: number | undefined): void | Promise<void> {
    if (this.#silent) return undefined
    const events = this.#log?.take() ?? []
    if (this.#told === undefined && status !== undefined) {
      events.push(this.#operation({ outcome: this.#refused ? 'refused' : 'answered', status }))
    }
    return events.length === 0 ? undefined : this.#means.recorder.record(events)
  }

  over(): void {
    if (this.#ended) return
    this.#ended = true
    const { recorder } = this.#means
    const gate = gateOf(this.#context)
    gate?.close()
    if (this.#silent) return
    const events = this.#log?.take() ?? []
    const told = this.#told
    const end = told !== undefined && gate?.wholeAnswerLeft === true ? told : this.#end(gate)
    if (told === undefined) events.push(this.#operation(end))
    else if (told.outcome !== end.outcome || told.status !== end.status) events.push(this.#outcome(end))
    if (events.length > 0) settle(recorder.record(events))
    this.#finish()
  }

  /** What is read from now on goes to the sink by itself. */
  #finish(): void {
    this.#log?.finish((late) => settle(this.#means.recorder.record(late)))
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
    const event: Mutable<OperationEvent> = {
      ...this.#base(),
      kind: 'operation',
      operation: label(options.operation, this.#req) ?? routeNameOf(this.#req, this.#outer),
      outcome: end.outcome,
      decisions,
    }
    const revision = this.#revision ?? this.#context.revision
    if (revision !== undefined) event.revision = revision
    if (end.status !== undefined) event.status = end.status
    if (address !== undefined) event.address = pseudonymise('address', address)
    if (region !== undefined) event.region = { here: region.here, jurisdiction: region.jurisdiction }
    return event
  }

  #outcome({ outcome, status }: End): OutcomeEvent {
    const event: Mutable<OutcomeEvent> = { ...this.#base(), kind: 'outcome', outcome }
    if (status !== undefined) event.status = status
    return event
  }

  #base(): Omit<OutcomeEvent, 'kind' | 'outcome' | 'status'> {
    const { appId, actor, actorKind } = this.who()
    const base: Mutable<Omit<OutcomeEvent, 'kind' | 'outcome' | 'status'>> = {
      version: 1,
      id: randomUUID(),
      time: new Date().toISOString(),
      requestId: this.#context.requestId,
    }
    if (appId !== undefined) base.appId = appId
    if (actor !== undefined) base.actor = actor
    if (actorKind !== undefined) base.actorKind = actorKind
    return base
  }

  who(): { appId: string | undefined; actor?: string; actorKind?: ActorKind } {
    const { options, pseudonymise } = this.#means
    const appId = this.#appId ?? this.#context.appId
    const actor = actorOf(options.actor, this.#req)
    if (actor === undefined || actor === 'unreadable') return { appId }
    const named = { appId, actor: pseudonymise('actor', actor.id) }
    return actor.kind === undefined ? named : { ...named, actorKind: actor.kind }
  }
}

type Mutable<T> = { -readonly [Name in keyof T]: T[Name] }

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
