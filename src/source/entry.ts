import type { Known } from './reading.ts'

/** An app in memory. It stays there when it may not be used any more, to be compared with what is read. */
export interface Entry extends Known {
  readonly readAt: number
  /** Of the time in which the feed had no gap. */
  readonly epoch: number
  /** The revision that a reading must have at least, and since when that is known. */
  floor: number
  floorAt: number
  /** Whether a change was announced since it was read. */
  outdated: boolean
  /** Whether it is of before a gap in the feed, and could not be read again since. */
  readonly unconfirmed: boolean
  /** When it may be read again in the background. */
  retryAt: number
  /** When it was put into the snapshot. */
  keptAt: number
}

/** A read of one app that is under way. */
export interface Flight {
  /** Set when the app changed after the read began, so that its answer may be the old one. */
  outdated: boolean
  /** The revision that was announced meanwhile. */
  floor: number
}
