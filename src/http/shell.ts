import { deny, type Decision, type GuardName, type Refusal } from '../decision.ts'
import { decideDomainProtect } from '../guards/domain-protect.ts'
import type { Guard } from '../guards/guard.ts'
import { aFunction, objectWith, required, type Expectation } from '../options.ts'
import type { App, PolicySource } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import { appIdFrom } from './request/app-id.ts'
import { contextOf, type AppIdReader, type RequestContext, type Unresolved } from './request/context.ts'
import { writeCors, writeCorsOfRefusal } from './response/cors.ts'
import { sendProblem } from './response/problem.ts'
import type { Callback, GuardRequest, GuardResponse, NextFunction, RequestHandler } from './handler.ts'
import { judgeUnnamedPreflight } from './unnamed-preflight.ts'

/** The options that all guards share. */
export interface SharedOptions {
  /** Where policies come from; made by `createPolicySource`. */
  readonly policies: PolicySource
  /** Says which app calls. Default `appIdFrom({ header: 'x-app-id' })`. */
  readonly appId?: Callback<[req: GuardRequest], string | undefined> | undefined
  /**
   * Answers a refusal in place of the problem document. Call `next` only with an error: without one the request would
   * pass. When it throws, the problem document is sent after all.
   */
  readonly onDeny?:
    Callback<[decision: Refusal, req: GuardRequest, res: GuardResponse, next: NextFunction], void> | undefined
  /** Told of every refusal that `report` mode has let pass. */
  readonly onReport?: Callback<[decision: Refusal, req: GuardRequest], void> | undefined
  /** Makes the id of a request. Default: a random UUID. */
  readonly requestId?: (() => string) | undefined
}

export const SHARED_EXPECTATIONS: Readonly<Record<keyof SharedOptions, Expectation>> = {
  policies: required(objectWith('a policy source made by createPolicySource()', 'peek', 'load')),
  appId: aFunction,
  onDeny: aFunction,
  onReport: aFunction,
  requestId: aFunction,
}

/** One guard as the shell mounts it. */
export interface GuardSpec<Facts, Answer extends Decision> {
  readonly name: GuardName
  readonly guard: Guard<Facts, Answer>
  /** Facts for the guard. Read only when the policy has the protection and it is not off. */
  facts(context: RequestContext, app: App, req: GuardRequest): Facts
  /** Before anything is decided, whoever calls. */
  begin?(context: RequestContext, req: GuardRequest, res: GuardResponse): void
  /** Answers for an app that does not exist, where `APP_UNKNOWN` would tell too much. */
  stranger?(context: RequestContext, req: GuardRequest): Decision
  /** An effect that an allowance depends on. It comes after every pure check. */
  claim?(answer: Answer, app: App): Decision | Promise<Decision>
  /** Leaves what handlers need in the context, in every mode. */
  note?(decision: Answer | Decision, context: RequestContext, req: GuardRequest): void
  /** Writes to the response in `enforce`. True: it has answered. */
  write?(decision: Answer | Decision, context: RequestContext, req: GuardRequest, res: GuardResponse): boolean
  /** Members that the problem document of this refusal has in development. */
  explain?(decision: Refusal): Readonly<Record<string, unknown>> | undefined
  /** This guard cannot judge a preflight, which has neither body nor credentials. */
  readonly blindToPreflight?: boolean
}

