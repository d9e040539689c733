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
  /** Options that return labels. Their results are not trusted. */
  readonly options: {
    readonly actor?: ((req: GuardRequest) => unknown) | undefined
    readonly operation?: ((req: GuardRequest) => unknown) | undefined
    readonly why?: ((req: GuardRequest) => unknown) | undefined
  }
  readonly recorder: Recorder
  readonly pseudonymise: Pseudonymise
  /** Encrypts the facts that the guards judged; `undefined` if these are not recorded. */
  readonly sealer: JudgedSealer | undefined
  /** Sends the refusal if the events of a request were not stored. */
  readonly refuse: (context: RequestContext, res: GuardResponse) => void
}

/** How a request ended. */
interface End {
  readonly outcome: Outcome
  readonly status: number | undefined
}

/**
 * Collects the events of one request for the sink of one `auditAccess`. All mounts share the request's session of reads, but each
 * has its own record.
 */
export class RequestRecord implements GateKeeper, ReadLogOptions {
  readonly #context: RequestContext
  readonly #req: GuardRequest
  readonly #res: GuardResponse
  readonly #delivery: Delivery
  readonly #means: RecordMeans
  /** The application that received the request. Its routers give the operation its name. */
  readonly #outer: ReturnType<typeof applicationOf>
  /** `undefined` until a handler uses the reads. */
  #log: ReadLog | undefined
  #appId: string | undefined
  #revision: number | undefined
  #mode: Mode | undefined
  #silent = false
  #ended = false
  /** The end that the operation event states; `undefined` until that event exists. */
  #told: End | undefined
  /** The write of the operation event, which may be pending. */
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

  /** Why the response cannot be held; `undefined` if it can. */
  get notHeldBecause(): string | undefined {
    return this.#delivery.whyNotHeld
  }

  /** Notes the app that this mount has judged. A later mount may judge another app. */
  judged(mode: Mode): void {
    this.#mode = mode
    this.#appId = this.#context.appId
    this.#revision = this.#context.revision
    // Makes the context remember the address, which may be unavailable after the caller has disconnected.
    void this.#context.address
  }

  /** Stops recording. */
  silence(): void {
    this.#silent = true
    this.#log?.silence()
  }

  /** Logs the reads of the request, including those made before this call. */
  log(session: RecordedSession): void {
    this.#log = session.attach(this)
    if (this.#silent) this.#log.silence()
    else if (this.#ended) this.#finish()
  }

  get reads(): ReadsMeans {
    return this.#means
  }

  /** The purpose that the `why` option returns. */
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

  /** From now on, holds each byte of the response until the events before it are stored. */
  hold(): void {
    const gate = gateOf(this.#context)
    if (gate === undefined) this.#context.keep(GATE, new Gate(this.#res, this, this.#delivery))
    else gate.add(this)
  }

  refuse(res: GuardResponse): void {
    this.#means.refuse(this.#context, res)
  }

  /** Records the events since the last call and, with the head of the response, the operation event. */
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

  /** Sends later reads to the sink directly. */
  #finish(): void {
    this.#log?.finish((late) => settle(this.#means.recorder.record(late)))
  }

  /** What the caller received. */
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
    // Always the same members in the same order: all these events then share one hidden class.
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

  /**
   * The facts that the guards judged and the digests of the lists they used, encrypted. A list that did not exist has `null` as
   * digest.
   */
  #judged(sealer: JudgedSealer, appId: string | undefined, time: string): string | undefined {
    const { kept, policy, requestId } = this.#context
    if (kept === undefined || appId === undefined) return undefined
    const { lists = [], denyLists = [] } = policy?.ipWhitelist ?? {}
    const digests = [...lists, ...denyLists].map(
      ({ name, exists, digest }) => [name, exists ? digest : null] as const,
    )
    try {
      const text = JSON.stringify({ kept, lists: Object.fromEntries(digests) })
      return sealer.seal(text, { appId, requestId, time })
    } catch {
      // If serialising or the key function fails, the event is recorded without the facts.
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

/** No caller waits for these events. If the sink fails, the recorder keeps the events and reports the failure. */
function settle(written: void | Promise<void>): void {
  if (isThenable(written)) written.then(undefined, () => undefined)
}

/** The label that an option returns; `undefined` if the option fails or returns none. */
function label(option: ((req: GuardRequest) => unknown) | undefined, req: GuardRequest): string | undefined {
  if (option === undefined) return undefined
  try {
    const name = askNow(option, 'label', req)
    return typeof name === 'string' && name !== '' ? name : undefined
  } catch {
    return undefined
  }
}
