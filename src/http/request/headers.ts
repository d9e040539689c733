import type { IncomingHttpHeaders } from 'node:http'

/**
 * Placeholder for the value of a header that should be one string and is not. It is not a valid value of any header that guards
 * read.
 */
export const UNREADABLE = '(not one string)'

/** The default of the server's `maxHeadersCount`. Node silently drops header lines beyond it. */
const MAX_HEADER_LINES = 1000

/** The part of a request that header lines are read from. */
export interface HeaderSource {
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly socket: object
}

/** Up to this many lines, scanning them for each name is faster than indexing them by name. */
const FEW_LINES = 64

/**
 * The header lines of a request as they were received: those of `rawHeaders`, because `headers` drops or joins repeated lines,
 * and other middleware can change it. Adapters without `rawHeaders` provide only `headers`, which then counts for the whole
 * request.
 *
 * The work for any number of names grows with the sum of lines and names, not with their product: a long head is indexed by name
 * once.
 */
export class HeaderLines {
  /** Names and values, alternating. */
  readonly #lines: readonly string[]
  #byName: Map<string, string[]> | undefined
  /** False if lines may be missing, because the request had more than the server keeps. */
  readonly complete: boolean

  /** @param socket the socket of the source, if the caller has it already */
  constructor(source: HeaderSource, socket: object = source.socket) {
    const { rawHeaders } = source
    const given = Array.isArray(rawHeaders) ? rawHeaders : NO_LINES
    this.#lines = given.length === 0 ? linesOf(source.headers) : given
    this.complete = hasRoomFor(given.length / 2, socket)
  }

  /** Every line of this header in order of arrival; `name` is in lower case. */
  all(name: string): readonly string[] {
    const lines = this.#lines
    if (lines.length > 2 * FEW_LINES) {
      this.#byName ??= sorted(lines)
      return this.#byName.get(name) ?? NO_LINES
    }
    let found: string[] | undefined
    for (let index = 0; index < lines.length; index += 2) {
      if (!isNamed(lines[index] as string, name)) continue
      if (found === undefined) found = [lines[index + 1] as string]
      else found.push(lines[index + 1] as string)
    }
    return found ?? NO_LINES
  }

  /** A header that should appear once: `undefined` if it was not sent, {@link UNREADABLE} if it is not one string. */
  one(name: string): string | undefined {
    const lines = this.#lines
    if (lines.length > 2 * FEW_LINES) {
      const all = this.all(name)
      return all.length > 1 ? UNREADABLE : all[0]
    }
    let found: string | undefined
    for (let index = 0; index < lines.length; index += 2) {
      if (!isNamed(lines[index] as string, name)) continue
      if (found !== undefined) return UNREADABLE
      found = lines[index + 1] as string
    }
    return found
  }

  /** Whether one of these few headers was sent; their names are in lower case. */
  hasOneOf(names: readonly string[]): boolean {
    const lines = this.#lines
    for (let index = 0; index < lines.length; index += 2) {
      const given = lines[index] as string
      for (let at = 0; at < names.length; at += 1) if (isNamed(given, names[at] as string)) return true
    }
    return false
  }

  /** The name of the first header that begins with this lower-case prefix, and for which `question` returns true. */
  findByPrefix(prefix: string, question?: (name: string, value: string) => boolean): string | undefined {
    const lines = this.#lines
    const first = prefix.charCodeAt(0)
    for (let index = 0; index < lines.length; index += 2) {
      const given = lines[index] as string
      // Most names begin with another letter, in either case.
      if ((given.charCodeAt(0) | 0x20) !== first || given.length < prefix.length) continue
      const name = given.toLowerCase()
      if (!name.startsWith(prefix)) continue
      if (question === undefined || question(name, lines[index + 1] as string)) return name
    }
    return undefined
  }
}

const NO_LINES: readonly string[] = Object.freeze([])

/** Compares the last letter first, in either case, because most names of the same length differ there. */
function isNamed(candidate: string, name: string): boolean {
  const end = name.length - 1
  if (candidate.length !== name.length) return false
  if ((candidate.charCodeAt(end) | 0x20) !== (name.charCodeAt(end) | 0x20)) return false
  return candidate === name || candidate.toLowerCase() === name
}

function sorted(lines: readonly string[]): Map<string, string[]> {
  const byName = new Map<string, string[]>()
  for (let index = 0; index < lines.length; index += 2) {
    const name = (lines[index] as string).toLowerCase()
    const known = byName.get(name)
    if (known === undefined) byName.set(name, [lines[index + 1] as string])
    else known.push(lines[index + 1] as string)
  }
  return byName
}

function hasRoomFor(lines: number, socket: object): boolean {
  const { server } = socket as { server?: { maxHeadersCount?: unknown } }
  const set = server?.maxHeadersCount
  const most = typeof set === 'number' ? set : MAX_HEADER_LINES
  return most <= 0 || lines < most
}

/** A list of several strings becomes several lines. Any other value that is not a string, also a list of one, is unreadable. */
function linesOf(headers: IncomingHttpHeaders): string[] {
  const lines: string[] = []
  for (const [name, value] of Object.entries((headers ?? {}) as Record<string, unknown>)) {
    if (value === undefined) continue
    const several =
      Array.isArray(value) && value.length > 1 && value.every((line) => typeof line === 'string')
    const values: readonly string[] = several ? value : [typeof value === 'string' ? value : UNREADABLE]
    for (const line of values) lines.push(name.toLowerCase(), line)
  }
  return lines
}
