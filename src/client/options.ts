import { ConfigError, wrongOption, type ConfigIssue } from '../errors.ts'
import { readUrl } from '../match/host.ts'
import { isKeyId } from '../names.ts'
import { readOptions, type Expectation } from '../options.ts'
import { LABEL, LEAST_SECRET_BYTES } from '../signature/base.ts'
import { HEXADECIMAL, isHexadecimal } from '../signature/hexadecimal.ts'
import { bytesFromBase64 } from './base64.ts'
import { isPrivateKey, PRIVATE_KEY_RULE, type PrivateKey } from './key.ts'

/** The key and the options for signing. Give either `secret` (`hmac-sha256`) or `privateKey` (`ed25519`). */
export interface SigningOptions {
  /** The id of the app's key: 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
  keyId: string
  /**
   * The secret of an `hmac-sha256` key, as the operator issued it: base64 of at least 32 bytes. Never put it where a browser
   * can read it.
   */
  secret?: string | undefined
  /**
   * The private half of an `ed25519` key, which the operator never sees: PKCS #8, as PEM
   * (`openssl genpkey -algorithm ed25519`) or as the base64 of its DER, or a `CryptoKey` with the usage `sign`. The runtime's
   * WebCrypto must support Ed25519.
   */
  privateKey?: string | PrivateKey | undefined
  /** The clock, in milliseconds since the epoch. Default `Date.now`. */
  now?: (() => number) | undefined
  /**
   * Returns a new nonce at each call: 16-128 characters of `A-Z a-z 0-9 + / = . _ ~ : -`. Default: 16 random bytes in base64.
   */
  nonce?: (() => string) | undefined
  /** The label of the signature in the two headers. Default `sig1`. */
  label?: string | undefined
  /** Names of additional headers to cover. A request without one of them is refused with a `TypeError`. */
  covered?: readonly string[] | undefined
  /** The lifetime of a signature in seconds. The verifier may refuse it earlier. Default: the verifier decides. */
  expiresIn?: number | undefined
}

/** The options of every client that sends signed requests. */
export interface CallerOptions extends SigningOptions {
  /** The app id, which is sent with every request and covered. */
  appId?: string | undefined
  /** The header for `appId`. Default `x-app-id`. */
  appIdHeader?: string | undefined
  /**
   * The origin on whose behalf this server calls: `https://example.org`. It is sent as `X-Origin` with every request and
   * covered.
   */
  origin?: string | undefined
}

/** What each option must be. Errors never show a value, because any option may contain a misplaced secret. */
export type Checks = Readonly<Record<string, Omit<Expectation, 'secret' | 'hint'>>>

const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/

const isFunction = (value: unknown): boolean => typeof value === 'function'

const SECRET_RULE = `base64 (with padding) of at least ${LEAST_SECRET_BYTES} bytes`

const SIGNING: Checks = {
  keyId: {
    expected: '1 to 128 characters of A-Z a-z 0-9 . _ : -',
    accepts: isKeyId,
    required: true,
  },
  secret: {
    expected: SECRET_RULE,
    accepts: (value) =>
      typeof value === 'string' &&
      (bytesFromBase64(value)?.length ?? 0) >= LEAST_SECRET_BYTES &&
      !isHexadecimal(value),
  },
  privateKey: {
    expected: PRIVATE_KEY_RULE,
    accepts: isPrivateKey,
  },
  now: { expected: 'a function', accepts: isFunction },
  nonce: { expected: 'a function', accepts: isFunction },
  label: {
    expected: 'a lower-case label like `sig1`',
    accepts: (value) => typeof value === 'string' && LABEL.test(value),
  },
  covered: {
    expected: 'an array of header names other than `signature` and `signature-input`',
    accepts: (value) => Array.isArray(value) && value.every(isCoverable),
  },
  expiresIn: {
    expected: 'a whole number of seconds of at least 1',
    accepts: (value) => Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 1e9,
  },
}

const CALLER: Checks = {
  appId: {
    expected: '1 to 128 characters of A-Z a-z 0-9 . _ : -',
    accepts: (value) => typeof value === 'string' && /^[A-Za-z0-9._:-]{1,128}$/.test(value),
  },
  appIdHeader: { expected: 'the name of a header', accepts: isHeaderName },
  origin: {
    expected: 'an origin like `https://example.org`, without a path',
    accepts: (value) => typeof value === 'string' && readUrl(value)?.origin === value,
  },
}

/** Options of other clients, with the header that replaces them here. */
const SENT_AS_HEADER = new Map([
  ['appId', 'x-app-id'],
  ['appIdHeader', 'x-app-id'],
  ['origin', 'x-origin'],
])

/**
 * Checks the options of a signer. Errors never show a value, because any option may contain a misplaced secret.
 *
 * @throws ConfigError with every option that is unknown, missing or invalid
 */
export function checkSigningOptions(factory: string, options: unknown, more: Checks = {}): void {
  const checks = Object.entries({ ...SIGNING, ...more }).map(
    ([name, check]) => [name, { ...check, secret: true }] as const,
  )
  const [found, given] = readOptions(factory, options, Object.fromEntries(checks))
  const issues = found.map((issue): ConfigIssue => {
    const name = issue.option.slice(factory.length + 1)
    const header = SENT_AS_HEADER.get(name)
    const mistake = name === 'secret' ? mistakeOf(given['secret']) : undefined
    if (mistake !== undefined)
      return { ...issue, message: `\`${issue.option}\` must be ${SECRET_RULE}, got ${mistake}` }
    if (issue.code !== 'OPTION_UNKNOWN' || header === undefined) return issue
    const message = `${factory}: unknown option \`${name}\`: give the request the header \`${header}\``
    return { ...issue, message }
  })
  // If there are no options at all, the check of the key would add nothing.
  if (typeof options === 'object' && options !== null) issues.push(...keyIssues(factory, given))
  const [first, ...others] = issues
  if (first !== undefined) throw new ConfigError([first, ...others])
}

/** What a secret is instead of base64, and how to convert it; `undefined` if that is not known. */
function mistakeOf(secret: unknown): string | undefined {
  if (secret instanceof Uint8Array) return "bytes; write `.toString('base64')` after a Buffer"
  return typeof secret === 'string' && isHexadecimal(secret) ? HEXADECIMAL : undefined
}

/** A signer has exactly one key. */
function keyIssues(factory: string, { secret, privateKey }: Record<string, unknown>): ConfigIssue[] {
  const option = `${factory}.secret`
  if (secret === undefined && privateKey === undefined)
    return [wrongOption(option, `${SECRET_RULE}, or use \`privateKey\``, undefined)]
  if (secret === undefined || privateKey === undefined) return []
  const expected = 'left out where `privateKey` is given'
  const message = `\`${option}\` and \`${factory}.privateKey\` are both given: use only one`
  return [{ code: 'OPTION_INVALID', option, expected, message }]
}

/** Like {@link checkSigningOptions}, with the additional options of clients that send requests. */
export function checkCallerOptions(factory: string, options: unknown, more: Checks = {}): void {
  checkSigningOptions(factory, options, { ...CALLER, ...more })
}

export function isHeaderName(value: unknown): boolean {
  return typeof value === 'string' && HEADER_NAME.test(value)
}

function isCoverable(name: unknown): boolean {
  return isHeaderName(name) && !/^signature(?:-input)?$/i.test(name as string)
}
