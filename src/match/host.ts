/**
 * Schemes that run script, wrap another URL, open files or start something on the user's machine, and schemes that a redirect
 * cannot use. They are refused even if the policy lists them.
 */
const REFUSED_SCHEMES: ReadonlySet<string> = new Set(
  [
    'javascript vbscript livescript mocha data',
    'blob filesystem view-source jar feed pcast intent android-app mhtml wyciwyg',
    'file content cid mid ms-its mk res resource smb nfs search-ms',
    'about chrome chrome-untrusted devtools edge opera moz-icon',
    'mailto tel sms facetime itms-services ms-msdt ms-officecmd ms-settings shell',
    'ws wss ftp ftps sftp ssh telnet gopher ldap ldaps news nntp urn',
  ].flatMap((line) => line.split(' ')),
)

/** A text that looks like a host without a scheme: `example.org`, `localhost:3000/x`. */
const BARE_HOST = /^(?:(?=[^:/?#]*\.)[^:/?#]+|localhost|\[[0-9A-Fa-f:.]{2,45}\])(?:[/?#]|:[0-9*]|$)/
const BARE_IPV6 = /^[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,40}$/
/** Hosts of the machine itself, which are rarely served with TLS. */
const OWN_HOST = /^(?:(?:[a-z0-9-]{1,63}\.){0,8}localhost|127\.[0-9.]{3,11}|\[::1\])(?=[:/?#]|$)/i

/**
 * Completes a text whose scheme is missing or misspelled: with `http://` before a host of the machine itself, with `https://`
 * before any other host. Returns any other text unchanged.
 */
export function withWebScheme(text: string): string {
  const spelled = text
    .replace(/^(https?):?\/{1,2}(?=[^/])/i, '$1://')
    .replace(/^ws(?=s?:\/\/)/i, 'http')
    .replace(/^\/\/(?=[^/])/, '')
  const host =
    BARE_IPV6.test(spelled) && isCanonicalHost(`[${spelled.toLowerCase()}]`) ? `[${spelled}]` : spelled
  if (!BARE_HOST.test(host.replace(/^\*?\.(?=.)/, ''))) return spelled
  return `${OWN_HOST.test(host) ? 'http' : 'https'}://${host}`
}

const SCHEME = /^[a-z][a-z0-9+.-]{0,63}$/
const NAME = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
// Short names without A-labels whose last label is not a number. The URL parser leaves them unchanged, so it need not be
// called.
const PLAIN_NAME = /^(?:[a-z0-9_]+(?:-+[a-z0-9_]+)*\.)*[a-z_][a-z0-9_]*(?:-+[a-z0-9_]+)*$/
const IPV6 = /^\[[0-9a-f:]{2,39}\]$/
const PORT = /^[1-9][0-9]{0,4}$/
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['https', '443'],
  ['http', '80'],
])

/** Whether a scheme in lower case may be used at all. */
export function isUsableScheme(scheme: string): boolean {
  return SCHEME.test(scheme) && !REFUSED_SCHEMES.has(scheme)
}

export function isWebScheme(scheme: string): boolean {
  return scheme === 'https' || scheme === 'http'
}

/**
 * Returns the canonical origin of a usable scheme in lower case and an authority as written, or the part that is wrong. Drops
 * the default port of http and https, and converts the host of these schemes to lower case. The host of any other scheme must
 * be in lower case, because parsers differ on whether its case matters.
 */
export function readOrigin(
  scheme: string,
  authority: string,
): { readonly origin: string } | { readonly problem: 'user information' | 'host' | 'port' } {
  // Even empty user information is refused, as in `https://@host`, because parsers drop it without a trace.
  if (authority.includes('@')) return { problem: 'user information' }
  const bracket = authority.startsWith('[') ? authority.indexOf(']') : 0
  const colon = authority.indexOf(':', bracket)
  const written = colon === -1 ? authority : authority.slice(0, colon)
  const host = isWebScheme(scheme) ? written.toLowerCase() : written
  // Electron apps serve their pages from `app://-`.
  const isDash = host === '-' && !isWebScheme(scheme)
  if (!isDash && !isCanonicalHost(host)) return { problem: 'host' }
  if (colon === -1) return { origin: `${scheme}://${host}` }
  const port = authority.slice(colon + 1)
  if (!PORT.test(port) || Number(port) > 65_535) return { problem: 'port' }
  return { origin: `${scheme}://${host}${port === DEFAULT_PORTS.get(scheme) ? '' : `:${port}`}` }
}

/** The host of a canonical origin with an authority, without its port. */
export function hostnameOf(origin: string): string {
  const start = origin.indexOf('://') + 3
  const colon = origin.indexOf(':', origin.startsWith('[', start) ? origin.indexOf(']') : start)
  return origin.slice(start, colon === -1 ? undefined : colon)
}

/**
 * Whether a host is in canonical form: a name of letters, digits, hyphens and underscores in lower case, an IPv4 address in
 * dotted decimal or an IPv6 address in brackets, as the URL standard prints them.
 */
function isCanonicalHost(host: string): boolean {
  if (host.length > 253) return false
  if (host.length < 64 && PLAIN_NAME.test(host) && !host.includes('xn--')) return true
  const isName = host.split('.').every((label) => NAME.test(label))
  if (!isName && !IPV6.test(host)) return false
  // The URL parser converts other spellings of a number to an address, and refuses an invalid A-label.
  const url = `https://${host}/`
  return readUrl(url)?.href === url
}

/** Parses a URL by the URL standard. `undefined` if the text is not a URL. */
export function readUrl(text: string): URL | undefined {
  // Not `URL.canParse`: in Node 20, its optimised code refuses valid URLs with a character from U+0080 to U+00FF.
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}
