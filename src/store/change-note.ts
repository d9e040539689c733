/** Who writes and why, for the history. Each at most 1024 characters. */
export interface ChangeNote {
  readonly author?: string | undefined
  readonly note?: string | undefined
}
