import type { IncomingHttpHeaders } from 'node:http'

/** Stands for the value of a header that should be one string and is not. It is no valid value of any header. */
export const UNREADABLE = '(not one string)'

/** Node drops header lines beyond `maxHeadersCount` of the server without a word; this many when it is not set. */
const MAX_HEADER_LINES = 1000

/** The part of a request that header lines are read from. */
export interface HeaderSource {
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly socket: object
}

/** Up to so many lines it is quicker to walk over them for each name than to sort them by name first. */
const FEW_LINES = 64

/**
 * The header lines of a request as they were received: those of `rawHeaders`, because `headers` drops or joins what was
 * sent twice and can be changed by other middleware. Adapters that have no `rawHeaders` hand over `headers` alone, which
 * then counts for the whole request.
 *
 * The work for any number of names grows with the number of lines and names, and not with their product: a long head is
 * sorted by name once.
 */
export class HeaderLines {
  /** Names and values in turn. */
  readonly #lines: readonly string[]
  #byName: Map<string, string[]> | undefined
  /** False when lines may be missing, because the request had more than the server keeps. */
  readonly complete: boolean

  /** @param socket that of the source, where it is at hand */
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

  /** A header that should stand once: `undefined` when it was not sent, {@link UNREADABLE} when it was sent otherwise. */
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

  /** The first header whose name begins with this lower-case prefix, and for which the question says yes; its name. */
  findByPrefix(prefix: string, question?: (name: string, value: string) => boolean): string | undefined {
    const lines = this.#lines
    const first = prefix.charCodeAt(0)
    for (let index = 0; index < lines.length; index += 2) {
      const given = lines[index] as string
      // Most names begin with another letter, whatever its case.
      if ((given.charCodeAt(0) | 0x20) !== first || given.length < prefix.length) continue
      const name = given.toLowerCase()
      if (!name.startsWith(prefix)) continue
      if (question === undefined || question(name, lines[index + 1] as string)) return name
    }
    return undefined
  }
}

const NO_LINES: readonly string[] = Object.freeze([])

/** Compares the last letter first, whatever its case: most names of one length differ there. */
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

/** A list stands for several lines; what is neither a string nor a list of strings, and a list of one, is unreadable. */
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
