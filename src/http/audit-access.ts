import { randomBytes } from 'node:crypto'
import { createPseudonyms } from '../audit/event.ts'
import { runJob, type JobOptions } from '../audit/job.ts'
import { judgedSealer, type JudgedKey } from '../audit/judged-facts.ts'
import { compileModels, PERSONAL_MODELS, type PersonalModels } from '../audit/models.ts'
import { createRecorder, type RecorderOptions } from '../audit/recorder.ts'
import { Scope } from '../audit/scope.ts'
import type { AuditSession } from '../audit/session.ts'
import type { AuditSink } from '../audit/sink.ts'
import { deny } from '../decision.ts'
import { decideAuditAccess, type AuditFacts, type AuditOutcome } from '../guards/audit-access.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber, type Expectation } from '../options.ts'
import { RequestRecord, type RecordMeans } from './audit-record.ts'
import { refusalLines } from './console-line.ts'
import type { DescribedQuestion } from './described-request.ts'
import type { Callback, GuardRequest, RequestHandler } from './handler.ts'
import { A_SHARE, LEAK_GUARD, leakGuardSettings, type LeakGuard } from './leak-guard.ts'
import {
  CLIENT_ADDRESS_EXPECTATION,
  clientAddressReader,
  type ClientAddressOption,
} from './request/client-address.ts'
import type { Actor } from './request/actor.ts'
import { findContext, RequestContext } from './request/context.ts'
import { writeCorsOfRefusal } from './response/cors.ts'
import { sendProblem } from './response/problem.ts'
import { SHARED_EXPECTATIONS, type Expectations, type SharedOptions } from './shared-options.ts'
import { mount } from './shell.ts'
import type { Mount } from './step.ts'

export interface AuditAccessOptions extends SharedOptions {
  /** Where events go: `redisAuditSink(redis)`, `memoryAuditSink()` or your own. */
  readonly sink: AuditSink
  /**
   * The key for the pseudonyms of persons, addresses and actors, at least 32 bytes. Default: a random key, so pseudonyms differ
   * between processes and runs.
   */
  readonly pseudonymKey?: Uint8Array | undefined
  /**
   * The person or program that acts for the app, such as the member of staff who is signed in: `{ id, kind: 'staff' }`. Only a
   * pseudonym is recorded.
   */
  readonly actor?: Callback<[req: GuardRequest], Actor | undefined> | undefined
  /**
   * The purpose for which personal data is used, if the read itself gives none: a header of your back office, for example. Members
   * of staff cannot read anything without a purpose.
   */
  readonly why?: Callback<[req: GuardRequest], string | undefined> | undefined
  /**
   * Describes the rows of your database: see `PersonalModel`. With models, `rows()` of this handler finds the current request
   * itself.
   */
  readonly models?: PersonalModels | undefined
  /**
   * What to do if a response contains a value of a sealed record although no read of the field is recorded. `stop`: the handler
   * gets an error, and the response is not sent; a `leak` event is recorded. `report`: only the event. Default: `report` if
   * NODE_ENV is `production`, otherwise `stop`. It finds common mistakes, not every leak: see docs/guards/audit-access.md.
   */
  readonly leakGuard?: LeakGuard | undefined
  /** The share of the requests that `leakGuard` checks, from 0 to 1. Default: 0.01 in production, otherwise 1. */
  readonly leakShare?: number | undefined
  /**
   * Names the operation. Default: the method and the pattern of the route with those of its mount paths, such as `GET
   * /people/:email/orders`; if no route was reached, the method and the pattern of the mount path. It contains no values from the
   * request. `*` is written for a mount path that cannot be found in the routers: name the operation yourself there.
   */
  readonly operation?: Callback<[req: GuardRequest], string> | undefined
  /** How long the sink may take, in milliseconds. Default 250. */
  readonly sinkTimeout?: number | undefined
  /**
   * Keeps the facts by which the guards judged each request (address, origin, return URL, country), encrypted: `rejudge` can then
   * judge it again. Mount `auditAccess` before the guards. Default: nothing is kept.
   */
  readonly judgements?: { readonly key: JudgedKey } | undefined
  /** The most events that wait in memory while the sink fails. Default 10,000. */
  readonly maxBacklog?: number | undefined
  /** Called on every failure of the sink. */
  readonly onError?: RecorderOptions['onError']
  /** As for `ipWhitelist`: how to find the client behind proxies. */
  readonly clientAddress?: ClientAddressOption | undefined
}

