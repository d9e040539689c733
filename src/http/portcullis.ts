import type { AuditSession } from '../audit/session.ts'
import type { Decision } from '../decision.ts'
import type { PersonHandle } from '../jurisdiction/person-handle.ts'

/** What handlers can read about a request that the guards have judged: `req.portcullis`. */
export interface PortcullisContext {
  /** The id of this request, in problem documents and in the audit. */
  readonly requestId: string
  /** The id of the calling app; `undefined` until a guard has identified it. */
  readonly appId: string | undefined
  /** The revision of the policy that judges the request. It does not change during the request. */
  readonly revision: number | undefined
  /** The trail: every decision so far, in order. */
  readonly decisions: readonly Decision[]
  /** The client address in canonical form; `undefined` if there is no readable one. */
  readonly address: string | undefined
  /**
   * The canonical return URL that `returnUrlGuard` admitted; the first, if there are several. Redirect to this URL and never to the
   * raw text: `safeRedirect(res, req)`.
   */
  readonly returnUrl: string | undefined
  /** All canonical return URLs that `returnUrlGuard` admitted, by name. */
  readonly returnUrls: Readonly<Record<string, string>>
  /** Where the request is handled and where the person's data must stay, as determined by `regionPin`. */
  readonly region: RegionContext | undefined
  /** Access to personal data. */
  readonly audit: AuditContext
  /** The members above as plain data, without `audit` and `region.store`: `res.json(req.portcullis)` and `console.log` show it. */
  toJSON(): PrintedContext
}

/** What is known about a request, as plain data. Members that are `undefined` are left out. */
export interface PrintedContext extends Partial<
  Pick<PortcullisContext, 'appId' | 'revision' | 'address' | 'returnUrl'>
> {
  readonly requestId: string
  readonly returnUrls: Readonly<Record<string, string>>
  readonly region?: Omit<RegionContext, 'store'>
  readonly decisions: readonly Decision[]
}

export interface RegionContext {
  /** The location of this instance. */
  readonly here: string
  readonly jurisdiction: string
  /** The locations of that jurisdiction. */
  readonly locations: readonly string[]
  /** The records of that jurisdiction, if `regionPin` has the option `store` and the process has clients for it. */
  readonly store?: PersonHandle | undefined
}

/** Gives access to personal data, and records every read of a field. */
export type AuditContext = AuditSession
