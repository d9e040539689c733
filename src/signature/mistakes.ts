import type { MessageParts } from './base.ts'

/** A value that a signer may have signed by mistake in place of a component's value. */
export interface Mistake {
  /** The value that was signed. */
  readonly value: string
  /** The mistake, as a phrase that quotes nothing of the message. */
  readonly what: string
}

/** Makes the mistake in a value. Returns `undefined` if it is impossible. */
type Making = readonly [what: string, make: (value: string, message: MessageParts) => string | undefined]

const OWN_MACHINE = /^(?:localhost|127\.0\.0\.1|\[::1\])(?=:|$)/

const DERIVED: Readonly<Record<string, readonly Making[]>> = {
  '@method': [
    ['in lower case', (value) => value.toLowerCase()],
    ['in upper case', (value) => value.toUpperCase()],
    ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD'].map((name): Making => [`as ${name}`, () => name]),
  ],
  '@authority': [
    ...['localhost', '127.0.0.1', '[::1]'].map((name): Making => [
      `as \`${name}\``,
      (value) => (OWN_MACHINE.test(value) ? value.replace(OWN_MACHINE, name) : undefined),
    ]),
    ['as in `Host`', (_value, { header }) => header('host')[0]],
    ['as in `X-Forwarded-Host`', (_value, { header }) => header('x-forwarded-host')[0]],
    ['with the default port of https', (value) => `${value}:443`],
    ['with the default port of http', (value) => `${value}:80`],
    ['without its port', (value) => value.replace(/:\d+$/, '')],
    ['with the scheme', (value, { scheme = 'https' }) => `${scheme}://${value}`],
  ],
  '@path': [
    ['with the query', (_value, { target }) => target],
    [
      'with the scheme and the authority',
      (value, message) => `${schemeOf(message)}://${message.authority ?? ''}${value}`,
    ],
    ['without its trailing slash', (value) => value.replace(/\/$/, '')],
    ['with a trailing slash', (value) => `${value}/`],
    ['without its first segment', (value) => /^\/[^/]+(\/.*)$/.exec(value)?.[1]],
    ['without its first two segments', (value) => /^\/[^/]+\/[^/]+(\/.*)$/.exec(value)?.[1]],
    ['percent-decoded', decode],
    ['percent-encoded twice', (value) => value.replaceAll('%', '%25')],
    ['in lower case', (value) => value.toLowerCase()],
  ],
  '@query': [
    ['as an empty string', (value) => (value === '?' ? '' : undefined)],
    ['without the question mark', (value) => value.slice(1)],
    ['as if there were no query', () => '?'],
    ['percent-decoded', decode],
    ['with `+` for spaces', (value) => value.replaceAll('%20', '+')],
    ['with `%20` for spaces', (value) => value.replaceAll('+', '%20')],
    ['with the parameters sorted', (value) => `?${value.slice(1).split('&').sort().join('&')}`],
  ],
  '@request-target': [['without the query', (value) => upTo(value, '?')]],
  '@target-uri': [
    ['with the other scheme', otherScheme],
    ['without the query', (value) => upTo(value, '?')],
    ['as the path', (_value, { target }) => target],
  ],
  '@scheme': [['as the other scheme', (value) => (value === 'https' ? 'http' : 'https')]],
}

const FIELDS: readonly Making[] = [
  ['in lower case', (value) => value.toLowerCase()],
  ['without its parameters', (value) => upTo(value, ';')],
  ['with `; charset=utf-8`', (value) => `${value}; charset=utf-8`],
  ['with `;charset=UTF-8`', (value) => `${value};charset=UTF-8`],
  ['with commas and no spaces', (value) => value.replaceAll(', ', ',')],
  ['as an empty string', () => ''],
]

// For a content-digest with a single member.
const DIGEST: readonly Making[] = [
  ['without the name of the algorithm', (value) => value.replace(/^[^=]*=/, '')],
  ['without the colons', (value) => value.replaceAll(':', '')],
  ['as bare base64', (value) => value.replace(/^[^=]*=:?|:$/g, '')],
  [
    'as hexadecimal',
    (value) =>
      value.replace(/:([^:]*):/, (_all, text: string) => Buffer.from(text, 'base64').toString('hex')),
  ],
]

const PARAMETERS: readonly Making[] = [
  ['with the label', (value) => `sig1=${value}`],
  ['without the parameters', (value) => listOf(value)],
  ['without the list of components', (value) => value.slice(listOf(value).length + 1)],
  ['with a space after each semicolon', (value) => value.replaceAll(';', '; ')],
  ['with commas in the list of components', (value) => value.replaceAll('" "', '", "')],
  ...[
    ['created', 'expires', 'keyid', 'nonce', 'alg', 'tag'],
    ['created', 'expires', 'nonce', 'keyid', 'alg', 'tag'],
    ['keyid', 'alg', 'created', 'expires', 'nonce', 'tag'],
    ['alg', 'created', 'expires', 'keyid', 'nonce', 'tag'],
  ].map((order): Making => ['with the parameters in another order', (value) => ordered(value, order)]),
]

/** The likely mistakes with one component. Computed lazily, because for a long base most are not tried. */
export function* mistakesWith(name: string, value: string, message: MessageParts): Generator<Mistake> {
  const makings =
    name === '@signature-params'
      ? PARAMETERS
      : name === 'content-digest'
        ? DIGEST
        : name.startsWith('@')
          ? (DERIVED[name] ?? [])
          : FIELDS
  for (const [what, make] of makings) {
    const made = make(value, message)
    if (made !== undefined && made !== value) yield { value: made, what }
  }
}

function upTo(value: string, mark: string): string {
  return value.split(mark, 1)[0] as string
}

/** The list of components before the parameters. */
function listOf(value: string): string {
  return `${upTo(value, ')')})`
}

function decode(value: string): string | undefined {
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}

function schemeOf({ scheme = 'https' }: MessageParts): string {
  return scheme
}

function otherScheme(value: string): string {
  return value.startsWith('https:') ? `http${value.slice(5)}` : `https${value.slice(4)}`
}

function ordered(value: string, order: readonly string[]): string {
  const list = listOf(value)
  const rest = value.slice(list.length + 1)
  const rank = (part: string): number => order.indexOf(upTo(part, '='))
  return [list, ...rest.split(';').sort((a, b) => rank(a) - rank(b))].join(';')
}
