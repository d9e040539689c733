import type { ConfigIssue } from '../errors.ts'
import type { Expectation } from '../options.ts'
import type { DescribedQuestion } from './described-request.ts'
import type { Step } from './step.ts'

/**
 * How one guard is mounted in a chain, and asked.
 *
 * @typeParam Options the options of all guards together
 */
export interface GuardRow<Options> {
  /** What each option of this guard must be; without those that all guards share. */
  readonly expectations: Readonly<Record<string, Expectation>>
  /** What is wrong with options that are right by themselves, but not beside others. */
  issues?(options: object, name: string): readonly ConfigIssue[]
  mount(options: Options, name: string): Step
  /** Whether it is asked behind the body parsers. Default: it is not. */
  readsBody?(options: Options): boolean
  /** How `explain` asks it. No effect is asked for: no nonce is claimed. */
  readonly described: DescribedQuestion
}
