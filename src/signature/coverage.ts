import type { Component } from './components.ts'

/**
 * What a signature covers of that which it must. Components with parameters do not count: what they leave out of a header
 * could be changed.
 */
export interface Coverage {
  /** Those of the components that are always required which are covered neither by themselves nor by one that contains them. */
  readonly missing: readonly string[]
  readonly contentDigest: boolean
  readonly contentType: boolean
  readonly xOrigin: boolean
}

/**
 * What is always required, each with the components that contain it: the target URI has scheme, authority, path and query
 * (RFC 9421 2.2.2), the request target path and query (RFC 9421 2.2.5), for only its origin form is read.
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
