import type { AuditSession } from '../../audit/session.ts'
import type { Decision } from '../../decision.ts'
import { UsageError } from '../../errors.ts'
import type { CorsGrant } from '../../guards/domain-protect.ts'
import type { ReturnUrlOutcome } from '../../guards/return-url-guard.ts'
import type { CorsSettings } from '../../policy/cors.ts'
import type { CompiledPolicy } from '../../policy/compile.ts'
import { randomId } from '../../random-id.ts'
import type { GuardRequest } from '../handler.ts'
import { JudgedRequest } from '../judged-request.ts'
import type { PortcullisContext, PrintedContext, RegionContext } from '../portcullis.ts'
import { NodeFacts, type ClientAddressReader } from './facts.ts'

/** The parts of a response that a page may read. */
interface ReadableResponse {
  readonly credentials: boolean
  readonly exposedHeaders: readonly string[]
}

// Recognised by a brand, because the ESM and the CommonJS build may run in one process, each with its own class.
const brand = Symbol.for('portcullis.context')

/** One per request, shared by all its guards: the judged data, the trail, and the values that handlers read. */
export class RequestContext extends JudgedRequest implements PortcullisContext {
  declare readonly facts: NodeFacts
  readonly [brand] = true
  readonly #decisions: Decision[] = []
  #requestId: string | undefined
  #addressReader: ClientAddressReader | undefined
  #reads: { readonly session: AuditSession } | undefined
  #grant: { readonly policy: CompiledPolicy; readonly grant: CorsGrant | undefined } | undefined
  #readable: ReadableResponse | undefined
  #returnUrl: string | undefined
  #approved: ReturnUrlOutcome = NO_URLS
  /** Mounts and the values that they keep, alternating. There are few, so searching them is cheaper than a Map. */
  readonly #kept: unknown[] = []
  region: RegionContext | undefined

  constructor(req: GuardRequest) {
    super(req, new NodeFacts(req))
  }

  get requestId(): string {
    return (this.#requestId ??= randomId())
  }

  /** Sets the request id. The first id is final; without one it is a random UUID. */
  name(requestId: string | undefined): void {
    this.#requestId ??= requestId
  }

  get appId(): string | undefined {
    return this.app?.appId
  }

  get revision(): number | undefined {
    return this.app?.revision
  }

  get decisions(): readonly Decision[] {
    return this.#decisions
  }

  get address(): string | undefined {
    try {
      return this.facts.address(this.#addressReader)?.address.text
    } catch {
      // The `clientAddress` function threw. The guard that needs the address refuses the request.
      return undefined
    }
  }

  get returnUrl(): string | undefined {
    return this.#returnUrl
  }

  get returnUrls(): Readonly<Record<string, string>> {
    return Object.freeze(
      Object.fromEntries(this.#approved.map(([name, { href }]): [string, string] => [name, href])),
    )
  }

  /** The last return URL of this name that a guard admitted. */
  returnUrlNamed(name: string): string | undefined {
    return this.#approved.findLast(([known]) => known === name)?.[1].href
  }

  /** Keeps the canonical return URLs that a guard admitted. Nothing else sets them. */
  approve(urls: ReturnUrlOutcome): void {
    this.#returnUrl = urls[0]?.[1].href ?? this.#returnUrl
    this.#approved = this.#approved.length === 0 ? urls : [...this.#approved, ...urls]
  }

  get audit(): AuditSession {
    if (this.#reads === undefined) {
      throw new UsageError(
        '`req.portcullis.audit` exists only behind `auditAccess`: mount `auditAccess` before this route',
      )
    }
    return this.#reads.session
  }

  /** Sets the source of the session that records reads of personal data. */
  readsOf(source: { readonly session: AuditSession }): void {
    this.#reads = source
  }

  record(decision: Decision): void {
    this.#decisions.push(decision)
  }

  /** The value that a mount keeps for this request. It is not in a WeakMap, which costs more than most guards. */
  recall(mount: object | symbol): unknown {
    const kept = this.#kept
    for (let index = 0; index < kept.length; index += 2) if (kept[index] === mount) return kept[index + 1]
    return undefined
  }

  /** Keeps a value for a mount. Call it once per mount: a value is never replaced. */
  keep(mount: object | symbol, value: unknown): void {
    this.#kept.push(mount, value)
  }

  /** The grant of `domainProtect` under this policy; `undefined` if it has not judged the request yet. */
  grantBy(policy: CompiledPolicy): { readonly grant: CorsGrant | undefined } | undefined {
    return this.#grant?.policy === policy ? this.#grant : undefined
  }

  keepGrant(policy: CompiledPolicy, grant: CorsGrant | undefined): void {
    this.#grant = { policy, grant }
  }

  /** What the response may grant to a page. If several policies judge one request, it is what all of them allow. */
  narrowCors({ credentials = false, exposedHeaders = [] }: CorsSettings): ReadableResponse {
    const before = this.#readable
    this.#readable =
      before === undefined
        ? { credentials, exposedHeaders }
        : {
            credentials: before.credentials && credentials,
            exposedHeaders: before.exposedHeaders.filter((name) => exposedHeaders.includes(name)),
          }
    return this.#readable
  }

  /** Reads the peer address early: Node remembers it, but cannot read it after the socket has closed. */
  rememberPeer(): void {
    void this.facts.peer
  }

  /** What handlers may read, as plain data: for `JSON.stringify`, `res.json` and loggers. */
  toJSON(): PrintedContext {
    const { requestId, appId, revision, address, returnUrl, returnUrls, region, decisions } = this
    // The handle of the person's records is not data.
    const { store: _store, ...place } = region ?? {}
    return {
      requestId,
      ...(appId !== undefined && { appId, revision }),
      ...(address !== undefined && { address }),
      ...(returnUrl !== undefined && { returnUrl }),
      returnUrls,
      ...(region !== undefined && { region: place as Omit<RegionContext, 'store'> }),
      decisions: [...decisions],
    }
  }

  /** For `util.inspect` and `console.log`. The context itself refers to the request and its socket. */
  [Symbol.for('nodejs.util.inspect.custom')](): PrintedContext {
    return this.toJSON()
  }

  useAddressReader(reader: ClientAddressReader | undefined): void {
    if (reader !== undefined) this.#addressReader = reader
  }
}

const NO_URLS: ReturnUrlOutcome = Object.freeze([])

/** The context of a request; `undefined` if no guard has seen the request yet. */
export function findContext(req: GuardRequest): RequestContext | undefined {
  const existing = req.portcullis
  return existing !== undefined && brand in existing ? (existing as RequestContext) : undefined
}

/** Creates the context of a request that no guard has seen yet. */
export function createContext(req: GuardRequest): RequestContext {
  const context = new RequestContext(req)
  req.portcullis = context
  return context
}
