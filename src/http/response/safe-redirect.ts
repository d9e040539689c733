import { show, UsageError } from '../../errors.ts'
import { hasParameter } from '../../match/parameter-name.ts'
import { checkOptions, type Expectation } from '../../options.ts'
import { findContext } from '../request/context.ts'
import type { GuardRequest, GuardResponse } from '../handler.ts'

export interface SafeRedirectOptions {
  /** Which of several return URLs, by its name in `req.portcullis.returnUrls`. Default `req.portcullis.returnUrl`. */
  readonly to?: string | undefined
  /**
   * The parameters to add to the query, such as `{ code, state }`; `undefined` is omitted. The query of the URL is kept. Name
   * these parameters in the `reserved` option of `returnUrlGuard`.
   */
  readonly parameters?: Readonly<Record<string, string | undefined>> | undefined
}

/**
 * Responds with 303 (See Other, RFC 9700 4.12: no form is sent along) to a return URL that an earlier `returnUrlGuard` admitted,
 * and to nothing else. The `Location` is its canonical form byte for byte, followed by the percent-encoded `parameters`. The
 * response is not stored, and the browser sends no referrer. Works on any `ServerResponse`.
 *
 * If the policy says `report` or `off`, every well-formed URL is admitted and the redirect goes there: a guard that only reports
 * changes no response.
 *
 * @throws UsageError if no guard admitted such a URL, or if the URL already has one of the `parameters`
 * @throws ConfigError if an option is wrong; nothing has been written then
 */
export function safeRedirect(res: GuardResponse, req: GuardRequest, options: SafeRedirectOptions = {}): void {
  const checked = checkOptions<SafeRedirectOptions>('safeRedirect', options, {
    to: NAME,
    parameters: PARAMETERS,
  })
  const { to, parameters = {} } = checked
  const context = findContext(req)
  const url = to === undefined ? context?.returnUrl : context?.returnUrlNamed(to)
  if (url === undefined) {
    const what = `return URL${to === undefined ? '' : ` named ${show(to)}`}`
    const isMounted = context?.decisions.some(({ guard }) => guard === 'returnUrlGuard') === true
    throw new UsageError(
      isMounted
        ? `\`returnUrlGuard\` found no usable ${what} in this request: answer it without a redirect`
        : `no \`returnUrlGuard\` before this handler admitted a ${what}: mount the guard, or answer without a redirect`,
    )
  }
  const location = withParameters(url, parameters)
  res.statusCode = 303
  res.setHeader('Location', location)
  res.setHeader('Cache-Control', 'no-store')
  // The URL of this request may contain more than the app should know.
  res.setHeader('Referrer-Policy', 'no-referrer')
  res.setHeader('Content-Length', '0')
  res.end()
}

function withParameters(url: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const pairs = Object.entries(parameters).filter((pair): pair is [string, string] => pair[1] !== undefined)
  if (pairs.length === 0) return url
  const start = url.indexOf('?')
  const query = start === -1 ? '' : url.slice(start + 1)
  for (const [name] of pairs) {
    if (hasParameter(query, [name])) {
      throw new UsageError(
        `the return URL already has the parameter ${show(name)}: name it in the \`reserved\` option of \`returnUrlGuard\``,
      )
    }
  }
  const added = pairs.map((pair) => pair.map(encode).join('=')).join('&')
  if (start === -1) return `${url}?${added}`
  return query === '' || query.endsWith('&') ? url + added : `${url}&${added}`
}

/** Encodes everything except the unreserved characters of RFC 3986. A space is `%20`, which every decoder reads. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

const NAME: Expectation = {
  expected: 'the name of a return URL',
  accepts: (value) => typeof value === 'string',
}

const PARAMETERS: Expectation = {
  expected: 'an object of well-formed strings',
  secret: true,
  accepts: (value) =>
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(
      ([name, text]) => name !== '' && isWellFormed(name) && (text === undefined || isWellFormed(text)),
    ),
}

/** Whether a text has no lone surrogate, which would be sent as U+FFFD. */
function isWellFormed(text: unknown): boolean {
  return typeof text === 'string' && !/\p{Surrogate}/u.test(text)
}
