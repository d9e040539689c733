import { randomBytes, randomUUID } from 'node:crypto'
import { createPseudonyms, type AuditEvent, type OperationEvent, type Pseudonymise } from '../audit/event.ts'
import type { FieldGetters } from '../audit/personal-view.ts'
import { createRecorder, type Recorder, type RecorderOptions } from '../audit/recorder.ts'
import { createAuditSession } from '../audit/session.ts'
import type { AuditSink } from '../audit/sink.ts'
import { decideAuditAccess, type AuditFacts, type AuditOutcome } from '../guards/audit-access.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber, type Expectation } from '../options.ts'
import { askNow } from './request/ask-option.ts'
import type { RequestContext } from './request/context.ts'
import { applicationOf, routeNameOf } from './request/route-name.ts'
import { writeCorsOfRefusal } from './response/cors.ts'
import { gateResponse } from './response/gate.ts'
import { isThenable } from '../thenable.ts'
import {
  CLIENT_ADDRESS_EXPECTATION,
  clientAddressReader,
  type ClientAddressOption,
} from './request/client-address.ts'
import { sendProblem } from './response/problem.ts'
import type { Callback, GuardRequest, GuardResponse, RequestHandler } from './handler.ts'
import { mount, SHARED_EXPECTATIONS, type Expectations, type Mount, type SharedOptions } from './shell.ts'

export interface AuditAccessOptions extends SharedOptions {
  /** Where events go: `redisAuditSink(redis)`, `memoryAuditSink()` or your own. */
  readonly sink: AuditSink
  /**
   * The key of the pseudonyms of persons, addresses and actors, at least 32 bytes. Default: a random one, so that
   * pseudonyms of another process or another run cannot be compared.
   */
  readonly pseudonymKey?: Uint8Array | undefined
  /** Who acts for the app, such as the member of staff who is signed in. Only a pseudonym is recorded. */
  readonly actor?: Callback<[req: GuardRequest], string | undefined> | undefined
  /**
   * Names the operation. Default: the method and the pattern of the route with those of its mount paths, such as
   * `GET /people/:email/orders`; where no route was reached, the method and the pattern of the mount path. It holds no value
   * from the request. `*` stands for a mount path that cannot be found in the routers: name the operation yourself there.
   */
  readonly operation?: Callback<[req: GuardRequest], string> | undefined
  /** How long the sink may take, in milliseconds. Default 250. */
  readonly sinkTimeout?: number | undefined
  /** How many events may wait in memory for a sink that fails. Default 10 000. */
  readonly maxBacklog?: number | undefined
  /** Told of every failure of the sink. */
  readonly onError?: RecorderOptions['onError']
  /** As for `ipWhitelist`: how to find the client behind proxies. */
  readonly clientAddress?: ClientAddressOption | undefined
}

const PSEUDONYM_KEY: Expectation = {
  expected: 'at least 32 bytes in a Uint8Array',
  secret: true,
  accepts: (value) => value instanceof Uint8Array && value.length >= 32,
}

/**
 * Records one event per request, with the trail of all guards, and one for each field of personal data that a handler reads
 * through `req.portcullis.audit.person(id, record)`. Mount it ahead of the other guards.
 *
 * With `onSinkFailure: "deny"` no byte of a response leaves before its events are kept; if they are not within
 * `sinkTimeout` the answer is `AUDIT_UNAVAILABLE` (503), and so is every request until the sink has taken what waits.
 * Events that were not kept wait in the memory of the process, at most `maxBacklog`, and are sent again: at least once
 * each, unless the process dies first.
 *
 * @throws ConfigError
 */
export function auditAccess(options: AuditAccessOptions): RequestHandler {
  const settings = checkOptions<AuditAccessOptions>('auditAccess', options, {
    ...SHARED_EXPECTATIONS,
    ...AUDIT_ACCESS_EXPECTATIONS,
  })
  return mount(auditAccessMount(settings, 'auditAccess'), settings)
}

export const AUDIT_ACCESS_EXPECTATIONS = {
  sink: required(objectWith('an audit sink: an object with a method `write`', 'write')),
  pseudonymKey: PSEUDONYM_KEY,
  actor: aFunction,
  operation: aFunction,
  sinkTimeout: wholeNumber('milliseconds', 1, 60_000),
  maxBacklog: wholeNumber('events', 0),
  onError: aFunction,
  clientAddress: CLIENT_ADDRESS_EXPECTATION,
} satisfies Expectations<AuditAccessOptions>

