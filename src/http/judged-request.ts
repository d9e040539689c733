import type { DenialCode } from '../decision.ts'
import type { KeptFacts } from '../guards/kept-facts.ts'
import type { CompiledPolicy } from '../policy/compile.ts'
import type { App, PolicySource } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import type { Callback, GuardRequest } from './handler.ts'
import { askOption } from './request/ask-option.ts'
import type { RequestFacts } from './request/facts.ts'

/** Says which app calls: its id, or `undefined` when the request names none. */
export type AppIdReader = Callback<[req: GuardRequest], string | undefined | PromiseLike<string | undefined>>

// A registered symbol, for the build that judges may be another; and a name that no app and no `Object.prototype` has.
const unresolved: unique symbol = Symbol.for('portcullis.unresolved')

/** Why there is no app to judge by. */
export interface Unresolved {
  readonly [unresolved]: true
  readonly code: Extract<DenialCode, 'APP_UNIDENTIFIED' | 'APP_UNKNOWN' | 'POLICY_UNAVAILABLE'>
  readonly detail: string
  /** What the store has thrown, for those who develop. */
  readonly error: unknown
}

/** Whether there is no app. */
/** Whether the app that the request names does not exist. */
export function isUnknown(resolution: App | Unresolved): boolean {
  return isUnresolved(resolution) && resolution.code === 'APP_UNKNOWN'
}

export function isUnresolved(resolution: App | Unresolved): resolution is Unresolved {
  return unresolved in resolution
}

/** By what the calling app is found. */
interface Resolving {
  readonly policies: PolicySource
  readonly appId: AppIdReader
  readonly optionTimeout: number
}

/** An effect that happens once for each request, whatever number of guards asks for it. */
interface Effect {
  readonly place: object
  readonly appId: string
  readonly key: string
  readonly result: unknown
  readonly before: Effect | undefined
}

/** A request as it is judged: its facts, the app that calls, and what has been claimed for it. It needs no response. */
export class JudgedRequest {
  readonly facts: RequestFacts
  /** What options that are functions are given. */
  readonly req: GuardRequest
  /** What guards were told, in turn, where that is to be recorded. */
  kept: (KeptFacts | undefined)[] | undefined
  #policies: PolicySource | undefined
  #askedId: string | undefined
  #resolution: App | Unresolved | Promise<App | Unresolved> | undefined
  #app: App | undefined
  /** The one that was remembered last. */
  #effect: Effect | undefined

  constructor(req: GuardRequest, facts: RequestFacts) {
    this.req = req
    this.facts = facts
  }

  /** The app by whose policy the request was last judged; `undefined` until one is identified. */
  get app(): App | undefined {
    return this.#app
  }

  /** The id that the request named last, whether or not there is an app of that id. */
  get askedId(): string | undefined {
    return this.#askedId
  }

  get policy(): CompiledPolicy | undefined {
    return this.#app?.policy
  }

  /**
   * The app that calls. The reader is asked each time, because a router may have found out more since. For one source and
   * one id the first answer stands, so that a request is judged by one revision. A promise only when the reader gives one,
   * or memory does not know the app.
   *
   * @throws OptionFailure
   */
  resolve({ policies, appId, optionTimeout }: Resolving): App | Unresolved | Promise<App | Unresolved> {
    const id: unknown = askOption(appId, this.req, 'appId', optionTimeout)
    if (!isThenable(id)) return this.#find(policies, id)
    return Promise.resolve(id).then((settled) => this.#find(policies, settled))
  }

  #find(policies: PolicySource, id: unknown): App | Unresolved | Promise<App | Unresolved> {
    if (typeof id !== 'string' || id === '') {
      this.#app = undefined
      return UNIDENTIFIED
    }
    const known = this.#resolution
    if (known !== undefined && this.#policies === policies && this.#askedId === id) {
      return isThenable(known) ? known : this.#settle(known)
    }
    this.#policies = policies
    this.#askedId = id
    const app = policies.peek(id)
    if (app !== undefined) return this.#settle(app ?? UNKNOWN)
    // A guard that is asked beside this one may look for another app meanwhile, whose place this one must not take.
    const settle = (resolution: App | Unresolved): App | Unresolved =>
      this.#resolution === loading ? this.#settle(resolution) : resolution
    const loading: Promise<App | Unresolved> = Promise.resolve(policies.load(id)).then(
      (loaded) => settle(loaded ?? UNKNOWN),
      (error: unknown) => settle(unavailable(error)),
    )
    this.#resolution = loading
    return loading
  }

  #settle(resolution: App | Unresolved): App | Unresolved {
    this.#app = isUnresolved(resolution) ? undefined : resolution
    this.#resolution = resolution
    return resolution
  }

  /** What became of an effect at this place that was asked for earlier in this request; `undefined`: it was not. */
  recallEffect(place: object, appId: string, key: string): unknown {
    let found: Effect | undefined
    // Of two of one name the first stands.
    for (let effect = this.#effect; effect !== undefined; effect = effect.before) {
      if (effect.place === place && effect.appId === appId && effect.key === key) found = effect
    }
    return found?.result
  }

  /** Remembers the result of an effect for an app, or the promise of it. It stands for the rest of the request. */
  rememberEffect(place: object, appId: string, key: string, result: unknown): void {
    this.#effect = { place, appId, key, result, before: this.#effect }
  }
}

const UNIDENTIFIED: Unresolved = {
  [unresolved]: true,
  code: 'APP_UNIDENTIFIED',
  detail: 'the request names no app',
  error: undefined,
}
const UNKNOWN: Unresolved = {
  [unresolved]: true,
  code: 'APP_UNKNOWN',
  detail: 'there is no such app',
  error: undefined,
}

function unavailable(error: unknown): Unresolved {
  const detail = error instanceof Error ? error.message : 'the store could not be read'
  return { [unresolved]: true, code: 'POLICY_UNAVAILABLE', detail, error }
}
