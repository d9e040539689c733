import type { Known } from './reading.ts'

/** An app in memory. It stays when it may no longer be used, so that the next read can be compared with it. */
export interface Entry extends Known {
  readonly readAt: number
  /** The period without a gap in the feed in which it was read. */
  readonly epoch: number
  /** The lowest revision that a read may return, and when this became known. */
  floor: number
  floorAt: number
  /** Whether a change was announced since the read. */
  outdated: boolean
  /** Whether it was read before a gap in the feed and could not be read since. */
  readonly unconfirmed: boolean
  /** When it may be read again in the background. */
  retryAt: number
  /** When it was put into the snapshot. */
  keptAt: number
}

/** A read of one app in progress. */
export interface Flight {
  /** Set if the app changed after the read began, because the read may return the old version. */
  outdated: boolean
  /** The revision announced during the read. */
  floor: number
}