/** The middleware, with methods for jobs and for an orderly shutdown. */
export interface AuditAccessHandler extends RequestHandler {
  /**
   * Like `req.portcullis.audit.rows`, for code without access to the request, such as a database adapter. It belongs to the
   * current request or job. Needs the option `models`.
   *
   * @throws UsageError outside of both
   */
  readonly rows: AuditSession['rows']
  /** The `req.portcullis.audit` of the current request or job. Needs the option `models`. */
  current(): AuditSession
  /** Runs work that reads personal data without a request, such as a job of a queue. See {@link runJob}. */
  run<T>(options: JobOptions, work: (audit: AuditSession) => T | Promise<T>): Promise<T>
  /**
   * Sends the waiting events. Resolves when the sink has stored all events recorded so far.
   *
   * @throws UnavailableError (as a rejection) if the sink does not store them; they keep waiting
   */
  flush(): Promise<void>
  /**
   * Like `flush`, and closes the handler: call it when the server is closed and no request is being handled. Later events are
   * lost and reported to `onError`, and requests that must be recorded are refused.
   *
   * @throws UnavailableError (as a rejection) if the sink does not store them; they are lost
   */
  close(): Promise<void>
}

const PSEUDONYM_KEY: Expectation = {
  expected: 'at least 32 bytes in a Uint8Array',
  secret: true,
  accepts: (value) => value instanceof Uint8Array && value.length >= 32,
}

const JUDGEMENTS: Expectation = {
  expected:
    'an object with `key`: 32 bytes in a Uint8Array, or a function that returns the key for an app and a month',
  secret: true,
  accepts: (value) => {
    const { key } = (value ?? {}) as { readonly key?: unknown }
    return typeof key === 'function' || (key instanceof Uint8Array && key.length >= 32)
  },
}

/**
 * Records one event per request, with the trail of all guards, and one for each field of personal data that a handler reads
 * through `req.portcullis.audit.person(id, record)`. Mount it before the other guards.
 *
 * With `onSinkFailure: "deny"` no byte of a response is sent before its events are stored. If the sink does not store them within
 * `sinkTimeout`, the response is `AUDIT_UNAVAILABLE` (503), as is every response until the sink has stored the waiting events.
 * Events that were not stored wait in the memory of the process, at most `maxBacklog`, and are sent again: at least once each,
 * unless the process dies first.
 *
 * @throws ConfigError
 */
export function auditAccess(options: AuditAccessOptions): AuditAccessHandler {
  const settings = checkOptions<AuditAccessOptions>('auditAccess', options, {
    ...SHARED_EXPECTATIONS,
    ...AUDIT_ACCESS_EXPECTATIONS,
  })
  const audit = auditAccessMount(settings, 'auditAccess')
  return withMeans(mount(audit, settings), audit)
}

export const AUDIT_ACCESS_EXPECTATIONS = {
  sink: required(
    objectWith('an audit sink such as memoryAuditSink(): an object with a method `write`', 'write'),
  ),
  pseudonymKey: PSEUDONYM_KEY,
  actor: aFunction,
  why: aFunction,
  models: PERSONAL_MODELS,
  leakGuard: LEAK_GUARD,
  leakShare: A_SHARE,
  operation: aFunction,
  judgements: JUDGEMENTS,
  sinkTimeout: wholeNumber('milliseconds', 1, 60_000),
  maxBacklog: wholeNumber('events', 0),
  onError: aFunction,
  clientAddress: CLIENT_ADDRESS_EXPECTATION,
} satisfies Expectations<AuditAccessOptions>

