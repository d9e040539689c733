import type { Component } from './components.ts'

/**
 * What a signature covers of that which it must. Components with parameters do not count: what they leave out of a header
 * could be changed.
 */
export interface Coverage {
  /** Those of the components that are always required which are not there. */
  readonly missing: readonly string[]
  readonly contentDigest: boolean
  readonly xOrigin: boolean
}

const ALWAYS_REQUIRED = ['@method', '@authority', '@path', '@query'] as const

export function coverageOf(components: readonly (string | Component)[]): Coverage {
  return {
    missing: ALWAYS_REQUIRED.filter((name) => !components.includes(name)),
    contentDigest: components.includes('content-digest'),
    xOrigin: components.includes('x-origin'),
  }
}
