/** Schemes that run script, wrap another URL or open files. They are refused even where they are written. */
const DANGEROUS_SCHEMES: ReadonlySet<string> = new Set([
  'about',
  'blob',
  'content',
  'data',
  'file',
  'filesystem',
  'ftp',
  'intent',
  'jar',
  'javascript',
  'mailto',
  'resource',
  'tel',
  'vbscript',
  'view-source',
  'ws',
  'wss',
])

const SCHEME = /^[a-z][a-z0-9+.-]*$/
const NAME = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/
const PORT = /^[1-9][0-9]{0,4}$/

/** Whether a lower-case scheme may be used at all. */
export function isUsableScheme(scheme: string): boolean {
  return SCHEME.test(scheme) && !DANGEROUS_SCHEMES.has(scheme)
}

export function isWebScheme(scheme: string): boolean {
  return scheme === 'https' || scheme === 'http'
}

/**
 * Whether a lower-case host is the one spelling of itself: a name of letters, digits, hyphens and underscores, an IPv4
 * address in dotted decimal or an IPv6 address in brackets, as the URL standard prints them.
 */
export function isCanonicalHost(host: string): boolean {
  if (host.length > 253) return false
  if (!host.startsWith('[') && !host.split('.').every((label) => label.length <= 63 && NAME.test(label)))
    return false
  // The URL parser would turn another spelling of a number or a broken A-label into something else, or refuse it.
  const url = `https://${host}/`
  return URL.canParse(url) && new URL(url).href === url
}

/** A port without leading zeros, up to 65535. */
export function isPort(text: string): boolean {
  return PORT.test(text) && Number(text) <= 65_535
}

export const DEFAULT_PORTS: Readonly<Record<string, string>> = { https: '443', http: '80' }

/** Splits an authority without user information into host and port; `undefined` port: none was written. */
export function splitAuthority(authority: string): { host: string; port: string | undefined } {
  const colon = authority.indexOf(':', authority.startsWith('[') ? authority.indexOf(']') : 0)
  if (colon === -1) return { host: authority, port: undefined }
  return { host: authority.slice(0, colon), port: authority.slice(colon + 1) }
}
