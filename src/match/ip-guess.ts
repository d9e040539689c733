import { MOST_MEANT, partsOf, unquoted, type Guess } from './guess.ts'
import { scanIp, scanned } from './ip-text.ts'

type Guesser = (text: string) => Guess | undefined

/** The longest text that is examined: a few addresses. */
const LONGEST = 128

/** The probable meaning of a text that is not a range. `undefined` if more than one meaning is likely. */
export function guessIpRange(written: string): Guess | undefined {
  if (written.length > LONGEST) return undefined
  const text = cleaned(written)
  if (text !== written && isRange(text))
    return ['has characters that do not belong to an address or range', text]
  for (const guess of GUESSERS) {
    const found = guess(text)
    if (found !== undefined) return found
  }
  return undefined
}

/** Removes quotes, brackets, spaces around the slash and a comma at the end, and converts full-width characters to ASCII. */
function cleaned(written: string): string {
  const whole = unquoted(written)
    .replaceAll(/[\uff01-\uff5e]/g, (wide) => String.fromCharCode(wide.charCodeAt(0) - 0xfe_e0))
    .replace(/ ?\/ ?/, '/')
    .replace(/^\[([0-9a-f:.]+)\](?=\/|$)/i, '$1')
  const shorter = whole.replace(/[.,;]$/, '')
  return isRange(shorter) ? shorter : whole
}

function isRange(text: string): boolean {
  const [host = '', prefix = '0', ...more] = text.split('/', 3)
  return more.length === 0 && scanIp(host) !== 0 && /^(?:0|[1-9][0-9]{0,2})$/.test(prefix)
}

const FIRST_PARTS = /^([0-9]{1,3}(?:\.[0-9]{1,3}){0,2})(\.|(?:\.[*x]){1,3})?(\/[0-9]{1,2})?$/i

/** `10.0.*`, `192.168.1`, `10.0.`, `192.168/16`: the first parts of an IPv4 address. */
const partsOfFour: Guesser = (text) => {
  const [, written, end = '', prefix = ''] = FIRST_PARTS.exec(text) ?? []
  const parts = written?.split('.') ?? []
  const isWild = end.length > 1
  // A single number can mean anything.
  if (isWild ? prefix !== '' || parts.length + end.length / 2 > 4 : parts.length < 2) return undefined
  const range = `${[...parts, '0', '0', '0'].slice(0, 4).join('.')}${prefix || `/${8 * parts.length}`}`
  if (isWild) return ['has a wildcard', range]
  // C libraries read `10.1` as `10.0.0.1`.
  const isEither = parts.length === 2 && end + prefix === ''
  return isEither ? [FEWER_PARTS] : [FEWER_PARTS, range]
}

const FEWER_PARTS = 'has fewer than four parts'

/** `010.0.0.1`, `10.0.0.256`. Some programs read the first as `8.0.0.1`. */
const numbersOfFour: Guesser = (text) => {
  if (!/^(?:[0-9]{1,4}\.){3}[0-9]{1,4}(?:\/[0-9]{1,2})?$/.test(text)) return undefined
  if (text.split(/[./]/, 4).some((part) => Number(part) > 255)) return ['has a part over 255']
  return ['has a part with a leading zero, which some programs read as octal']
}

const FIRST_GROUPS = /^((?:[0-9a-f]{1,4}:){1,6}[0-9a-f]{1,4})(:|(?::\*){1,6})$/i

/**
 * `2001:db8:*`, `2001:db8:`: the first groups of an IPv6 address. The ending is required, because `db:5432` is not a range.
 */
const groupsOfSix: Guesser = (text) => {
  const [, groups = '', end = ''] = FIRST_GROUPS.exec(text) ?? []
  const count = groups.split(':').length
  if (end === '' || count + end.length / 2 > 8) return undefined
  return [end === ':' ? 'has fewer than eight groups' : 'has a wildcard', `${groups}::/${16 * count}`]
}

function valueOf(text: string): number | undefined {
  return scanIp(text) === 4 ? scanned.words[0] : undefined
}

