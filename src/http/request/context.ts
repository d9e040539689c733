import { randomUUID } from 'node:crypto'
import type { Decision, DenialCode } from '../../decision.ts'
import { ConfigError } from '../../errors.ts'
import type { AuditSession } from '../../audit/session.ts'
import type { CorsSettings } from '../../policy/cors.ts'
import type { CompiledPolicy } from '../../policy/compile.ts'
import type { App, PolicySource } from '../../source/index.ts'
import { isThenable } from '../../thenable.ts'
import type { PortcullisContext, RegionContext } from '../portcullis.ts'
import { RequestFacts, type ClientAddressReader } from './facts.ts'
import type { GuardRequest } from '../handler.ts'

/** Why there is no app to judge by. */
export interface Unresolved {
  readonly code: Extract<DenialCode, 'APP_UNIDENTIFIED' | 'APP_UNKNOWN' | 'POLICY_UNAVAILABLE'>
  readonly detail: string
}

/** What of a response a page may read. */
interface ReadableResponse {
  readonly credentials: boolean
  readonly exposedHeaders: readonly string[]
}

export type AppIdReader = (req: GuardRequest) => string | undefined

// Recognised by a brand: the ESM and the CommonJS build may meet in one process, and each has a class of its own.
const brand = Symbol.for('portcullis.context')

/** One per request, shared by all guards mounted on it: facts, policy and trail. */
export class RequestContext implements PortcullisContext {
  readonly [brand] = true
  readonly requestId: string
  readonly facts: RequestFacts
  readonly #req: GuardRequest
  readonly #decisions: Decision[] = []
  #appId: string | undefined
  #app: App | undefined
  #resolution: App | Unresolved | Promise<App | Unresolved> | undefined
  #policies: PolicySource | undefined
  #appIdReader: AppIdReader | undefined
  #addressReader: ClientAddressReader | undefined
  #audit: AuditSession | undefined
  #cors: ReadableResponse | undefined
  #returnUrl: string | undefined
  #returnUrls: Readonly<Record<string, string>> = Object.freeze({})
  #kept: Map<object | symbol, unknown> | undefined
  region: RegionContext | undefined

  constructor(req: GuardRequest, requestId: string) {
    this.#req = req
    this.requestId = requestId
    this.facts = new RequestFacts(req)
  }

  get appId(): string | undefined {
    return this.#appId
  }

  get revision(): number | undefined {
    return this.#app?.revision
  }

  /** The policy that the request is judged by. */
  get policy(): CompiledPolicy | undefined {
    return this.#app?.policy
  }

  get decisions(): readonly Decision[] {
    return this.#decisions
  }

  get address(): string | undefined {
    return this.facts.address(this.#addressReader)?.address.text
  }

  get returnUrl(): string | undefined {
    return this.#returnUrl
  }

  get returnUrls(): Readonly<Record<string, string>> {
    return this.#returnUrls
  }

  returnUrlNamed(name: string): string | undefined {
    return Object.hasOwn(this.#returnUrls, name) ? this.#returnUrls[name] : undefined
  }

  /** Keeps the canonical return URLs that a guard has let pass. Nothing else sets them. */
  approve(urls: readonly (readonly [name: string, href: string])[]): void {
    this.#returnUrl = urls[0]?.[1] ?? this.#returnUrl
    this.#returnUrls = Object.freeze(Object.fromEntries([...Object.entries(this.#returnUrls), ...urls]))
  }

  get audit(): AuditSession {
    if (this.#audit === undefined) {
      throw new ConfigError('req.portcullis.audit', 'used behind `auditAccess`', 'a route without it')
    }
    return this.#audit
  }

  set audit(session: AuditSession) {
    this.#audit = session
  }

  record(decision: Decision): void {
    this.#decisions.push(decision)
  }

  /** What a mount has kept of this request for itself. Not in a WeakMap, which costs more than most guards do. */
  recall(mount: object | symbol): unknown {
    return this.#kept?.get(mount)
  }

  keep(mount: object | symbol, value: unknown): void {
    this.#kept ??= new Map()
    this.#kept.set(mount, value)
  }

  /** What the response may grant to a page: of several policies that judge one request, what all of them allow. */
  narrowCors({ credentials = false, exposedHeaders = [] }: CorsSettings): ReadableResponse {
    const before = this.#cors
    this.#cors =
      before === undefined
        ? { credentials, exposedHeaders }
        : {
            credentials: before.credentials && credentials,
            exposedHeaders: before.exposedHeaders.filter((name) => exposedHeaders.includes(name)),
          }
    return this.#cors
  }

  useAddressReader(reader: ClientAddressReader): void {
    this.#addressReader = reader
  }

  /**
   * The app that calls, by this source and this reader. The first answer stands for the whole request: a request is
   * judged by one revision of one policy. A promise only when memory does not know.
   */
  resolve(policies: PolicySource, appIdReader: AppIdReader): App | Unresolved | Promise<App | Unresolved> {
    if (this.#resolution !== undefined && this.#policies === policies && this.#appIdReader === appIdReader) {
      return this.#resolution
    }
    this.#policies = policies
    this.#appIdReader = appIdReader
    const resolution = this.#lookUp(policies, appIdReader)
    this.#resolution = resolution
    if (isThenable(resolution)) {
      return resolution.then((settled) => {
        this.#resolution = settled
        return this.#keep(settled)
      })
    }
    return this.#keep(resolution)
  }

  #lookUp(policies: PolicySource, appIdReader: AppIdReader): App | Unresolved | Promise<App | Unresolved> {
    let appId: unknown
    try {
      appId = appIdReader(this.#req)
    } catch {
      return { code: 'APP_UNIDENTIFIED', detail: 'the `appId` option threw' }
    }
    if (typeof appId !== 'string' || appId === '') {
      return { code: 'APP_UNIDENTIFIED', detail: 'the request names no app' }
    }
    const app = policies.peek(appId)
    if (app !== undefined) return app ?? UNKNOWN
    return Promise.resolve(policies.load(appId)).then(
      (loaded) => loaded ?? UNKNOWN,
      (error: unknown) => ({
        code: 'POLICY_UNAVAILABLE',
        detail: error instanceof Error ? error.message : 'the store could not look',
      }),
    )
  }

  #keep(resolution: App | Unresolved): App | Unresolved {
    const app = 'code' in resolution ? undefined : resolution
    this.#app = app
    this.#appId = app?.appId
    return resolution
  }
}

const UNKNOWN: Unresolved = { code: 'APP_UNKNOWN', detail: 'there is no such app' }

/** The context of a request that a guard has met. */
export function findContext(req: GuardRequest): RequestContext | undefined {
  const existing = req.portcullis
  return existing !== undefined && brand in existing ? (existing as RequestContext) : undefined
}

/** The context of a request: the one that is there, or a new one. */
export function contextOf(req: GuardRequest, requestId: () => string = randomUUID): RequestContext {
  const existing = findContext(req)
  if (existing !== undefined) return existing
  const context = new RequestContext(req, requestId())
  req.portcullis = context
  return context
}
