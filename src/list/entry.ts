import { PolicyError, show, type PolicyIssue } from '../errors.ts'
import { INSTANT_RULE, parseInstant } from '../instant.ts'
import { scanned, scanRange } from '../match/ip-text.ts'
import { parseIpRange } from '../match/ip.ts'
import type { Problem } from '../match/problem.ts'

/** One entry of a named list. */
export interface ListEntry {
  /** An address or CIDR range in canonical spelling. */
  readonly range: string
  /**
   * 1 to 256 characters (UTF-16 code units), without control characters other than tab and line breaks. What says nothing
   * is left out, not empty.
   */
  readonly note?: string | undefined
  /** Who answers for the entry; as `note`. */
  readonly owner?: string | undefined
  /** ISO 8601 instant with its offset, as it was written; from it on the entry admits nobody. */
  readonly expires?: string | undefined
}

/** The members of an entry, in the order in which they are written. */
export const MEMBERS = ['range', 'note', 'owner', 'expires'] as const

/**
 * The only way from a value to an entry of a list. Returns a frozen copy. Nothing is repaired; a single address may be
 * written with its full prefix length, `192.0.2.1/32`.
 *
 * @param index Where it stands among others, to be named with the reasons.
 * @throws PolicyError with every reason, each with the name of its member and, where there is one, the corrected form.
 */
export function parseListEntry(value: unknown, index?: number): ListEntry {
  const entry = readEntry(value)
  if (!isRefused(entry)) return entry
  if (index === undefined) throw new PolicyError(entry, 'list')
  const at = `entries[${index}]`
  const issues = entry.map(({ path, ...why }) => ({ path: path === '' ? at : `${at}.${path}`, ...why }))
  throw new PolicyError(issues, 'list')
}

/** An entry, or every reason why the value is none; their paths are names of members. */
export function readEntry(value: unknown): ListEntry | readonly PolicyIssue[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ path: '', message: `must be an object with ${MEMBERS.join(', ')}, got ${show(value)}` }]
  }
  // Own members only: what a prototype holds was not written by anyone.
  const member = (name: (typeof MEMBERS)[number]): unknown =>
    Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  const unknown = Object.keys(value).filter((name) => !isMember(name))
  const issues: PolicyIssue[] = []
  if (unknown.length > 0) {
    const names = unknown.slice(0, 5).map(show).join(', ')
    issues.push({ path: '', message: `must have no members but ${MEMBERS.join(', ')}, got ${names}` })
  }
  return readMembers(member('range'), member('note'), member('owner'), member('expires'), issues)
}

/** As {@link readEntry}, from values that are at hand. `undefined`: there is none. */
export function readMembers(
  range: unknown,
  note?: unknown,
  owner?: unknown,
  expires?: unknown,
  issues: PolicyIssue[] = [],
): ListEntry | readonly PolicyIssue[] {
  const entry: { -readonly [Member in keyof ListEntry]: ListEntry[Member] } = { range: '' }
  const canonical = readRange(range)
  if (typeof canonical === 'string') entry.range = canonical
  else issues.push({ path: 'range', message: canonical.problem, corrected: canonical.corrected })
  if (note !== undefined && isText(note, 'note', issues)) entry.note = note
  if (owner !== undefined && isText(owner, 'owner', issues)) entry.owner = owner
  if (expires !== undefined) {
    if (parseInstant(expires) !== undefined) entry.expires = expires as string
    else issues.push({ path: 'expires', message: `${INSTANT_RULE}, got ${show(expires)}` })
  }
  return issues.length === 0 ? Object.freeze(entry) : issues
}

/** Whether these may be entries. A text would be taken for its characters: it is to be parsed. */
export function isIterable(value: unknown): value is Iterable<ListEntry> {
  return typeof value === 'object' && value !== null && Symbol.iterator in value
}

export function isAsyncIterable<T>(value: AsyncIterable<T> | Iterable<T>): value is AsyncIterable<T> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

export function isRefused(result: ListEntry | readonly PolicyIssue[]): result is readonly PolicyIssue[] {
  return Array.isArray(result)
}

export function isMember(name: string): name is (typeof MEMBERS)[number] {
  return (MEMBERS as readonly string[]).includes(name)
}

function readRange(given: unknown): string | Problem {
  if (typeof given !== 'string') {
    return { problem: given === undefined ? 'is missing' : `must be a text, got ${show(given)}` }
  }
  // Nearly all ranges are as they should be, and `scanRange` tells that in a tenth of the time.
  const version = scanRange(given)
  if (version !== 0) return scanned.prefix === (version === 4 ? 32 : 128) ? withoutPrefix(given) : given
  const range = parseIpRange(given)
  if (!('problem' in range)) return range.text
  const problem = `${range.problem}, got ${show(given)}`
  if (range.corrected !== undefined) return { problem, corrected: range.corrected }
  const trimmed = parseIpRange(given.trim())
  return { problem, corrected: 'problem' in trimmed ? trimmed.corrected : trimmed.text }
}

function withoutPrefix(range: string): string {
  const slash = range.indexOf('/')
  return slash === -1 ? range : range.slice(0, slash)
}

const LONGEST = 256
// Lone surrogates would not come back from a file.
const UNPRINTABLE = /[^\P{Cc}\t\n\r]|\p{Cs}/u

function isText(given: unknown, path: string, issues: PolicyIssue[]): given is string {
  const length = typeof given === 'string' ? given.length : 0
  if (length === 0 || length > LONGEST) {
    const got = length === 0 ? show(given) : `${length}`
    issues.push({ path, message: `must be a text of 1 to ${LONGEST} characters, got ${got}` })
    return false
  }
  if (!UNPRINTABLE.test(given as string)) return true
  issues.push({
    path,
    message: `must hold no control characters or halves of characters, got ${show(given)}`,
  })
  return false
}