/** `10.0.0.1-10.0.0.3`, `10.0.0.0-255`: from one IPv4 address to another. */
const span: Guesser = (text) => {
  const [from = '', to = '', ...more] = text.split(/ ?[-\u2013\u2014] ?/, 3)
  const first = valueOf(from)
  const last = valueOf(/^[0-9]{1,3}$/.test(to) ? from.slice(0, from.lastIndexOf('.') + 1) + to : to)
  if (first === undefined || last === undefined || more.length > 0) return undefined
  return ['is a span of addresses', ...rangesOf(first, last)]
}

/** The fewest ranges that cover exactly the addresses from `first` to `last`. Stops early if there are too many to list. */
function rangesOf(first: number, last: number): string[] {
  const ranges: [at: number, size: number][] = []
  for (let at = first; at <= last;) {
    if (ranges.length === MOST_MEANT) return []
    let size = 1
    while (at % (2 * size) === 0 && at + 2 * size - 1 <= last) size *= 2
    ranges.push([at, size])
    at += size
  }
  return ranges.map(
    ([at, size]) => `${[24, 16, 8, 0].map((bits) => (at >>> bits) & 255).join('.')}/${Math.clz32(size - 1)}`,
  )
}

/** `10.0.0.0/255.255.0.0`, `10.0.0.0/0.0.255.255`: a mask, or the inverse of one, in place of the prefix length. */
const netmask: Guesser = (text) => {
  const [host = '', written = '', ...more] = text.split(/[/ ]/, 3)
  const mask = valueOf(written)
  if (mask === undefined || valueOf(host) === undefined || more.length > 0) return undefined
  // Two addresses with a space between them are two entries, unless the second one is a mask.
  const isInverse = text.includes('/')
  const zeros = [~mask >>> 0, ...(isInverse ? [mask] : [])].find((bits) => (bits & (bits + 1)) === 0)
  // Some programs read a mask of zeros as every address, and others as the address itself.
  if (mask !== 0 && zeros !== undefined) return [A_MASK, `${host}/${Math.clz32(zeros)}`]
  return isInverse ? [A_MASK] : undefined
}

const A_MASK = 'has a mask in place of a prefix length'

const WITH_PORT = /^(?:((?:[0-9]{1,3}\.){3}[0-9]{1,3})|\[([0-9a-f:.]{2,45})\]):[0-9]{1,5}$/i
const WITH_ZONE = /^\[?([0-9a-f:.]{2,45})%[^/\]]{1,32}\]?(\/[0-9]{1,3})?$/i

/** `10.0.0.1:443`, `fe80::1%eth0`. */
const addressWithMore: Guesser = (text) => {
  const [, four, six = four] = WITH_PORT.exec(text) ?? []
  if (six !== undefined) return ['has a port', six]
  const [, zoned, prefix = ''] = WITH_ZONE.exec(text) ?? []
  if (zoned === undefined) return undefined
  return ['has a zone (after `%`), which means something on one machine only', zoned + prefix]
}

/** `10.0.0.1,10.0.0.2`: several entries in one text. */
const several: Guesser = (text) => {
  const parts = partsOf(text)
  return parts.length > 1 && parts.every(isRange) ? ['holds several entries', ...parts] : undefined
}

const HOST_NAME = 'is a host name, which is not looked up'

/** `any`, `localhost`, `example.org`, `office`. */
const nameOfHost: Guesser = (text) => {
  if (/^(?:\*|any|all)$/i.test(text)) return ['means every address', '0.0.0.0/0', '::/0']
  if (/^localhost$/i.test(text)) return [HOST_NAME, '127.0.0.1', '::1']
  if (/^(?:[a-z0-9_-]{1,63}\.){1,8}[a-z][a-z0-9-]{1,62}$/i.test(text))
    return [`${HOST_NAME}: write its addresses`]
  if (!/^[a-z][a-z0-9_-]{0,62}$/i.test(text)) return undefined
  return ['is not an address: write the addresses of the host, or a list in `lists`']
}

const GUESSERS: readonly Guesser[] = [
  netmask,
  span,
  several,
  partsOfFour,
  numbersOfFour,
  groupsOfSix,
  addressWithMore,
  nameOfHost,
]
