import { createHmac } from 'node:crypto'
import { UnavailableError } from '../../errors.ts'
import { aFunction, checkOptions, oneOf, required, wholeNumber, type Expectation } from '../../options.ts'
import type { Destination } from './exporter.ts'
import { EXPORT_FORMATS, exportLine, toOtlpRecord, type ExportFormat } from './mapping.ts'

export interface WebhookOptions {
  readonly url: string
  /** Signs each request according to Standard Webhooks. At least 24 bytes. */
  readonly secret: Uint8Array
  /** Default `ndjson`. */
  readonly format?: ExportFormat | undefined
  /** The name of the cursor. Default `webhook`. */
  readonly name?: string | undefined
  /** How long an answer may take, in milliseconds. Default 10,000. */
  readonly timeout?: number | undefined
  readonly now?: (() => number) | undefined
}

const A_URL: Expectation = {
  expected: 'an http or https URL',
  // A URL may contain a password.
  secret: true,
  accepts: (value) => typeof value === 'string' && /^https?:\/\//.test(value) && URL.canParse(value),
}

const A_NAME: Expectation = {
  expected: 'a non-empty string',
  accepts: (value) => typeof value === 'string' && value !== '',
}

/**
 * Posts events to a URL, one per line, with the headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard
 * Webhooks. The id of a batch stays the same when it is sent again.
 *
 * @throws ConfigError
 */
export function webhook(options: WebhookOptions): Destination {
  const checked = checkOptions<WebhookOptions>('webhook', options, {
    url: required(A_URL),
    secret: required({
      expected: 'at least 24 bytes',
      secret: true,
      accepts: (value) => value instanceof Uint8Array && value.length >= 24,
    }),
    format: oneOf('one of the formats', EXPORT_FORMATS),
    name: A_NAME,
    timeout: wholeNumber('milliseconds', 1),
    now: aFunction,
  })
  const { url, secret, format = 'ndjson', name = 'webhook', timeout = 10_000, now = Date.now } = checked
  return {
    name,
    async send(events, batch) {
      const content = events.map((event) => `${exportLine(event, format)}\n`).join('')
      const seconds = String(Math.floor(now() / 1_000))
      const mac = createHmac('sha256', secret).update(`${batch}.${seconds}.${content}`).digest('base64')
      const answer = await post(url, content, timeout, {
        'content-type': 'application/x-ndjson',
        'webhook-id': batch,
        'webhook-timestamp': seconds,
        'webhook-signature': `v1,${mac}`,
      })
      await answer.body?.cancel()
    },
  }
}

export interface OtlpLogsOptions {
  /** The URL that accepts logs: `https://collector.example.org/v1/logs`. */
  readonly url: string
  /** Additional headers, such as a token. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The name of the cursor. Default `otlp`. */
  readonly name?: string | undefined
  /** How long an answer may take, in milliseconds. Default 10,000. */
  readonly timeout?: number | undefined
}

/**
 * Sends events as OTLP logs over HTTP, in JSON.
 *
 * @throws ConfigError
 */
export function otlpLogs(options: OtlpLogsOptions): Destination {
  const checked = checkOptions<OtlpLogsOptions>('otlpLogs', options, {
    url: required(A_URL),
    headers: {
      expected: 'an object with headers',
      secret: true,
      accepts: (value) => typeof value === 'object' && value !== null,
    },
    name: A_NAME,
    timeout: wholeNumber('milliseconds', 1),
  })
  const { url, headers = {}, name = 'otlp', timeout = 10_000 } = checked
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'portcullis' } }] }
  return {
    name,
    async send(events) {
      const scopeLogs = [{ scope: { name: 'portcullis.audit' }, logRecords: events.map(toOtlpRecord) }]
      const content = JSON.stringify({ resourceLogs: [{ resource, scopeLogs }] })
      const answer = await post(url, content, timeout, { 'content-type': 'application/json', ...headers })
      const rejected = await rejectedIn(answer)
      if (rejected > 0) {
        throw new UnavailableError(`the collector rejected ${rejected} of ${events.length} events`)
      }
    },
  }
}

/** A collector may accept only part of a batch, and says so in its answer. */
async function rejectedIn(answer: Response): Promise<number> {
  const text = await answer.text()
  try {
    const { partialSuccess } = JSON.parse(text) as { partialSuccess?: { rejectedLogRecords?: unknown } }
    return Number(partialSuccess?.rejectedLogRecords ?? 0) || 0
  } catch {
    return 0
  }
}

async function post(
  url: string,
  content: string,
  timeout: number,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  let answer: Response
  try {
    const signal = AbortSignal.timeout(timeout)
    answer = await fetch(url, { method: 'POST', body: content, headers, redirect: 'error', signal })
  } catch (error) {
    throw new UnavailableError('the destination cannot be reached', { cause: error })
  }
  if (answer.ok) return answer
  await answer.body?.cancel()
  throw new UnavailableError(`the destination answered with ${answer.status}`)
}
