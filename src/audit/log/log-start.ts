/** Where a log begins that is not whole any more: what is known of the frames that were archived and removed. */
export interface LogStart {
  /** How many frames were removed. */
  readonly size: number
  /** The roots of the full subtrees over them, the largest first, in base64. */
  readonly peaks: readonly string[]
  /** For each of their writers the number of its last event and the link of its last frame, in base64. */
  readonly writers: Readonly<Record<string, readonly [last: number, link: string]>>
  /** The checkpoint behind which was cut: a signed note. */
  readonly checkpoint: string
  /** The place of the last frame that was removed. */
  readonly place: string
}
