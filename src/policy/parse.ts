import type * as z from 'zod/mini'
import { didYouMean, meant } from '../did-you-mean.ts'
import { PolicyError, show, type PolicyIssue } from '../errors.ts'
import { EntryList } from '../match/entries.ts'
import { isAppId } from '../names.ts'
import type { Policy } from './policy.ts'
import { policyShape, type PolicySchema } from './schema.ts'
import type { ReadSections } from './sections.ts'

/** A policy with the parsed entries of its lists. */
export interface ReadPolicy {
  /** Its objects have no prototype, so properties added to `Object.prototype` do not become members. */
  readonly policy: Policy
  /** The parsed lists of each section that the policy has. */
  readonly lists: ReadSections
  /** Entries with the same meaning as an earlier entry of their list, by the path of the list. */
  readonly duplicates: ReadonlyMap<string, EntryList<unknown>['duplicates']>
}

/**
 * The only way from JSON to a policy.
 *
 * Takes a parsed JSON value. Returns a deeply frozen copy with all defaults and with every entry in canonical form. An entry
 * that has only one meaning by its standard may be in any spelling: `HTTPS://Example.org:443` becomes `https://example.org`,
 * `2001:DB8::0` becomes `2001:db8::`, and `https://münchen.example` becomes `https://xn--mnchen-3ya.example`. Of entries with
 * the same meaning, only the first is kept. Unknown keys and ambiguous entries are refused. `$schema`, which editors read, is
 * dropped.
 *
 * @throws PolicyError with every reason, each with its path (`ipWhitelist.ranges[3]`) and the corrected form if there is one.
 */
export function parsePolicy(document: unknown): Policy {
  return policyOf(readPolicy(document))
}

/** The policy that {@link parsePolicy} returns, for one that has been read. */
export function policyOf({ policy }: ReadPolicy): Policy {
  return plainCopy(policy) as Policy
}

/**
 * Like {@link parsePolicy}, with the parsed entries.
 *
 * @throws PolicyError
 */
export function readPolicy(document: unknown): ReadPolicy {
  const own = ownMembers(document, MAX_DEPTH)
  const result = policyShape().schema.safeParse(own)
  if (!result.success)
    throw new PolicyError(
      result.error.issues.flatMap((issue) => describe(issue, document)),
      'policy',
      { appId: appIdOf(own) },
    )
  const { $schema: _ofEditors, ...written } = result.data
  const sections = bare<Omit<z.output<PolicySchema>, '$schema'>>(written)
  return {
    policy: frozen(sections) as Policy,
    lists: sections as ReadSections,
    duplicates: duplicatesIn(sections),
  }
}

/** The app id of a refused document, if it is valid. */
function appIdOf(document: unknown): string | undefined {
  const appId = valueAt(document, ['appId'])
  return isAppId(appId) ? appId : undefined
}

/** Deeper than any valid document. Anything below is refused as a value of the wrong type. */
const MAX_DEPTH = 6

/** Copies a value without prototypes, because inherited properties were not written in the document. */
function ownMembers(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth === 0) return null
  if (Array.isArray(value)) return value.map((member: unknown) => ownMembers(member, depth - 1))
  const copy = Object.create(null) as Record<string, unknown>
  for (const [name, member] of Object.entries(value)) copy[name] = ownMembers(member, depth - 1)
  return copy
}

/** The sections without prototypes, and with the parsed lists. */
function bare<Sections extends object>(sections: Sections): Sections {
  const copy = Object.assign(Object.create(null), sections) as Record<string, unknown>
  for (const [name, section] of Object.entries(copy)) {
    if (typeof section === 'object' && !Array.isArray(section))
      copy[name] = Object.assign(Object.create(null), section)
  }
  return copy as Sections
}

/** A deeply frozen copy with the usual prototypes, for callers that compare or print it. */
function plainCopy(value: unknown): unknown {
  if (Array.isArray(value)) return Object.freeze(value.map(plainCopy))
  if (typeof value !== 'object' || value === null) return value
  return Object.freeze(
    Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plainCopy(member)])),
  )
}

