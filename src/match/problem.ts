/** Why a text was refused, and what to write instead. */
export interface Problem {
  /** The reason, as a phrase. */
  readonly problem: string
  /** The text that would be accepted, if there is one. */
  readonly corrected?: string | undefined
}

/** Whether a text was refused. Checks only own properties, so a polluted `Object.prototype` has no effect. */
export function isProblem<Result extends object>(
  result: Result,
): result is Extract<Result, { readonly problem: unknown }> {
  return Object.hasOwn(result, 'problem')
}
