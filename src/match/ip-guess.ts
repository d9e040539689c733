import { unquoted, type Guess } from './guess.ts'
import { readUrl } from './host.ts'
import { scanIp, scanned } from './ip-text.ts'

type Guesser = (text: string) => Guess | undefined

/** The longest text that is looked at: two addresses and what stands between them. */
const LONGEST = 128

/** What was probably meant by a text that is no range; `undefined` where nobody can say. */
export function guessIpRange(written: string): Guess | undefined {
  if (written.length > LONGEST) return undefined
  const text = cleaned(written)
  if (text !== written && isRange(text))
    return { problem: 'has characters that do not belong to an address or range', meant: [text] }
  for (const guess of GUESSERS) {
    const found = guess(text)
    if (found !== undefined) return found
  }
  return undefined
}

const PREFIX = /[ \t]?[/\\][ \t]?\+?0?([1-9][0-9]{0,2})$/
const BRACKETS = /^\[([0-9A-Fa-f:.]+)\]((?:\/[0-9]{1,3})?)$/
const WORD = /^(?:(?:ipv?[46]?|cidr|allow|from|host)[ :=]{1,3}){1,2}/i

/** Without what is around an address in files and programs: blanks, quotes, brackets, a comment, a comma, a word before it. */
function cleaned(written: string): string {
  const visible = written.normalize('NFKC').replaceAll(/\p{Cf}/gu, '')
  const [uncommented = ''] = visible.split(/#|\s;/, 1)
  const text = unquoted(uncommented).replace(WORD, '').replace(PREFIX, '/$1')
  const whole = text.replace(BRACKETS, '$1$2')
  const shorter = whole.replace(/[.,;]$/, '')
  return isRange(shorter) ? shorter : whole
}

const BITS = { 4: 32, 6: 128 } as const

function isRange(text: string): boolean {
  const [host = '', prefix, ...more] = text.split('/')
  const version = scanIp(host)
  if (version === 0 || more.length > 0) return false
  return prefix === undefined || (/^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= BITS[version])
}

const FIRST_PARTS = /^((?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){0,2})(\.|(?:\.[*xX]){1,3})?$/

/** `10.0.*`, `192.168.1`, `10.0.`, `10/8`: the first parts of an IPv4 address. */
const partsOfFour: Guesser = (text) => {
  const [host = '', prefix, ...more] = text.split('/')
  const [, written, end] = more.length > 0 ? [] : (FIRST_PARTS.exec(host) ?? [])
  if (written === undefined) return undefined
  const parts = written.split('.')
  // One number alone can be anything.
  if (parts.length === 1 && end === undefined && prefix === undefined) return undefined
  const network = [...parts, '0', '0', '0'].slice(0, 4).join('.')
  const meant = [`${network}/${prefix ?? 8 * parts.length}`]
  // Programs in C read `10.1` as `10.0.0.1`.
  if (parts.length === 2 && end === undefined && prefix === undefined) meant.push(...readByUrl(host))
  const problem = end === undefined || end === '.' ? 'has fewer than four parts' : 'has a wildcard'
  return { problem, meant }
}

/** `010.0.0.1`, `0x7f000001`, `2130706433`: IPv4 in numbers that are not four plain decimal ones. */
const numbersOfFour: Guesser = (text) => {
  const [host = '', prefix, ...more] = text.split('/')
  if (more.length > 0 || scanIp(host) !== 0 || !/^[0-9a-fx.]{1,48}$/i.test(host)) return undefined
  const parts = host.split('.')
  const isDecimal = parts.length === 4 && parts.every((part) => /^[0-9]{1,6}$/.test(part))
  if (isDecimal && parts.some((part) => Number(part) > 255))
    return { problem: 'has a part over 255', meant: [] }
  const byUrl = readByUrl(host)
  if (!isDecimal && (byUrl.length === 0 || /^[0-9]{1,7}$/.test(host))) return undefined
  const decimal = isDecimal ? [parts.map(Number).join('.')] : []
  const end = prefix === undefined ? '' : `/${prefix}`
  const problem = isDecimal
    ? 'has a part with a leading zero, which some programs read as octal'
    : 'is written in numbers that are not four decimal parts'
  return { problem, meant: [...decimal, ...byUrl].map((address) => address + end) }
}

/** What the URL standard reads, which knows the bases and short forms that programs in C take. */
function readByUrl(host: string): string[] {
  const hostname = readUrl(`http://${host}/`)?.hostname ?? ''
  return scanIp(hostname) === 4 ? [hostname] : []
}

const FIRST_GROUPS = /^((?:[0-9a-f]{1,4}:){1,6}[0-9a-f]{1,4})(:|(?:::?\*){1,7})?$/i

/** `2001:db8:*`, `2001:db8:`, `2001:db8`: the first groups of an IPv6 address. */
const groupsOfSix: Guesser = (text) => {
  const [, groups, end] = FIRST_GROUPS.exec(text) ?? []
  if (groups === undefined) return undefined
  const network = `${groups}::/${16 * groups.split(':').length}`
  if (end === undefined || end === ':') return { problem: 'has fewer than eight groups', meant: [network] }
  return { problem: 'has a wildcard', meant: end.startsWith('::') ? [network, `${groups}::/112`] : [network] }
}

const BETWEEN = / ?(?:[-\u2013\u2014]|\.{2,3}| to ) ?/

/** `10.0.0.1-10.0.0.50`, `10.0.0.1-50`, `2001:db8::1 .. 2001:db8::ff`: from one address to another. */
const span: Guesser = (text) => {
  const [from = '', to = '', ...more] = text.split(BETWEEN)
  const first = valueOf(from)
  if (first === undefined || more.length > 0) return undefined
  // The last part alone, or the last two: `10.0.0.1-50`, `10.0.0.1-1.50`.
  const isEnd = first.version === 4 && /^[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}$/.test(to)
  const kept = isEnd ? from.split('.').slice(0, -to.split('.').length) : []
  const last = valueOf([...kept, to].join('.'))
  if (last === undefined || last.version !== first.version) return undefined
  if (last.value < first.value)
    return { problem: 'is a span of addresses whose last one comes before its first', meant: [] }
  return { problem: 'is a span of addresses', meant: rangesOf(first, last.value), all: true }
}

interface Value {
  readonly version: 4 | 6
  readonly value: bigint
}

function valueOf(text: string): Value | undefined {
  const version = scanIp(text)
  if (version === 0) return undefined
  const words = version === 4 ? scanned.words.subarray(0, 1) : scanned.words
  return { version, value: [...words].reduce((value, word) => (value << 32n) | BigInt(word), 0n) }
}

/** The fewest ranges that are exactly the addresses from `first` to `last`. */
function rangesOf({ version, value: first }: Value, last: bigint): string[] {
  const ranges: string[] = []
  for (let at = first; at <= last;) {
    let free = 0n
    while (free < BITS[version] && at % (2n << free) === 0n && at + (2n << free) - 1n <= last) free += 1n
    ranges.push(`${spelled(version, at)}/${BITS[version] - Number(free)}`)
    at += 1n << free
  }
  return ranges
}

function spelled(version: 4 | 6, value: bigint): string {
  const width = version === 4 ? 8 : 16
  const parts = Array.from({ length: BITS[version] / width }, (_, index) =>
    BigInt.asUintN(width, value >> BigInt(width * index)).toString(version === 4 ? 10 : 16),
  )
  return parts.reverse().join(version === 4 ? '.' : ':')
}

/** `10.0.0.0/255.255.0.0`, `10.0.0.0 0.0.255.255`: a mask, or the inverse of one, in place of the prefix length. */
const netmask: Guesser = (text) => {
  const [address = '', written = '', ...more] = text.split(/ ?\/ ?| /)
  const host = valueOf(address)
  const mask = valueOf(written)
  if (host === undefined || mask === undefined || more.length > 0 || mask.version !== host.version)
    return undefined
  // Zeros behind an address are the inverse of a mask: they stand for that address alone.
  const isMask = mask.value !== 0n || host.value === 0n
  const prefix = (isMask ? prefixOf(mask) : undefined) ?? prefixOf(inverse(mask))
  if (prefix !== undefined)
    return { problem: 'has a mask in place of a prefix length', meant: [`${address}/${prefix}`] }
  // Two addresses with a blank between them are two entries.
  if (!text.includes('/')) return undefined
  return { problem: 'has a mask with gaps in place of a prefix length', meant: [] }
}

function inverse({ version, value }: Value): Value {
  return { version, value: BigInt.asUintN(BITS[version], ~value) }
}

/** How many ones a mask begins with, where nothing but zeros follows. */
function prefixOf({ version, value }: Value): number | undefined {
  const bits = value.toString(2).padStart(BITS[version], '0')
  const prefix = bits.indexOf('0')
  if (prefix === -1) return BITS[version]
  return bits.includes('1', prefix) ? undefined : prefix
}

const WITH_PORT = /^((?:[0-9]{1,3}\.){3}[0-9]{1,3}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}$/
const WITH_ZONE = /^\[?([0-9A-Fa-f:.]{2,45})%[^/\]]{1,32}\]?(\/[0-9]{1,3})?$/
const MAPPED = /^::ffff:((?:[0-9]{1,3}\.){3}[0-9]{1,3}\/(?:[12]?[0-9]|3[012]))$/i

