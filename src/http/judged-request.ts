import type { DenialCode } from '../decision.ts'
import type { KeptFacts } from '../guards/kept-facts.ts'
import type { CompiledPolicy } from '../policy/compile.ts'
import type { App, PolicySource } from '../source/index.ts'
import { isThenable } from '../thenable.ts'
import type { Callback, GuardRequest } from './handler.ts'
import { askOption } from './request/ask-option.ts'
import type { RequestFacts } from './request/facts.ts'

/** Returns the id of the calling app, or `undefined` if the request names none. */
export type AppIdReader = Callback<[req: GuardRequest], string | undefined | PromiseLike<string | undefined>>

// A registered symbol, because another build of the package may judge; and a name that neither an app nor `Object.prototype` has.
const unresolved: unique symbol = Symbol.for('portcullis.unresolved')

/** Why no app was found for the request. */
export interface Unresolved {
  readonly [unresolved]: true
  readonly code: Extract<DenialCode, 'APP_UNIDENTIFIED' | 'APP_UNKNOWN' | 'POLICY_UNAVAILABLE'>
  readonly detail: string
  /** The error of the store, for developers. */
  readonly error: unknown
}

/** Whether the app that the request names does not exist. */
export function isUnknown(resolution: App | Unresolved): boolean {
  return isUnresolved(resolution) && resolution.code === 'APP_UNKNOWN'
}

export function isUnresolved(resolution: App | Unresolved): resolution is Unresolved {
  return unresolved in resolution
}

/** How to find the calling app. */
interface Resolving {
  readonly policies: PolicySource
  readonly appId: AppIdReader
  readonly optionTimeout: number
}

/** An effect that happens once per request, regardless of how many guards request it. */
interface Effect {
  readonly place: object
  readonly appId: string
  readonly key: string
  readonly result: unknown
  readonly before: Effect | undefined
}

/** A request as it is judged: its facts, the calling app, and the effects claimed for it. It needs no response. */
export class JudgedRequest {
  readonly facts: RequestFacts
  /** The argument of options that are functions. */
  readonly req: GuardRequest
  /** The facts that each guard judged, in order; `undefined` if they are not recorded. */
  kept: (KeptFacts | undefined)[] | undefined
  #policies: PolicySource | undefined
  #askedId: string | undefined
  #resolution: App | Unresolved | Promise<App | Unresolved> | undefined
  #app: App | undefined
  /** The latest effect. */
  #effect: Effect | undefined

  constructor(req: GuardRequest, facts: RequestFacts) {
    this.req = req
    this.facts = facts
  }

  /** The app whose policy was last applied to the request; `undefined` until an app is identified. */
  get app(): App | undefined {
    return this.#app
  }

  /** The id that the request named last, whether or not an app has this id. */
  get askedId(): string | undefined {
    return this.#askedId
  }

  get policy(): CompiledPolicy | undefined {
    return this.#app?.policy
  }

  /**
   * Finds the calling app. The reader is called each time, because a router may have added information. For one source and one id
   * the first result is final, so one revision judges the whole request. Returns a promise only if the reader returns one, or if
   * the app is not in memory.
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
    // A concurrent guard may have started to look for another app, whose place this result must not take.
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

  /** The result of an effect that was requested earlier in this request; `undefined` if it was not. */
  recallEffect(place: object, appId: string, key: string): unknown {
    let found: Effect | undefined
    // If several effects have the same key, the first one counts.
    for (let effect = this.#effect; effect !== undefined; effect = effect.before) {
      if (effect.place === place && effect.appId === appId && effect.key === key) found = effect
    }
    return found?.result
  }

  /** Remembers the result of an effect for an app, or a promise of it, for the rest of the request. */
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
