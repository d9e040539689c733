import type { Known } from './reading.ts'

/** An app in memory. It stays there when it may not be used any more, to be compared with what is read. */
export interface Entry extends Known {
  readonly readAt: number
  /** Of the time in which the feed had no gap. */
  readonly epoch: number
  /** The revision that a reading must have at least, and since when that is known. */
  floor: number
  floorAt: number
  /** Whether it has changed since. */
  outdated: boolean
  /** When it may be read again in the background. */
  retryAt: number
  /** When it was put into the snapshot. */
  keptAt: number
}

export interface Flight {
  /** Set when the app changed after the read began, so that its answer may be the old one. */
  outdated: boolean
  /** The revision that was announced meanwhile. */
  floor: number
}