/** @param name What the options are called in an error. */
export function auditAccessMount(options: AuditAccessOptions, name: string): Mount<AuditFacts, AuditOutcome> {
  const recorder = createRecorder(options)
  const pseudonymise = createPseudonyms(options.pseudonymKey ?? randomBytes(32))
  const reader = clientAddressReader(options.clientAddress, `${name}.clientAddress`)
  const getters: FieldGetters = new Map()
  const recordOf = (context: RequestContext): RequestRecord | undefined =>
    context.recall(recorder) as RequestRecord | undefined
  return {
    name: 'auditAccess',
    guard: decideAuditAccess,
    begin: (context, res) => {
      context.useAddressReader(reader)
      if (recordOf(context) === undefined)
        context.keep(
          recorder,
          recordRequest(context, context.req, res, { options, recorder, pseudonymise, getters }),
        )
    },
    facts: () => ({ sinkFailing: recorder.failing }),
    note: ({ decision }, context) => {
      if (decision.mode === 'off') recordOf(context)?.silence()
    },
    write: ({ outcome }, context, res) => {
      if (outcome?.onSinkFailure === 'deny') {
        gateResponse(res, {
          before: () => recordOf(context)?.flush(),
          refuse: () => {
            writeCorsOfRefusal(context, res)
            sendProblem(res, 'AUDIT_UNAVAILABLE', context.requestId)
          },
        })
      }
      return false
    },
  }
}

/** The events of one request on their way to the sink. */
interface RequestRecord {
  /** Hands over what has happened since; the first time the operation too, whose status and trail are settled by then. */
  flush(): void | Promise<void>
  silence(): void
}

interface Means {
  readonly options: AuditAccessOptions
  readonly recorder: Recorder
  readonly pseudonymise: Pseudonymise
  /** Shared by the views of all requests. */
  readonly getters: FieldGetters
}

function recordRequest(
  context: RequestContext,
  req: GuardRequest,
  res: GuardResponse,
  means: Means,
): RequestRecord {
  const { options, recorder, pseudonymise, getters } = means
  const outer = applicationOf(req)
  let finished = false
  let silent = false
  const who = (): { appId?: string; actor?: string } => {
    const actor = attempt(() => options.actor?.(req))
    return {
      ...(context.appId !== undefined && { appId: context.appId }),
      ...(actor !== undefined && { actor: pseudonymise('actor', actor) }),
    }
  }
  const session = createAuditSession({
    requestId: context.requestId,
    who,
    pseudonymise,
    now: Date.now,
    getters,
  })
  context.audit = session

  function operation(): OperationEvent {
    const answered = res.writableEnded || res.headersSent || !res.destroyed
    const refused = context.decisions.some(({ effect, mode }) => effect === 'deny' && mode === 'enforce')
    const { address, region, revision, decisions } = context
    return {
      kind: 'operation',
      version: 1,
      id: randomUUID(),
      time: new Date().toISOString(),
      requestId: context.requestId,
      ...who(),
      ...(revision !== undefined && { revision }),
      operation: attempt(() => options.operation?.(req)) ?? routeNameOf(req, outer),
      outcome: refused ? 'refused' : answered ? 'answered' : 'aborted',
      ...(answered && { status: res.statusCode }),
      ...(address !== undefined && { address: pseudonymise('address', address) }),
      ...(region && { region: { here: region.here, jurisdiction: region.jurisdiction } }),
      decisions,
    }
  }

  function flush(): void | Promise<void> {
    if (silent) return undefined
    const events: AuditEvent[] = session.take()
    if (!finished) {
      finished = true
      events.push(operation())
    }
    return events.length === 0 ? undefined : recorder.record(events)
  }

  res.once('close', () => {
    settle(flush())
    session.finish((events) => settle(recorder.record(events)))
  })
  return {
    flush,
    silence() {
      silent = true
      session.silence()
    },
  }
}

/** Nobody waits for these events; the recorder keeps them and reports. */
function settle(recorded: void | Promise<void>): void {
  if (isThenable(recorded)) recorded.then(undefined, () => undefined)
}

/** A label that cannot be had is left out. */
function attempt(option: (() => unknown) | undefined): string | undefined {
  if (option === undefined) return undefined
  try {
    const answer = askNow(option, 'label')
    return typeof answer === 'string' && answer !== '' ? answer : undefined
  } catch {
    return undefined
  }
}
