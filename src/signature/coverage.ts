import type { Component } from './components.ts'

/**
 * Which of the required components a signature covers. Components with parameters do not count, because the parts of a header
 * that they leave out could be changed.
 */
export interface Coverage {
  /** The components that are always required but are covered neither directly nor by a component that contains them. */
  readonly missing: readonly string[]
  readonly contentDigest: boolean
  readonly contentType: boolean
  readonly xOrigin: boolean
}

/**
 * The components that are always required, each with those that contain it. The target URI contains scheme, authority, path
 * and query (RFC 9421 2.2.2). The request target contains path and query (RFC 9421 2.2.5), because only its origin form is
 * accepted.
 */
const ALWAYS_REQUIRED = [
  ['@method'],
  ['@authority', '@target-uri'],
  ['@path', '@target-uri', '@request-target'],
  ['@query', '@target-uri', '@request-target'],
] as const

export function coverageOf(components: readonly (string | Component)[]): Coverage {
  return {
    missing: ALWAYS_REQUIRED.filter((names) => !names.some((name) => components.includes(name))).map(
      ([name]) => name,
    ),
    contentDigest: components.includes('content-digest'),
    contentType: components.includes('content-type'),
    xOrigin: components.includes('x-origin'),
  }
}
