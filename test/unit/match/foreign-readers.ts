/** The parts of a URL according to a parser that is independent of ours. A default port is omitted. */
export interface Reading {
  readonly scheme: string
  readonly host: string
  readonly port: string
  readonly path: string
  /** With its `?`; empty if there is none. */
  readonly query: string
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443' }

/** Parses by the URL standard, like a browser reads `Location`: relative to the page. */
export function readByWhatwg(text: string): Reading | undefined {
  const url = parsed(text)
  if (url === undefined || url.username + url.password + url.hash !== '') return undefined
  const { protocol, hostname, port, pathname, search, href } = url
  return {
    scheme: protocol.slice(0, -1),
    host: hostname,
    port,
    path: pathname,
    query: search === '' && href.endsWith('?') ? '?' : search,
  }
}

function parsed(text: string): URL | undefined {
  try {
    return new URL(text, 'http://foreign.example:8080/base/')
  } catch {
    return undefined
  }
}

// RFC 3986, appendix A, without user information and fragment. In a query, browsers send some more characters.
const URI =
  /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/((?:\[[0-9A-Fa-f:.]*\]|(?:[\w.~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*))(?::(\d*))?)?((?:[\w.~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)(\?(?:[\w.~!$&'()*+,;=:@/?[\]{}|^`-]|%[0-9A-Fa-f]{2})*)?$/

/** Parses by the grammar of RFC 3986. */
export function readByRfc3986(text: string): Reading | undefined {
  const parts = URI.exec(text)
  if (parts === null) return undefined
  const [, scheme = '', host = '', port = '', path = '', query = ''] = parts
  const lower = scheme.toLowerCase()
  const isWeb = lower in DEFAULT_PORTS
  return {
    scheme: lower,
    host: isWeb ? host.toLowerCase() : host,
    port: port === DEFAULT_PORTS[lower] ? '' : port,
    path: path === '' && isWeb ? '/' : path,
    query,
  }
}

/**
 * The target of a path after decoding it repeatedly and resolving its dot segments, including backslashes and
 * parameters.
 */
export function walk(path: string): string {
  let text = path
  for (let previous = ''; previous !== text;) {
    previous = text
    text = text.replace(/%([0-9a-f]{2})/gi, (_all, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
  }
  const names: string[] = []
  for (const name of text.replaceAll('\\', '/').split('/').slice(1)) {
    const plain = name.replace(/;.*/s, '')
    if (plain === '..') names.pop()
    else if (plain !== '.') names.push(name)
  }
  return path === '' ? '' : `/${names.join('/')}`
}

type Entry = string | { readonly exact: string }

const ANY_PORT = /^(http:\/\/(?:127\.0\.0\.1|\[::1\])):\*/

/** Whether a parsed URL is inside an entry of a policy, by the rules in docs/policies.md. */
export function liesInside(url: Reading, entry: Entry, read: (text: string) => Reading | undefined): boolean {
  const text = typeof entry === 'string' ? entry : entry.exact
  const anyPort = ANY_PORT.test(text)
  const place = read(text.replace(ANY_PORT, '$1'))
  if (place === undefined) throw new Error(`the reader does not know the entry ${text}`)
  const samePlace =
    url.scheme === place.scheme && url.host === place.host && (anyPort || url.port === place.port)
  if (!samePlace) return false
  if (typeof entry === 'object') return spelled(url.path) === place.path && spelled(url.query) === place.query
  const below = (path: string, start: string): boolean =>
    path === start || path.startsWith(start.endsWith('/') ? start : `${start}/`)
  return below(spelled(url.path), place.path) && below(walk(url.path), walk(place.path))
}

/** Converts escapes to upper case, and escapes braces and backticks. */
function spelled(text: string): string {
  const [path = '', ...query] = text.split('?')
  return [path, ...query.map((part) => part.replaceAll("'", '%27'))]
    .join('?')
    .replace(/[`{}]/g, encodeURIComponent)
    .replace(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase())
}

/** Whether both parsers find a text inside an entry. */
export function bothFindInside(text: string, entries: readonly Entry[]): boolean {
  return [readByWhatwg, readByRfc3986].every((read) => {
    const url = read(text)
    return url !== undefined && entries.some((entry) => liesInside(url, entry, read))
  })
}