/** `10.0.0.1:443`, `fe80::1%eth0`, `http://10.0.0.1/`, `!10.0.0.1`: an address with what has its place elsewhere. */
const addressWithMore: Guesser = (text) => {
  const [, ported] = WITH_PORT.exec(text) ?? []
  if (ported !== undefined) return { problem: 'has a port', meant: [withoutBrackets(ported)] }
  const [, zoned, prefix = ''] = WITH_ZONE.exec(text) ?? []
  if (zoned !== undefined)
    return { problem: 'has a zone, which has a meaning on one machine only', meant: [zoned + prefix] }
  const [, mapped] = MAPPED.exec(text) ?? []
  if (mapped !== undefined) return { problem: 'is IPv4 written as IPv6', meant: [mapped] }
  if (/^(?:!|not |deny )/i.test(text) && isRange(text.replace(/^(?:!|[a-z]+ ) ?/i, '')))
    return { problem: `${NO_RANGE}: addresses to refuse belong in \`deny\``, meant: [] }
  const url = /^[a-z][a-z0-9+.-]{0,31}:\/\//i.test(text) ? readUrl(text) : undefined
  if (url === undefined) return undefined
  const host = withoutBrackets(url.hostname)
  return scanIp(host) === 0 ? nameOfHost(host) : { problem: 'is a URL', meant: [host] }
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1')
}

