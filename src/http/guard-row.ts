import type { ConfigIssue } from '../errors.ts'
import type { Expectation } from '../options.ts'
import type { DescribedQuestion } from './described-request.ts'
import type { Step } from './step.ts'

/**
 * How one guard is mounted in a chain, and how `explain` runs it.
 *
 * @typeParam Options the options of all guards together
 */
export interface GuardRow<Options> {
  /** What each option of this guard must be, without the options that all guards share. */
  readonly expectations: Readonly<Record<string, Expectation>>
  /** The issues of options that are valid one by one, but not in combination. */
  issues?(options: object, name: string): readonly ConfigIssue[]
  mount(options: Options, name: string): Step
  /** Whether the guard runs after the body parsers. Default: it does not. */
  readsBody?(options: Options): boolean
  /** How `explain` runs the guard: without effects, so no nonce is claimed. */
  readonly described: DescribedQuestion
}
