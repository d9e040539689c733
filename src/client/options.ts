import { ConfigError, wrongOption, type ConfigIssue } from '../errors.ts'
import { readUrl } from '../match/host.ts'
import { isKeyId } from '../names.ts'
import { readOptions, type Expectation } from '../options.ts'
import { LABEL, LEAST_SECRET_BYTES } from '../signature/base.ts'
import { bytesFromBase64 } from './base64.ts'
import { isPrivateKey, PRIVATE_KEY_RULE, type PrivateKey } from './key.ts'

/** The key and the options for signing requests. Give either `secret` (`hmac-sha256`) or `privateKey` (`ed25519`). */
export interface SigningOptions {
  /** Id of the app's key: 1-128 characters of `A-Z a-z 0-9 . _ : -`. */
  keyId: string
  /**
   * The secret of an `hmac-sha256` key, as the operator gave it: base64 of at least 32 bytes. Never put it where a browser can read
   * it.
   */
  secret?: string | undefined
  /**
   * The private half of an `ed25519` key, which the operator never sees: PKCS #8, as PEM
   * (`openssl genpkey -algorithm ed25519`) or as the base64 of its DER, or a `CryptoKey` that may sign. The WebCrypto of
   * the runtime must have Ed25519.
   */
  privateKey?: string | PrivateKey | undefined
  /** The clock, in milliseconds since the epoch. Default `Date.now`. */
  now?: (() => number) | undefined
  /** Makes a nonce, 16-128 characters of `A-Z a-z 0-9 + / = . _ ~ : -`, another at each call. Default 16 random bytes. */
  nonce?: (() => string) | undefined
  /** The label of the signature in the two headers. Default `sig1`. */
  label?: string | undefined
  /** Names of further headers to cover. A request that does not have one of them is not signed. */
  covered?: readonly string[] | undefined
  /** After how many seconds the signature expires; the verifier may refuse it earlier. Default: the verifier decides. */
  expiresIn?: number | undefined
}

/** The options of every client that sends signed requests. */
export interface CallerOptions extends SigningOptions {
  /** Sent with every request, and covered. */
  appId?: string | undefined
  /** The header for `appId`. Default `x-app-id`. */
  appIdHeader?: string | undefined
  /** Sent as `X-Origin` with every request, and covered: the origin on whose behalf this server calls, `https://example.org`. */
  origin?: string | undefined
}

/** What each option must be. No value of an option is ever shown: a secret may have ended up under any name. */
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
      typeof value === 'string' && (bytesFromBase64(value)?.length ?? 0) >= LEAST_SECRET_BYTES,
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

/** What other clients send by an option of theirs. */
const SENT_AS_HEADER = new Map([
  ['appId', 'x-app-id'],
  ['appIdHeader', 'x-app-id'],
  ['origin', 'x-origin'],
])

/**
 * Checks the options of a signer. No value is shown, because a secret may have ended up under any name.
 *
 * @throws ConfigError with everything that is unknown, missing or wrong
 */
export function checkSigningOptions(factory: string, options: unknown, more: Checks = {}): void {
  const checks = Object.entries({ ...SIGNING, ...more }).map(
    ([name, check]) => [name, { ...check, secret: true }] as const,
  )
  const [found, given] = readOptions(factory, options, Object.fromEntries(checks))
  const issues = found.map((issue): ConfigIssue => {
    const name = issue.option.slice(factory.length + 1)
    const header = SENT_AS_HEADER.get(name)
    if (issue.code !== 'OPTION_UNKNOWN' || header === undefined) return issue
    const message = `${factory}: unknown option \`${name}\`: give the request the header \`${header}\``
    return { ...issue, message }
  })
  // Where there are no options at all, nothing more can be said of them.
  if (typeof options === 'object' && options !== null) issues.push(...keyIssues(factory, given))
  const [first, ...others] = issues
  if (first !== undefined) throw new ConfigError([first, ...others])
}

/** A signer has one key. */
function keyIssues(factory: string, { secret, privateKey }: Record<string, unknown>): ConfigIssue[] {
  const option = `${factory}.secret`
  if (secret === undefined && privateKey === undefined)
    return [wrongOption(option, `${SECRET_RULE}, or use \`privateKey\``, undefined)]
  if (secret === undefined || privateKey === undefined) return []
  const expected = 'left out where `privateKey` is given'
  const message = `\`${option}\` and \`${factory}.privateKey\` are both given: use only one`
  return [{ code: 'OPTION_INVALID', option, expected, message }]
}

/** {@link checkSigningOptions} with the options of all that send. */
export function checkCallerOptions(factory: string, options: unknown, more: Checks = {}): void {
  checkSigningOptions(factory, options, { ...CALLER, ...more })
}

export function isHeaderName(value: unknown): boolean {
  return typeof value === 'string' && HEADER_NAME.test(value)
}

function isCoverable(name: unknown): boolean {
  return isHeaderName(name) && !/^signature(?:-input)?$/i.test(name as string)
}
