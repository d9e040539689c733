import { isProblem } from '../../match/problem.ts'
import { createReturnUrlSet, type ReturnUrlSet } from '../../match/return-url-set.ts'
import { parseExactUrl, parseReturnUrl, type ReturnUrlEntry } from '../../match/return-url.ts'
import type { ListsOf } from '../section.ts'
import type { ReturnUrlProtection } from '../sections/return-url-guard.ts'
import { SOME_URL } from '../written-request.ts'
import { letsAllPass, type SectionComparison } from './side.ts'

type Lists = ListsOf<'urls', ReturnUrlEntry>

/**
 * Compares the sets of admitted URLs: exact URLs and prefixes. If no prefix of the other policy covers a prefix, it admits
 * more URLs than any list of exact entries (apart from the limit on their length). So URLs below it are tried, the shortest
 * first, until one is refused.
 */
export const COMPARE_RETURN_URLS: SectionComparison<ReturnUrlProtection, Lists> = {
  members: { mode: 'passes', urls: 'passes' },
  *gains(from, to) {
    const [before, after] = [from.section, to.section]
    if (after === undefined || (before !== undefined && letsAllPass(before))) return undefined
    if (letsAllPass(after)) {
      const request = { url: SOME_URL, returnUrl: '' }
      const member = before === undefined ? '' : 'mode'
      return { member, request, subject: 'a request without a return URL' }
    }
    const smallest = yield* urlOutside(
      before === undefined ? [] : from.lists.urls.entries,
      to.lists.urls.entries,
    )
    if (smallest !== undefined) {
      const request = { url: SOME_URL, returnUrl: smallest }
      return { member: before === undefined ? '' : 'urls', request, subject: `the return URL ${smallest}` }
    }
    if (before !== undefined) return undefined
    const request = { url: SOME_URL, returnUrl: '', returnUrlOptional: true }
    return { member: '', request, subject: 'a request without a return URL, where none is required,' }
  },
}

/** The smallest URL that `has` admits and `had` does not, in steps. */
function* urlOutside(
  had: readonly ReturnUrlEntry[],
  has: readonly ReturnUrlEntry[],
): Generator<void, string | undefined> {
  const before: Urls = {
    set: createReturnUrlSet(had),
    ofAnyPort: createReturnUrlSet(had.filter(({ origin }) => origin.endsWith(ANY_PORT))),
  }
  let smallest: string | undefined
  for (const [index, entry] of has.entries()) {
    const found = yield* outside(before, entry)
    if (found !== undefined && (smallest === undefined || isSmaller(found, smallest))) smallest = found
    if (index % 64 === 63) yield
  }
  return smallest
}

interface Urls {
  readonly set: ReturnUrlSet
  /** Only the entries for any port. */
  readonly ofAnyPort: ReturnUrlSet
}

function isSmaller(one: string, other: string): boolean {
  return one.length === other.length ? one < other : one.length < other.length
}

const ANY_PORT = ':*'
const MOST_PORTS = 65_535

/** The smallest URL that an entry admits and the set does not, in steps. */
function* outside({ set, ofAnyPort }: Urls, entry: ReturnUrlEntry): Generator<void, string | undefined> {
  if (!entry.origin.endsWith(ANY_PORT)) return yield* outsideAt(set, entry, entry.origin)
  const host = entry.origin.slice(0, -ANY_PORT.length)
  if ((yield* outsideAt(ofAnyPort, entry, host)) === undefined) return undefined
  // Each covered port needs an entry of its own, so few ports are tried. Port 80 is the default, which is left out.
  for (let port = 0; port <= MOST_PORTS; port += 1) {
    const found =
      port === 80 ? undefined : yield* outsideAt(set, entry, port === 0 ? host : `${host}:${port}`)
    if (found !== undefined) return found
  }
  return undefined
}

function* outsideAt(
  set: ReturnUrlSet,
  { kind, path, query }: ReturnUrlEntry,
  origin: string,
): Generator<void, string | undefined> {
  const start = origin + path + query
  if (kind === 'exact') return admits(set, start) ? undefined : start
  // A prefix that admits this path with a query that no exact entry has also admits everything below it.
  if (!admits(set, start)) return start
  if (isCovered(set, origin, path)) return undefined
  let tried = 0
  for (const suffix of suffixes(path.endsWith('/'), LONGEST - start.length)) {
    const candidate = start + suffix
    if (isWritten(candidate) && !admits(set, candidate)) return candidate
    tried += 1
    if (tried % 64 === 0) yield
  }
  return undefined
}

/** The limit of `parseReturnUrl`. */
const LONGEST = 2_048

/** Whether a prefix of the set admits the path, and so everything below it. */
function isCovered(set: ReturnUrlSet, origin: string, path: string): boolean {
  // No entry has a fragment, so no exact entry has this query.
  return set.find({ href: '', origin, path, query: '#' }) !== undefined
}

/** Starts with `?`, which begins a query: every prefix admits it, and only exact entries cover single queries. */
const CHARACTERS = "?/abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+,;=:@%[]^|`{}"

/** All endings of a prefix, the shortest first, up to `most` characters. */
function* suffixes(folder: boolean, most: number): Generator<string> {
  for (let length = 1; length <= most; length += 1) {
    for (const text of textsOf(length)) {
      if (folder || text.startsWith('?') || text.startsWith('/')) yield text
    }
  }
}

function* textsOf(length: number): Generator<string> {
  if (length === 0) yield ''
  else for (const first of CHARACTERS) for (const rest of textsOf(length - 1)) yield first + rest
}

/** Whether a text is a return URL in canonical form. */
function isWritten(text: string): boolean {
  const url = parseReturnUrl(text)
  return !isProblem(url) && url.href === text
}

/** Like the guard without reserved parameters. */
function admits(set: ReturnUrlSet, text: string): boolean {
  const url = parseReturnUrl(text)
  if (!isProblem(url)) return set.find(url) !== undefined
  if (url.problem !== 'encoded separator') return false
  const exact = parseExactUrl(text)
  return !isProblem(exact) && set.findSlashed(exact) !== undefined
}
