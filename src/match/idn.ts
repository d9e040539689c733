import { domainToASCII, domainToUnicode } from 'node:url'

// ß, final sigma and the joiners: current programs (UTS 46, non-transitional) and older ones map them differently.
const DEVIATION = /[\u00df\u03c2\u200c\u200d]/
const NOT_ASCII = /[^\0-\x7f]/
const NOT_ASCII_ALL = /[^\0-\x7f]/g
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/
const WEB_HOST = /^(https?:\/\/(?:\*\.)?)([^/?#:@\\[\]*]+)/
const WEB_IPV6 = /^(https?:\/\/)(\[[0-9A-Fa-f:.]+\])/
const OUTER_HYPHEN = /(?:^|\.)-|-(?:\.|$)/

/** Returns an entry of a policy with its scheme in lower case (RFC 3986, 3.1: schemes are case-insensitive). */
export function withLowerScheme(text: string): string {
  return text.replace(SCHEME, (scheme) => scheme.toLowerCase())
}

/**
 * Returns an entry of a policy with its scheme in lower case, and with its host in canonical form if it has only one meaning:
 * Unicode as ASCII (A-labels), an IPv6 address as browsers print it.
 *
 * A Unicode host is converted only if it is written as IDNA (UTS 46, non-transitional) prints it, apart from case: composed,
 * with no label in ASCII form, and without the few letters that older programs map differently. Any other host is returned
 * unchanged.
 */
export function withCanonicalHost(written: string): string {
  const text = withLowerScheme(written)
  const [literal = '', scheme = '', address = ''] = WEB_IPV6.exec(text) ?? []
  if (literal !== '') return scheme + printedAddress(address) + text.slice(literal.length)
  if (!NOT_ASCII.test(text)) return text
  const [start = '', before = '', host = ''] = WEB_HOST.exec(text) ?? []
  const lower = host.toLowerCase()
  // A capital letter whose small letter is ASCII, such as the Kelvin sign, was not meant as that letter.
  if (lettersOf(lower) !== lettersOf(host)) return text
  if (!NOT_ASCII.test(lower) || DEVIATION.test(lower) || OUTER_HYPHEN.test(lower)) return text
  const ascii = domainToASCII(lower)
  // The URL standard must convert both spellings to the same host.
  if (domainToASCII(host) !== ascii) return text
  return ascii !== '' && domainToUnicode(ascii) === lower ? before + ascii + text.slice(start.length) : text
}

/** Counts the characters that are not ASCII. */
function lettersOf(text: string): number {
  return text.match(NOT_ASCII_ALL)?.length ?? 0
}

function printedAddress(address: string): string {
  const printed = domainToASCII(address)
  return printed === '' ? address : printed
}

/** The labels of a canonical hostname in Unicode. */
export function unicodeLabels(hostname: string): readonly string[] {
  return domainToUnicode(hostname).split('.')
}
