import { PolicyError, show, type PolicyIssue } from '../errors.ts'
import { INSTANT_RULE, parseInstant } from '../instant.ts'
import { scanned, scanRange } from '../match/ip-text.ts'
import { parseIpRange } from '../match/ip.ts'
import { isProblem, type Problem } from '../match/problem.ts'

/** One entry of a named list. */
export interface ListEntry {
  /** An address or CIDR range in any spelling. It is returned in canonical form (RFC 5952 for IPv6). */
  readonly range: string
  /**
   * 1 to 256 characters (UTF-16 code units), without control characters other than tab and line breaks. An empty string is
   * refused; leave the member out instead.
   */
  readonly note?: string | undefined
  /** Who is responsible for the entry. The rules of `note` apply. */
  readonly owner?: string | undefined
  /** When the entry expires, as an ISO 8601 instant with an offset. It is returned as written. */
  readonly expires?: string | undefined
}

/** The members of an entry, in the order in which they are written. */
export const MEMBERS = ['range', 'note', 'owner', 'expires'] as const

/**
 * The only way from a value to an entry of a list. Returns a frozen copy with the range in canonical form. Ambiguous ranges
 * are refused: host bits, leading zeros, zones.
 *
 * @param index The index in the list, for error messages.
 * @throws PolicyError with every reason, each with the name of its member and the corrected form if there is one.
 */
export function parseListEntry(value: unknown, index?: number): ListEntry {
  const entry = readEntry(value)
  if (!isRefused(entry)) return entry
  if (index === undefined) throw new PolicyError(entry, 'list')
  const at = `entries[${index}]`
  const issues = entry.map(({ path, ...why }) => ({ path: path === '' ? at : `${at}.${path}`, ...why }))
  throw new PolicyError(issues, 'list')
}

/** Returns the entry, or every reason why the value is refused. The paths of the reasons are names of members. */
export function readEntry(value: unknown): ListEntry | readonly PolicyIssue[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return [{ path: '', message: `must be an object with ${MEMBERS.join(', ')}, got ${show(value)}` }]
  }
  // Only own properties, because inherited ones were not written in the entry.
  const member = (name: (typeof MEMBERS)[number]): unknown =>
    Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  const unknown = Object.keys(value).filter((name) => !isMember(name))
  const issues: PolicyIssue[] = []
  if (unknown.length > 0) {
    const names = unknown.slice(0, 5).map(show).join(', ')
    issues.push({ path: '', message: `must not have members other than ${MEMBERS.join(', ')}, got ${names}` })
  }
  return readMembers(member('range'), member('note'), member('owner'), member('expires'), issues)
}

/** Like {@link readEntry}, from the values of the members. `undefined` means that a member is left out. */
export function readMembers(
  range: unknown,
  note?: unknown,
  owner?: unknown,
  expires?: unknown,
  issues: PolicyIssue[] = [],
): ListEntry | readonly PolicyIssue[] {
  const entry = Object.create(NO_MEMBERS) as { -readonly [Member in keyof ListEntry]: ListEntry[Member] }
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

/**
 * The prototype of entries, which nothing can be added to, unlike `Object.prototype`. Faster than no prototype, because V8
 * stores an object without a prototype as a hash table.
 */
const NO_MEMBERS: object = Object.freeze(Object.create(null) as object)

/** Whether the value may be a list of entries. A string is iterable, but must be parsed first. */
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
    return { problem: given === undefined ? 'is missing' : `must be a string, got ${show(given)}` }
  }
  // Almost all ranges are in canonical form, which `scanRange` recognises in a tenth of the time.
  const version = scanRange(given)
  if (version !== 0) return scanned.prefix === (version === 4 ? 32 : 128) ? withoutPrefix(given) : given
  const range = parseIpRange(given)
  if (!isProblem(range)) return range.text
  return { problem: `${range.problem}, got ${show(given)}`, corrected: range.corrected }
}

function withoutPrefix(range: string): string {
  const slash = range.indexOf('/')
  return slash === -1 ? range : range.slice(0, slash)
}

const LONGEST = 256
// Lone surrogates cannot be restored from a file.
const UNPRINTABLE = /[^\P{Cc}\t\n\r]|\p{Cs}/u

function isText(given: unknown, path: string, issues: PolicyIssue[]): given is string {
  const length = typeof given === 'string' ? given.length : 0
  if (length === 0 || length > LONGEST) {
    const got = length === 0 ? show(given) : `${length}`
    issues.push({ path, message: `must be a string of 1 to ${LONGEST} characters, got ${got}` })
    return false
  }
  if (!UNPRINTABLE.test(given as string)) return true
  issues.push({
    path,
    message: `must not contain control characters or unpaired surrogates, got ${show(given)}`,
  })
  return false
}
