import { getPublicSuffix } from 'tldts'

/**
 * The part of a canonical hostname below which everybody can register names: `com`, `co.uk`, `github.io`, `localhost`.
 * `undefined` for an IP address. By the Public Suffix List, its private section included, as `tldts` carries it.
 */
export function publicSuffixOf(hostname: string): string | undefined {
  const options = { allowPrivateDomains: true, extractHostname: false, validateHostname: false }
  return getPublicSuffix(hostname, options) ?? undefined
}
