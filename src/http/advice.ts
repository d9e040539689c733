import type { Picture } from './nearest-entry.ts'

/** Advice for a special case of a refusal. The first that applies is given. */
export type Special = readonly [applies: (picture: Picture) => boolean, advice: string]

export interface Advice {
  /** What helps in general. It says nothing about a policy, so it may appear in a production log. */
  readonly general: string
  readonly special?: readonly Special[]
}

/* When a special case applies. */

/** The detail of the refusal holds these words. */
export function says(words: string): Special[0] {
  return ({ detail }) => detail.includes(words)
}

/** What else is known holds these words. */
export function knows(words: string): Special[0] {
  return ({ facts }) => facts.some((fact) => fact.includes(words))
}

/** A member of its evidence has this value. */
export function has(name: string, ...values: readonly string[]): Special[0] {
  return ({ evidence }) => Object.hasOwn(evidence, name) && values.includes(String(evidence[name]))
}

/** The nearest entry differs in nothing before this part, which is the one to look at. */
export function differsIn(part: Picture['differsIn'][number]): Special[0] {
  return (picture) => picture.differsIn[0] === part
}

/** Whether the address was taken from the socket, or by Express: from no header that we have read, and by no option. */
export function isUnforwarded(source: string): boolean {
  return source === 'socket' || source.includes('.')
}

/** The doctor of signatures has found that one of these components was signed with another value. */
export function signedOtherwise(...names: readonly string[]): Special[0] {
  return ({ evidence }) => {
    const found = String(evidence['components'] ?? '').split(', ')
    return names.some((name) => found.includes(name))
  }
}
