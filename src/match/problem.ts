/** Why a text was refused, and how it should have been spelled. */
export interface Problem {
  /** The reason, as a phrase. */
  readonly problem: string
  /** The spelling that would have been taken, where there is one. */
  readonly corrected?: string | undefined
}
