import { isProblem } from '../../match/problem.ts'
import { createReturnUrlSet, type ReturnUrlSet } from '../../match/return-url-set.ts'
import { parseExactUrl, parseReturnUrl, type ReturnUrlEntry } from '../../match/return-url.ts'
import type { ListsOf } from '../section.ts'
import type { ReturnUrlProtection } from '../sections/return-url-guard.ts'
import { SOME_URL } from '../written-request.ts'
import { letsAllPass, type SectionComparison } from './side.ts'

type Lists = ListsOf<'urls', ReturnUrlEntry>

/**
 * What is compared is the language of the URLs that are admitted: finitely many exact URLs, and prefixes. A prefix that no
 * prefix of the other covers admits more URLs than finitely many entries can, but for the limit of their length; so
 * URLs below it are tried, the shortest first, until one is not admitted.
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

/** The smallest URL that some entries admit and others do not. */
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
  /** The entries for any port alone. */
  readonly ofAnyPort: ReturnUrlSet
}

function isSmaller(one: string, other: string): boolean {
  return one.length === other.length ? one < other : one.length < other.length
}

const ANY_PORT = ':*'
const MOST_PORTS = 65_535

/** The smallest URL that an entry admits and the set does not. */
function* outside({ set, ofAnyPort }: Urls, entry: ReturnUrlEntry): Generator<void, string | undefined> {
  if (!entry.origin.endsWith(ANY_PORT)) return yield* outsideAt(set, entry, entry.origin)
  const host = entry.origin.slice(0, -ANY_PORT.length)
  if ((yield* outsideAt(ofAnyPort, entry, host)) === undefined) return undefined
  // Each port that is covered takes an entry of its own, so that not many are tried. 80, the default, is not written.
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
  // Whatever prefix admits this path with a query that no exact entry has, admits all that is below it.
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

/** As `parseReturnUrl` has it. */
const LONGEST = 2_048

/** Whether a prefix of the set admits the path, and with it everything below. */
function isCovered(set: ReturnUrlSet, origin: string, path: string): boolean {
  // No entry has a fragment, so that this query is that of no exact entry.
  return set.find({ href: '', origin, path, query: '#' }) !== undefined
}

/** The first are those that queries begin with: every prefix admits them, and only exact entries can take them away. */
const CHARACTERS = "?/abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+,;=:@%[]^|`{}"

/** Everything that may follow a prefix, the shortest first; at most so many characters. */
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

/** Whether it is read as a return URL, and is the canonical form of itself. */
function isWritten(text: string): boolean {
  const url = parseReturnUrl(text)
  return !isProblem(url) && url.href === text
}

/** As the guard admits it, where no parameter is reserved. */
function admits(set: ReturnUrlSet, text: string): boolean {
  const url = parseReturnUrl(text)
  if (!isProblem(url)) return set.find(url) !== undefined
  if (url.problem !== 'encoded separator') return false
  const exact = parseExactUrl(text)
  return !isProblem(exact) && set.findSlashed(exact) !== undefined
}
