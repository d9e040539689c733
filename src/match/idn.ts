import { domainToASCII, domainToUnicode } from 'node:url'

// ß and final sigma, and the joiners: read one way today (UTS 46, non-transitional) and another before.
const DEVIATION = /[\u00df\u03c2\u200c\u200d]/
const NOT_ASCII = /[^\0-\x7f]/
const WEB_HOST = /^(https?:\/\/(?:\*\.)?)([^/?#:@\\[\]*]+)/
const OUTER_HYPHEN = /(?:^|\.)-|-(?:\.|$)/

/**
 * An entry of a policy whose host is written in letters of any script, with that host in ASCII. Only where the host is written
 * exactly as IDNA (UTS 46, non-transitional) prints it: in lower case and composed, all labels in letters, and without the few
 * that older programs read as other ones. Any other text is given back as it is.
 */
export function withAsciiHost(text: string): string {
  if (!NOT_ASCII.test(text)) return text
  const [start = '', before = '', host = ''] = WEB_HOST.exec(text) ?? []
  if (!NOT_ASCII.test(host) || DEVIATION.test(host) || OUTER_HYPHEN.test(host)) return text
  const ascii = domainToASCII(host)
  return ascii !== '' && domainToUnicode(ascii) === host ? before + ascii + text.slice(start.length) : text
}

/** The labels of a canonical hostname in the letters of their script. */
export function unicodeLabels(hostname: string): readonly string[] {
  return domainToUnicode(hostname).split('.')
}
