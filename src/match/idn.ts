import { domainToASCII, domainToUnicode } from 'node:url'

// ß and final sigma, and the joiners: read one way today (UTS 46, non-transitional) and another before.
const DEVIATION = /[\u00df\u03c2\u200c\u200d]/
const NOT_ASCII = /[^\0-\x7f]/
const NOT_ASCII_ALL = /[^\0-\x7f]/g
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*(?=:)/
const WEB_HOST = /^(https?:\/\/(?:\*\.)?)([^/?#:@\\[\]*]+)/
const WEB_IPV6 = /^(https?:\/\/)(\[[0-9A-Fa-f:.]+\])/
const OUTER_HYPHEN = /(?:^|\.)-|-(?:\.|$)/

/** An entry of a policy with its scheme in lower case (RFC 3986, 3.1: the case of a scheme means nothing). */
export function withLowerScheme(text: string): string {
  return text.replace(SCHEME, (scheme) => scheme.toLowerCase())
}

/**
 * An entry of a policy with its scheme in lower case, and a host that has one meaning in canonical form: letters of any
 * script in ASCII, an IPv6 address as browsers print it.
 *
 * A host in letters is taken only where it is written as IDNA (UTS 46, non-transitional) prints it, aside from case: composed,
 * all labels in letters, and without the few letters that older programs read as other ones. Any other host is given back as
 * it is.
 */
export function withCanonicalHost(written: string): string {
  const text = withLowerScheme(written)
  const [literal = '', scheme = '', address = ''] = WEB_IPV6.exec(text) ?? []
  if (literal !== '') return scheme + printedAddress(address) + text.slice(literal.length)
  if (!NOT_ASCII.test(text)) return text
  const [start = '', before = '', host = ''] = WEB_HOST.exec(text) ?? []
  const lower = host.toLowerCase()
  // A capital whose small letter is ASCII, like the Kelvin sign, was not meant as that letter.
  if (lettersOf(lower) !== lettersOf(host)) return text
  if (!NOT_ASCII.test(lower) || DEVIATION.test(lower) || OUTER_HYPHEN.test(lower)) return text
  const ascii = domainToASCII(lower)
  // The URL standard must read both alike.
  if (domainToASCII(host) !== ascii) return text
  return ascii !== '' && domainToUnicode(ascii) === lower ? before + ascii + text.slice(start.length) : text
}

/** How many characters are not ASCII. */
function lettersOf(text: string): number {
  return text.match(NOT_ASCII_ALL)?.length ?? 0
}

function printedAddress(address: string): string {
  const printed = domainToASCII(address)
  return printed === '' ? address : printed
}

/** The labels of a canonical hostname in the letters of their script. */
export function unicodeLabels(hostname: string): readonly string[] {
  return domainToUnicode(hostname).split('.')
}
