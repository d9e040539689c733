import { parse } from 'tldts'

/**
 * Whether everybody can register names directly below this hostname: `com`, `co.uk`, `github.io`, `localhost`.
 * By the Public Suffix List, its private section included, as `tldts` carries it.
 */
export function isPublicSuffix(hostname: string): boolean {
  const { publicSuffix } = parse(hostname, { allowPrivateDomains: true, validateHostname: false })
  return publicSuffix === hostname
}
