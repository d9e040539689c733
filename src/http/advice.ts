import type { Picture } from './nearest-entry.ts'

/** Advice for a special case of a refusal. The first that applies is given. */
export type Special = readonly [
  applies: (picture: Picture) => boolean,
  advice: string | ((picture: Picture) => string),
]

export interface Advice {
  /** What helps in general. It says nothing about a policy, so it may appear in a production log. */
  readonly general: string
  readonly special?: readonly Special[]
}

/* Conditions of special cases. */

/** Applies if the detail of the refusal contains these words. */
export function says(words: string): Special[0] {
  return ({ detail }) => detail.includes(words)
}

/** Applies if another known fact contains these words. */
export function knows(words: string): Special[0] {
  return ({ facts }) => facts.some((fact) => fact.includes(words))
}

/** Applies if this member of the evidence has one of these values. */
export function has(name: string, ...values: readonly string[]): Special[0] {
  return ({ evidence }) => Object.hasOwn(evidence, name) && values.includes(String(evidence[name]))
}

/** Applies if this is the first part in which the nearest entry differs. */
export function differsIn(part: Picture['differsIn'][number]): Special[0] {
  return (picture) => picture.differsIn[0] === part
}

/** Whether the address comes from the socket or from Express, and not from a header or an option of ours. */
export function isUnforwarded(source: string): boolean {
  return source === 'socket' || source.includes('.')
}

/** Whether the address comes from the header that the `clientAddress` option names. */
export function isOfHeader(source: string): boolean {
  return source !== 'undefined' && source !== 'clientAddress' && !isUnforwarded(source)
}

/** Applies if the signature diagnosis found that one of these components was signed with another value. */
export function signedOtherwise(...names: readonly string[]): Special[0] {
  return ({ evidence }) => {
    const found = String(evidence['components'] ?? '').split(', ')
    return names.some((name) => found.includes(name))
  }
}
