import { DENIALS, type DenialCode } from '../decision.ts'
import { ConfigError, UsageError } from '../errors.ts'
import { problemDocument } from '../http/response/problem.ts'

/** A response of supertest or superagent. */
export interface ReceivedResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly text?: string | undefined
}

/** A response of `fetch` whose content has not been read. */
export interface FetchedResponse {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

/** Throws if the response is a different one. For a `fetch` response, rejects. */
export interface ResponseCheck {
  (response: ReceivedResponse): void
  (response: FetchedResponse): Promise<void>
}

/**
 * Checks that a response is this refusal by a guard and reveals nothing else: its status, the problem document without other
 * members, the request id in `x-request-id`, no redirect (`Location`), and no caching.
 *
 * With supertest: `await request(app).get('/login').expect(denied('ORIGIN_NOT_ALLOWED'))`. With `fetch` and
 * `redirect: 'manual'`: `await denied('ORIGIN_NOT_ALLOWED')(response)`. Not for responses of your own `onDeny`.
 *
 * @throws ConfigError if there is no such code.
 */
export function denied(code: DenialCode): ResponseCheck {
  if (!Object.hasOwn(DENIALS, code)) {
    throw new ConfigError('denied(code)', `one of ${Object.keys(DENIALS).join(', ')}`, code)
  }
  return checkOf((answer) => {
    const wrong = differences(code, answer)
    if (wrong.length > 0) throw new Error(`expected the refusal ${code}, but ${wrong.join('; ')}`)
  })
}

/**
 * Checks that a response is not a refusal by a guard. It may be anything else, such as a redirect or an error of the handler.
 * Used like {@link denied}.
 *
 * @throws UsageError if it is called with a response, because `.expect(allowed)` would check nothing.
 */
export function allowed(...given: readonly never[]): ResponseCheck {
  if (given.length > 0) throw new UsageError(NOT_CALLED)
  return checkOf((answer) => {
    const code = refusalIn(answer)
    if (code !== undefined) throw new Error(`expected no refusal, but a guard answered ${code}`)
  })
}

const NOT_CALLED =
  '`allowed` takes no argument and returns the check: write `.expect(allowed())` or `await allowed()(response)`'

interface Answer {
  readonly status: number
  /** Returns a header by its lower-case name. */
  readonly header: (name: string) => string | undefined
  readonly text: string
}

function checkOf(check: (answer: Answer) => void): ResponseCheck {
  function checked(response: ReceivedResponse): void
  function checked(response: FetchedResponse): Promise<void>
  function checked(response: ReceivedResponse | FetchedResponse): void | Promise<void> {
    const { status } = response
    if (typeof response.text === 'function') {
      const { headers } = response as FetchedResponse
      const header = (name: string): string | undefined => headers.get(name) ?? undefined
      return response.text().then((text) => check({ status, header, text }))
    }
    const { headers, text = '' } = response as ReceivedResponse
    const header = (name: string): string | undefined => headers[name]?.toString()
    return check({ status, header, text })
  }
  return checked
}

function differences(code: DenialCode, answer: Answer): string[] {
  const { status, header, text } = answer
  const requestId = header('x-request-id')
  const wrong: string[] = []
  if (status !== DENIALS[code].status)
    wrong.push(`the status is ${status} instead of ${DENIALS[code].status}`)
  const found = refusalIn(answer)
  if (found === undefined) wrong.push(`the content is not a refusal by a guard: ${excerpt(text)}`)
  else if (found !== code) wrong.push(`the code is ${found}`)
  else if (requestId === undefined) wrong.push('the header x-request-id is missing')
  else if (text !== JSON.stringify(problemDocument(code, requestId)))
    wrong.push(`the content reveals more, or has another request id: ${excerpt(text)}`)
  const location = header('location')
  if (location !== undefined) wrong.push(`the response has a redirect: Location: ${excerpt(location)}`)
  if (header('cache-control') !== 'no-store') wrong.push('the response may be cached')
  return wrong
}

/** The code of the problem document, if a guard has sent it. */
function refusalIn({ header, text }: Answer): DenialCode | undefined {
  if (header('content-type') !== 'application/problem+json') return undefined
  try {
    const { type, code } = JSON.parse(text) as { type?: unknown; code?: unknown }
    if (typeof code !== 'string' || !Object.hasOwn(DENIALS, code)) return undefined
    return type === problemDocument(code as DenialCode, '').type ? (code as DenialCode) : undefined
  } catch {
    return undefined
  }
}

function excerpt(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)
}
