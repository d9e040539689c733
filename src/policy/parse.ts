import type { z } from 'zod'
import { PolicyError, show, type PolicyIssue } from '../errors.ts'
import type { Policy } from './policy.ts'
import { POLICY_SCHEMA } from './schema.ts'

/**
 * The only way from JSON to a policy.
 *
 * Takes a parsed JSON value, returns a frozen copy with defaults filled in and hosts in ASCII (`https://münchen.example` is
 * taken, and comes back as `https://xn--mnchen-3ya.example`). Nothing is repaired: unknown keys, entries in another than their
 * canonical spelling and entries that mean the same as another are refused.
 *
 * @throws PolicyError with every reason, each with its path (`ipWhitelist.ranges[3]`) and, where there is one, the
 * corrected form.
 */
export function parsePolicy(document: unknown): Policy {
  const own = ownMembers(document, MAX_DEPTH)
  const result = POLICY_SCHEMA.safeParse(own)
  if (!result.success) throw new PolicyError(result.error.issues.flatMap((issue) => describe(issue, own)))
  return deepFreeze(result.data)
}

/** Deeper than any document of ours; what lies below is refused as a value of the wrong type. */
const MAX_DEPTH = 6

/** A copy without prototypes: what a prototype holds was not written in the document. */
function ownMembers(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth === 0) return null
  if (Array.isArray(value)) return value.map((member: unknown) => ownMembers(member, depth - 1))
  const copy = Object.create(null) as Record<string, unknown>
  for (const [name, member] of Object.entries(value)) copy[name] = ownMembers(member, depth - 1)
  return copy
}

function describe(issue: z.core.$ZodIssue, document: unknown): PolicyIssue[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: pathText([...issue.path, key]), message: 'unknown key' }))
  }
  const path = pathText(issue.path)
  if (issue.code === 'custom') {
    const corrected: unknown = issue.params?.['corrected']
    return [
      { path, message: issue.message, corrected: typeof corrected === 'string' ? corrected : undefined },
    ]
  }
  const given = valueAt(document, issue.path)
  if (given === undefined) return [{ path, message: `is missing: expected ${expectation(issue)}` }]
  return [{ path, message: `expected ${expectation(issue)}, got ${show(given)}` }]
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `a value of type ${issue.expected}`
    case 'invalid_value':
      return `one of ${issue.values.join(', ')}`
    case 'invalid_union':
      return 'a URL text or { "exact": URL text }'
    case 'too_small':
      return `at least ${issue.minimum}`
    case 'too_big':
      return `at most ${issue.maximum}`
    default:
      return issue.message.replace(/^must be /, '')
  }
}

function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    return text === '' ? String(step) : `${text}.${String(step)}`
  }, '')
}

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, step) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, step)
        ? (value as Record<PropertyKey, unknown>)[step]
        : undefined,
    document,
  )
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) deepFreeze(member)
    Object.freeze(value)
  }
  return value
}
