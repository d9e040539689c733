/** Where a log begins after older frames were archived and removed, and a summary of those frames. */
export interface LogStart {
  /** How many frames were removed. */
  readonly size: number
  /** The roots of the full subtrees over the removed frames, the largest first, in base64. */
  readonly peaks: readonly string[]
  /** For each writer of the removed frames, the number of its last event and the link of its last frame, in base64. */
  readonly writers: Readonly<Record<string, readonly [last: number, link: string]>>
  /** The checkpoint that covers the removed frames: a signed note. */
  readonly checkpoint: string
  /** The place of the last removed frame. */
  readonly place: string
}
