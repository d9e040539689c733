import type { Judgement } from '../guards/guard.ts'
import type { GuardResponse, RequestHandler } from './handler.ts'
import type { Question } from './judge.ts'
import type { RequestContext } from './request/context.ts'
import type { NodeFacts } from './request/facts.ts'

/** One guard as the shell mounts it: a question, and what its answers mean for the response. */
export interface Mount<Facts, Outcome> extends Question<Facts, Outcome> {
  /** Before anything is decided, for every request. */
  begin?(context: RequestContext, res: GuardResponse): void
  /** Leaves what handlers need in the context, in every mode. */
  note?(judgement: Judgement<Outcome>, context: RequestContext): void
  /** Writes to the response in `enforce`. True: it has answered. */
  write?(judgement: Judgement<Outcome>, context: RequestContext, res: GuardResponse): boolean
  /** Whether `write` says too what pages may read of a refusal. Default false: the shell does. */
  readonly writesCors?: boolean
  /** Further members of the problem document of this refusal: what is public, and in development what helps. */
  explain?(judgement: Judgement<Outcome>): Readonly<Record<string, unknown>> | undefined
}

/** Other middleware that a chain takes in, such as body parsers. A page of an allowed origin may read its errors. */
export interface Passage {
  readonly pass: RequestHandler
  /** Whether this request is of any concern to it. Default: every request is. */
  isNeeded?(facts: NodeFacts): boolean
}

// oxlint-disable-next-line typescript/no-explicit-any -- each mount keeps its own facts and outcome to itself
export type Step = Mount<any, any> | Passage

export function isPassage(step: Step): step is Passage {
  return Object.hasOwn(step, 'pass')
}
