import type { GuardRequest, GuardResponse } from '../http/handler.ts'
import type { Answer } from './exchange.ts'
import type { ConsoleRight } from './rights.ts'
import type { Session } from './sessions.ts'

/** One request of the API, after its access was checked. */
export interface Exchange<Body = unknown> {
  readonly req: GuardRequest
  readonly res: GuardResponse
  readonly requestId: string
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: Body
  /** On routes for `anyone`, the session of nobody. */
  readonly session: Session
}

/** One of these rights is needed; or it is enough to be signed in; or anyone may call. */
export type Access = readonly ConsoleRight[] | 'signed-in' | 'anyone'

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** The path after `api`: `/apps/:appId/draft`. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  /** The schema of the body, created on first use. Left out: there is no body. */
  readonly body?: (() => object) | undefined
  /** Whether it shows personal data. If so, each request is recorded. Changes are always recorded. */
  readonly personal?: true | undefined
  /** Whether it needs `If-Match`. */
  readonly conditional?: true | undefined
  // oxlint-disable-next-line typescript/no-explicit-any -- each route knows its own content
  handle(exchange: Exchange<any>): Promise<Answer>
}

/** Combines a schema with a handler that receives the parsed body. */
export function route<Body = undefined>(
  what: Omit<Route, 'handle'> & { handle(exchange: Exchange<Body>): Promise<Answer> },
): Route {
  return what
}