/** Only for the refusal line. The guard itself has allowed the request. */
const NOT_KEPT = deny(
  'auditAccess',
  'enforce',
  'AUDIT_UNAVAILABLE',
  'the sink did not store the events of the request',
)

/** The methods that `auditAccess` adds to its handler. */
type AuditMeans = Omit<AuditAccessHandler, keyof RequestHandler>

export type AuditMount = Mount<AuditFacts, AuditOutcome> & {
  readonly means: AuditMeans
  /** Set if later handlers find the current request by themselves, which needs the option `models`. */
  readonly scope: Scope | undefined
}

/** Adds the methods for reads, jobs and shutdown to a handler. */
export function withMeans(handler: RequestHandler, { means, scope }: AuditMount): AuditAccessHandler {
  if (scope === undefined) return Object.assign(handler, means)
  const scoped: RequestHandler = (req, res, next) =>
    handler(req, res, (error) => {
      const context = findContext(req)
      if (error !== undefined || context === undefined) next(error)
      else scope.run(context, next)
    })
  Object.defineProperty(scoped, 'name', { value: handler.name })
  return Object.assign(scoped, means)
}

/** @param name the name of the options in an error */
export function auditAccessMount(options: AuditAccessOptions, name: string): AuditMount {
  const lines = refusalLines(options.logger)
  let failure: Error | undefined
  const onError: RecorderOptions['onError'] = (error, backlog) => {
    failure = error
    return options.onError?.(error, backlog)
  }
  const recorder = createRecorder(lines === undefined ? options : { ...options, onError })
  const reader = clientAddressReader(options.clientAddress, `${name}.clientAddress`)
  const models = compileModels(`${name}.models`, options.models ?? {})
  const scope = new Scope()
  const means: RecordMeans = {
    options,
    recorder,
    pseudonymise: createPseudonyms(options.pseudonymKey ?? randomBytes(32)),
    getters: new Map(),
    models,
    sealer: options.judgements === undefined ? undefined : judgedSealer(options.judgements.key),
    leakGuard: leakGuardSettings(options.leakGuard, options.leakShare),
    refuse: (context, res) => {
      lines?.tell(NOT_KEPT, context, { error: failure })
      writeCorsOfRefusal(context, res)
      sendProblem(res, 'AUDIT_UNAVAILABLE', context.requestId)
    },
  }
  const recordOf = (context: RequestContext): RequestRecord | undefined =>
    context.recall(recorder) as RequestRecord | undefined
  return {
    name: 'auditAccess',
    guard: decideAuditAccess,
    begin: (context, res) => {
      context.useAddressReader(reader)
      if (means.sealer !== undefined) context.kept ??= []
      if (recordOf(context) === undefined) context.keep(recorder, new RequestRecord(context, res, means))
    },
    facts: (request) => ({
      sinkFailing: recorder.failing,
      // A request judged without a response has no record.
      notHeldBecause: request instanceof RequestContext ? recordOf(request)?.notHeldBecause : undefined,
    }),
    note: ({ decision }, context) => {
      const record = recordOf(context)
      if (decision.mode === 'off') record?.silence()
      else record?.judged(decision.mode)
    },
    write: ({ outcome }, context) => {
      if (outcome?.onSinkFailure === 'deny') recordOf(context)?.hold()
      return false
    },
    scope: options.models === undefined ? undefined : scope,
    means: {
      rows: ((...given: Parameters<AuditSession['rows']>) =>
        scope.current.rows(...given)) as AuditSession['rows'],
      current: () => scope.current,
      run: (job, work) => runJob({ ...means, scope }, job, work),
      flush: () => recorder.flush(),
      close: () => recorder.close(),
    },
  }
}

export const describedAuditAccess: DescribedQuestion = ({ sinkFails = false }) => ({
  name: 'auditAccess',
  guard: decideAuditAccess,
  facts: () => ({ sinkFailing: sinkFails }),
})
