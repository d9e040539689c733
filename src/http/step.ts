import type { Judgement } from '../guards/guard.ts'
import type { GuardResponse, RequestHandler } from './handler.ts'
import type { Question } from './judge.ts'
import type { RequestContext } from './request/context.ts'
import type { NodeFacts } from './request/facts.ts'

/** A guard as the shell mounts it: a question, and what its answers mean for the response. */
export interface Mount<Facts, Outcome> extends Question<Facts, Outcome> {
  /** Called for every request, before any decision. */
  begin?(context: RequestContext, res: GuardResponse): void
  /** Puts what handlers need into the context, in every mode. */
  note?(judgement: Judgement<Outcome>, context: RequestContext): void
  /** Writes to the response, only in `enforce`. Returns true if it has responded. */
  write?(judgement: Judgement<Outcome>, context: RequestContext, res: GuardResponse): boolean
  /** Whether `write` also decides what pages may read of a refusal. Default false: the shell decides. */
  readonly writesCors?: boolean
  /** Additional members of the problem document of this refusal: public ones, and in development those that help to fix it. */
  explain?(judgement: Judgement<Outcome>): Readonly<Record<string, unknown>> | undefined
}

/** Other middleware in a chain, such as body parsers. A page of an allowed origin may read its errors. */
export interface Passage {
  readonly pass: RequestHandler
  /** Whether this request needs the middleware. Default: every request does. */
  isNeeded?(facts: NodeFacts): boolean
}

// oxlint-disable-next-line typescript/no-explicit-any -- each mount keeps its own facts and outcome to itself
export type Step = Mount<any, any> | Passage

export function isPassage(step: Step): step is Passage {
  return Object.hasOwn(step, 'pass')
}
