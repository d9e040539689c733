import type { Decision, Mode } from '../decision.ts'
import type {
  ActorKind,
  AuditEvent,
  OperationEvent,
  Outcome,
  OutcomeEvent,
  Pseudonymise,
} from '../audit/event.ts'
import type { JudgedSealer } from '../audit/judged-facts.ts'
import { isoTime } from '../audit/iso-time.ts'
import type { ReadLog, ReadLogOptions } from '../audit/read-log.ts'
import type { Recorder } from '../audit/recorder.ts'
import type { RecordedSession } from '../audit/session.ts'
import { randomId } from '../random-id.ts'
import { isThenable } from '../thenable.ts'
import type { GuardRequest, GuardResponse } from './handler.ts'
import { recordReads, type ReadsMeans } from './request-reads.ts'
import { actorOf } from './request/actor.ts'
import { askNow } from './request/ask-option.ts'
import type { RequestContext } from './request/context.ts'
import { applicationOf, routeNameOf } from './request/route-name.ts'
import { Delivery } from './response/delivery.ts'
import { Gate, type GateKeeper } from './response/gate.ts'

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
  /** Seals what the guards were told, where that is recorded. */
  readonly sealer: JudgedSealer | undefined
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
  readonly #delivery: Delivery
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
  /** The write of the operation event, while it may be on its way. */
  #telling: Promise<void> | undefined

  constructor(context: RequestContext, res: GuardResponse, means: RecordMeans) {
    this.#context = context
    this.#req = context.req
    this.#outer = applicationOf(context.req)
    this.#res = res
    this.#means = means
    recordReads(context, res, this)
    context.rememberPeer()
    this.#delivery = new Delivery(res)
    this.#delivery.whenOver(() => this.over())
  }

  /** Why the response cannot be held; `undefined` where it can. */
  get notHeldBecause(): string | undefined {
    return this.#delivery.whyNotHeld
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
    if (gate === undefined) this.#context.keep(GATE, new Gate(this.#res, this, this.#delivery))
    else gate.add(this)
  }

  refuse(res: GuardResponse): void {
    this.#means.refuse(this.#context, res)
  }

  /** Hands over what has happened since; with the head of the response the operation too. */
  before(status: number | undefined): void | Promise<void> {
    if (this.#silent) return undefined
    let events: AuditEvent[] | undefined = this.#log?.take()
    const tells = this.#told === undefined && status !== undefined
    if (tells) {
      const operation = this.#operation({ outcome: this.#refused ? 'refused' : 'answered', status })
      if (events === undefined) events = [operation]
      else events.push(operation)
    }
    if (events === undefined || events.length === 0) return undefined
    const recorded = this.#means.recorder.record(events)
    if (tells && recorded !== undefined) this.#telling = recorded
    return recorded
  }

  over(): void {
    if (this.#ended) return
    this.#ended = true
    const { recorder } = this.#means
    const gate = gateOf(this.#context)
    gate?.close()
    if (this.#silent) return
    const told = this.#told
    const end = told !== undefined && gate?.wholeAnswerLeft === true ? told : this.#end(gate)
    if (told === end && this.#log === undefined) return
    const events = this.#log?.take() ?? []
    if (told === undefined) events.push(this.#operation(end))
    else if (told.outcome !== end.outcome || told.status !== end.status) events.push(this.#outcome(end))
    if (events.length > 0) settle(recorder.record(events, this.#telling))
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
    if (!(gate?.wholeAnswerLeft ?? this.#delivery.wholeAnswerLeft)) return { outcome: 'aborted', status }
    return { outcome: this.#refused ? 'refused' : 'answered', status }
  }

  get #refused(): boolean {
    const { decisions } = this.#context
    for (let index = 0; index < decisions.length; index += 1) {
      const { effect, mode } = decisions[index] as Decision
      if (effect === 'deny' && mode === 'enforce') return true
    }
    return false
  }

  #operation(end: End): OperationEvent {
    this.#told = end
    const { options, pseudonymise } = this.#means
    const { address, region, decisions, requestId } = this.#context
    const { appId, actor, actorKind } = this.who()
    const time = isoTime(Date.now())
    // Always the same members in the same order, so that all these events have one shape.
    return {
      version: 1,
      id: randomId(),
      time,
      requestId,
      appId,
      actor,
      actorKind,
      kind: 'operation',
      operation: label(options.operation, this.#req) ?? routeNameOf(this.#req, this.#outer),
      outcome: end.outcome,
      decisions,
      revision: this.#revision ?? this.#context.revision,
      status: end.status,
      address: address === undefined ? undefined : pseudonymise('address', address),
      region: region && { here: region.here, jurisdiction: region.jurisdiction },
      judged: this.#means.sealer === undefined ? undefined : this.#judged(this.#means.sealer, appId, time),
    }
  }

  /** What the guards were told, and which revisions of lists they asked. */
  #judged(sealer: JudgedSealer, appId: string | undefined, time: string): string | undefined {
    const { kept, policy, requestId } = this.#context
    if (kept === undefined || appId === undefined) return undefined
    const { lists = [], denyLists = [] } = policy?.ipWhitelist ?? {}
    const revisions = [...lists, ...denyLists].map(({ name, revision }) => [name, revision] as const)
    try {
      const text = JSON.stringify({ kept, lists: Object.fromEntries(revisions) })
      return sealer.seal(text, { appId, requestId, time })
    } catch {
      // What cannot be written, or a function for keys that fails, must not take the event with it.
      return undefined
    }
  }

  #outcome({ outcome, status }: End): OutcomeEvent {
    const { appId, actor, actorKind } = this.who()
    const { requestId } = this.#context
    const id = randomId()
    const time = isoTime(Date.now())
    return { version: 1, id, time, requestId, appId, actor, actorKind, kind: 'outcome', outcome, status }
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
