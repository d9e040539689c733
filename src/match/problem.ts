/** Why a text was refused, and how it should have been spelled. */
export interface Problem {
  /** The reason, as a phrase. */
  readonly problem: string
  /** The spelling that would be accepted, if there is one. */
  readonly corrected?: string | undefined
}

/** Whether a text was refused. Looks at own members alone: what `Object.prototype` holds is not part of a result. */
export function isProblem<Result extends object>(
  result: Result,
): result is Extract<Result, { readonly problem: unknown }> {
  return Object.hasOwn(result, 'problem')
}
