import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { CommandUsageError } from './command.ts'

/** An HTTP request. */
export interface Outgoing {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** The beginning of the body. */
  readonly text: string
  /** The address of this machine on the connection. */
  readonly localAddress: string | undefined
  /** When the request was sent and when the answer began, by the clock of this machine. */
  readonly sentAt: number
  readonly answeredAt: number
}

const LONGEST_ANSWER = 65_536

/** Sends a request once, without following redirects. Rejects with the error of Node. */
export async function exchange({ method, url, headers, body }: Outgoing, timeout: number): Promise<Answer> {
  const send = new URL(url).protocol === 'https:' ? httpsRequest : httpRequest
  const sentAt = Date.now()
  return new Promise((resolve, reject) => {
    const sent = send(url, { method, headers, agent: false, signal: AbortSignal.timeout(timeout) })
    sent.once('error', reject)
    sent.once('response', (answer) => {
      const answeredAt = Date.now()
      const { localAddress } = answer.socket
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (part: string) => {
        if (text.length < LONGEST_ANSWER) text += part
        // The rest is not needed, and may be endless.
        else answer.destroy()
      })
      const done = (): void =>
        resolve({
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          text,
          localAddress,
          sentAt,
          answeredAt,
        })
      answer.once('end', done).once('close', done)
      answer.once('error', reject)
    })
    sent.end(body)
  })
}

const REASONS: readonly (readonly [pattern: RegExp, reason: string, fix: string])[] = [
  [
    /^ENOTFOUND|^EAI_AGAIN/,
    'the host name cannot be resolved',
    'check the host in the URL, and the DNS settings of this machine',
  ],
  [/^ECONNREFUSED/, 'the connection was refused', 'check the port, and that the server is running'],
  [
    /^EHOSTUNREACH|^ENETUNREACH/,
    'there is no route to the host',
    'check the network and the firewall of this machine',
  ],
  [
    /^ABORT_ERR|^ETIMEDOUT|^UND_ERR/,
    'the server did not answer in time',
    'check the firewalls in between, or raise `--timeout`',
  ],
  [
    /^ECONNRESET|^EPROTO|^HPE_|^ERR_SSL/,
    'the server closed the connection',
    'check that the scheme (http or https) matches the port, and that the server speaks HTTP/1.1',
  ],
  [
    /CERT|SELF_SIGNED|UNABLE_TO|ERR_TLS/,
    'the certificate is not valid',
    'renew the certificate, or set NODE_EXTRA_CA_CERTS to a file with its CA',
  ],
]

/** Why there was no answer, and how to fix it. */
export function reasonOf(error: unknown): { readonly reason: string; readonly fix: string } {
  // All addresses of a name have failed; the first error gives the reason.
  const { errors = [] } = error as { readonly errors?: readonly NodeJS.ErrnoException[] }
  const { code, name } = (errors[0] ?? error) as NodeJS.ErrnoException
  const said = code ?? name
  const [, reason, fix] = REASONS.find(([pattern]) => pattern.test(said)) ?? [
    /^/,
    `the request failed: ${said}`,
    'try the URL with curl',
  ]
  return { reason, fix }
}

/** An absolute URL with http or https. Credentials in it are refused, because others can see arguments. */
export function checkedUrl(text: string, what: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new CommandUsageError(
      `${what} must be an absolute URL such as \`https://gateway.example/auth\`, got \`${text}\``,
    )
  if (url.username !== '' || url.password !== '')
    throw new CommandUsageError(`${what} must not contain a user or a password, because others can see them`)
  return url
}

/** A text as one word of a shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** The request as a curl command. */
export function curlOf({ method, url, headers, body }: Outgoing, bodyFile: string | undefined): string {
  const lines = Object.entries(headers).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`)
  return [
    `curl -i -X ${method}`,
    ...lines,
    ...(body === undefined ? [] : [`--data-binary ${quoted(`@${bodyFile ?? '-'}`)}`]),
    quoted(url),
  ].join(' \\\n  ')
}

/** The difference between the clock of the server and that of this machine, in seconds. A `Date` header has whole seconds. */
export function clockDifference({ headers, sentAt, answeredAt }: Answer): number | undefined {
  const date = Date.parse(headers.date ?? '')
  // A cached answer has the time of the original request.
  if (Number.isNaN(date) || headers.age !== undefined) return undefined
  if (date + 1_000 < sentAt) return Math.round((date + 1_000 - sentAt) / 1_000)
  return date > answeredAt ? Math.round((date - answeredAt) / 1_000) : 0
}