/** Turns a guard into Express: decides inside of a `try`, and passes on outside of it. */
export function mount<Facts, Answer extends Decision>(
  spec: GuardSpec<Facts, Answer>,
  options: SharedOptions,
): RequestHandler {
  const { policies, onDeny, onReport, requestId } = options
  const appIdReader: AppIdReader = options.appId ?? DEFAULT_APP_ID

  function judge(
    context: RequestContext,
    req: GuardRequest,
    res: GuardResponse,
  ): Decision | Promise<Decision> {
    spec.begin?.(context, req, res)
    const resolution = context.resolve(policies, appIdReader)
    return isThenable(resolution)
      ? resolution.then((settled) => decide(settled, context, req))
      : decide(resolution, context, req)
  }

  function decide(
    app: App | Unresolved,
    context: RequestContext,
    req: GuardRequest,
  ): Decision | Promise<Decision> {
    if ('code' in app) {
      if (app.code === 'APP_UNKNOWN' && spec.stranger !== undefined) return spec.stranger(context, req)
      const { origin, preflight } = context.facts
      if (app.code === 'APP_UNIDENTIFIED' && preflight && policies.knowsOrigins) {
        return judgeUnnamedPreflight(policies, origin ?? '')
      }
      return deny(spec.name, 'enforce', app.code, app.detail)
    }
    if (
      spec.blindToPreflight === true &&
      // Only a guard that enforces may answer: report and off change nothing.
      app.policy[spec.name]?.mode === 'enforce' &&
      app.policy.domainProtect?.mode === 'enforce' &&
      context.facts.preflight
    ) {
      return decideDomainProtect(app.policy, context.facts)
    }
    const answer = spec.guard(app.policy, spec.facts(context, app, req))
    if (spec.claim === undefined || answer.code !== 'ALLOWED') return answer
    return spec.claim(answer as Answer, app)
  }

  function settle(
    decision: Decision,
    context: RequestContext,
    req: GuardRequest,
    res: GuardResponse,
    next: NextFunction,
  ): void {
    let pass: boolean
    try {
      pass = carryOut(decision, context, req, res, next)
    } catch {
      pass = false
      if (!res.headersSent) sendProblem(res, 'POLICY_UNAVAILABLE', context.requestId)
    }
    if (pass) next()
  }

  /** Whether the request goes on. */
  function carryOut(
    decision: Decision,
    context: RequestContext,
    req: GuardRequest,
    res: GuardResponse,
    next: NextFunction,
  ): boolean {
    context.record(decision)
    spec.note?.(decision, context, req)
    if (decision.mode !== 'enforce') {
      if (decision.effect === 'deny') report(decision, req)
      return true
    }
    // The answer went out or the caller went away while we waited.
    if (res.headersSent || res.destroyed) return false
    if (decision.guard === 'domainProtect') {
      if (writeCors(decision, context, res)) return false
    } else {
      if (decision.effect === 'deny') writeCorsOfRefusal(context, res)
      if (spec.write?.(decision, context, req, res) === true) return false
    }
    if (decision.effect === 'allow') return true
    refuse(decision, context, req, res, next)
    return false
  }

  function report(decision: Refusal, req: GuardRequest): void {
    try {
      const returned: unknown = onReport?.(decision, req)
      if (isThenable(returned)) returned.then(undefined, () => undefined)
    } catch {
      // Report mode changes nothing, whatever its listener does.
    }
  }

  function refuse(
    decision: Refusal,
    context: RequestContext,
    req: GuardRequest,
    res: GuardResponse,
    next: NextFunction,
  ): void {
    const send = (): void => sendProblem(res, decision.code, context.requestId, spec.explain?.(decision))
    if (onDeny === undefined) {
      send()
      return
    }
    const fallBack = (): void => {
      if (!res.headersSent) send()
    }
    try {
      const returned: unknown = onDeny(decision, req, res, next)
      if (isThenable(returned)) returned.then(undefined, fallBack)
    } catch {
      fallBack()
    }
  }

  const handler: RequestHandler = (req, res, next) => {
    const context = contextOf(req, requestId)
    let decision: Decision | Promise<Decision>
    try {
      decision = judge(context, req, res)
    } catch (error) {
      decision = broken(spec.name, error)
    }
    if (!isThenable(decision)) {
      settle(decision, context, req, res, next)
      return
    }
    // Through nextTick a fault of the application behind `next` stays an uncaught exception and does not become a
    // rejection of our promise.
    const settleLater = (settled: Decision): void =>
      process.nextTick(settle, settled, context, req, res, next)
    decision.then(settleLater, (error: unknown) => settleLater(broken(spec.name, error)))
  }
  Object.defineProperty(handler, 'name', { value: spec.name })
  return handler
}

const DEFAULT_APP_ID: AppIdReader = appIdFrom({ header: 'x-app-id' })

/** A fault of ours or of an option refuses. */
function broken(guard: GuardName, error: unknown): Refusal {
  const name = error instanceof Error ? error.name : typeof error
  return deny(guard, 'enforce', 'POLICY_UNAVAILABLE', `the guard failed with ${name}`)
}