/** `10.0.0.1,10.0.0.2`: several in one text. */
const several: Guesser = (text) => {
  const parts = text.split(/[\s,;|]+/)
  if (parts.length < 2 || !parts.every(isRange)) return undefined
  return { problem: 'holds several entries', meant: parts, all: true }
}

const NO_RANGE = 'is not an IP address or CIDR range'
const HOST_NAME = 'is a host name, which is not looked up'
const NO_ADDRESS = 'is not an address: write the addresses of the host, or a list in `lists`'
const EVERYBODY: ReadonlySet<string> = new Set(['*', '*.*.*.*', 'any', 'all', 'everyone', '*:*', '::/*'])
const NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63}){0,8}$/

/** `any`, `localhost`, `example.org`, `office`. */
const nameOfHost: Guesser = (text) => {
  const lower = text.toLowerCase()
  if (EVERYBODY.has(lower))
    return { problem: 'stands for every address', meant: ['0.0.0.0/0', '::/0'], all: true }
  if (lower === 'localhost') return { problem: HOST_NAME, meant: ['127.0.0.1', '::1'], all: true }
  if (!NAME.test(lower) || !/[a-z]/.test(lower)) return undefined
  const isHost = lower.includes('.')
  const problem = isHost ? `${HOST_NAME}: write its addresses` : NO_ADDRESS
  return { problem, meant: [] }
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
