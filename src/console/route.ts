import type { GuardRequest, GuardResponse } from '../http/handler.ts'
import type { Answer } from './exchange.ts'
import type { ConsoleRight } from './rights.ts'
import type { Session } from './sessions.ts'

/** One request of the API, after its right was checked. */
export interface Exchange<Body = unknown> {
  readonly req: GuardRequest
  readonly res: GuardResponse
  readonly requestId: string
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: Body
  /** Of nobody on routes for `anyone`. */
  readonly session: Session
}

/** Any one of these rights is enough; or everybody who is signed in may ask; or anyone. */
export type Access = readonly ConsoleRight[] | 'signed-in' | 'anyone'

export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `api`: `/apps/:appId/draft`. */
  readonly path: string
  readonly access: Access
  readonly summary: string
  /** The schema of the content, made when it is first asked for. Left out: there is no content. */
  readonly body?: (() => object) | undefined
  /** Whether it shows personal data, so that each look is recorded. What changes something is always recorded. */
  readonly personal?: true | undefined
  /** Whether it needs `If-Match`. */
  readonly conditional?: true | undefined
  // oxlint-disable-next-line typescript/no-explicit-any -- each route knows its own content
  handle(exchange: Exchange<any>): Promise<Answer>
}

/** Joins a schema with a handler that takes what it reads. */
export function route<Body = undefined>(
  what: Omit<Route, 'handle'> & { handle(exchange: Exchange<Body>): Promise<Answer> },
): Route {
  return what
}