/** A deeply frozen copy without prototypes. Lists become arrays of their canonical entries. */
function frozen(value: unknown): unknown {
  if (value instanceof EntryList) return frozen(value.placed.map(({ written }) => written))
  if (Array.isArray(value)) return Object.freeze(value.map(frozen))
  if (typeof value !== 'object' || value === null) return value
  const copy = Object.create(null) as Record<string, unknown>
  for (const [name, member] of Object.entries(value)) copy[name] = frozen(member)
  return Object.freeze(copy)
}

function duplicatesIn(sections: object): ReadPolicy['duplicates'] {
  const found = new Map<string, EntryList<unknown>['duplicates']>()
  for (const [name, section] of Object.entries(sections)) {
    if (typeof section !== 'object' || section === null) continue
    for (const [key, list] of Object.entries(section as Record<string, unknown>)) {
      if (list instanceof EntryList && list.duplicates.length > 0)
        found.set(`${name}.${key}`, list.duplicates)
    }
  }
  return found
}

function describe(issue: z.core.$ZodIssue, document: unknown): PolicyIssue[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      code: 'KEY_UNKNOWN',
      path: pathText([...issue.path, key]),
      message: `unknown key${adviceOn(key, issue.path)}`,
    }))
  }
  const path = pathText(issue.path)
  if (issue.code === 'invalid_key')
    return [{ code: 'KEY_UNKNOWN', path, message: 'is not the name of a header' }]
  if (issue.code === 'custom') {
    const corrected: unknown = issue.params?.['corrected']
    const entry = valueAt(document, issue.path)
    return [
      {
        code: 'ENTRY_INVALID',
        path,
        message: issue.message,
        given: typeof entry === 'string' ? show(entry) : undefined,
        corrected: typeof corrected === 'string' ? corrected : undefined,
      },
    ]
  }
  const given = valueAt(document, issue.path)
  if (given === undefined) {
    return [{ code: 'VALUE_MISSING', path, message: `is missing: expected ${expectation(issue)}` }]
  }
  const names = issue.code === 'invalid_value' ? issue.values.map(String) : []
  const message = `expected ${expectation(issue)}, got ${show(given)}${meant(given, names)}`
  return [{ code: 'VALUE_INVALID', path, message }]
}

/** The key that was probably meant by an unknown key: one of the same object, or one that belongs elsewhere. */
function adviceOn(key: string, path: readonly PropertyKey[]): string {
  const place = String(path[0] ?? '')
  const { keys: known } = policyShape()
  const candidate = didYouMean(key, known.get(place) ?? [])
  if (candidate !== undefined) return `: did you mean \`${candidate}\`?`
  const owner = [...known].find(
    ([section, keys]) => section !== '' && section !== place && keys.includes(key),
  )
  if (owner !== undefined && key !== 'mode') return `: it belongs in \`${owner[0]}\``
  const keys = path.length === 1 ? (known.get(place) ?? []) : []
  return keys.length === 0 ? '' : `: the keys are ${keys.join(', ')}`
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'a string',
  int: 'a whole number',
  number: 'a whole number',
  boolean: '`true` or `false`',
  array: 'an array',
  object: 'an object',
}

function expectation(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? `a value of type ${issue.expected}`
    case 'invalid_value':
      return `one of ${issue.values.join(', ')}`
    case 'invalid_union':
      return issue.path[0] === 'expect'
        ? 'a string or an array of strings'
        : 'a URL, or an object { "exact": URL }'
    case 'too_small':
      return `at least ${issue.minimum}${unitOf(issue, issue.minimum)}`
    case 'too_big':
      return `at most ${issue.maximum}${unitOf(issue, issue.maximum)}`
    default:
      return issue.message.replace(/^must be /, '')
  }
}

function unitOf({ path }: z.core.$ZodIssue, count: number | bigint): string {
  return path.at(-1) !== 'maxAge' ? '' : count === 1 ? ' second' : ' seconds'
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
