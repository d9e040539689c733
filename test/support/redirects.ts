import { once } from 'node:events'
import { Agent, createServer, request, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createPolicySource, memoryStore, regionPin } from '../../src/index.ts'

const PLACES = ['london', 'frankfurt', 'dallas'] as const
type Place = (typeof PLACES)[number]

const BASES: Readonly<Record<Place, string>> = {
  london: 'https://lon.example.org',
  frankfurt: 'https://fra.example.org:8443',
  dallas: 'https://dal.example.org',
}

export interface RedirectReport {
  readonly requests: number
  readonly redirects: number
  readonly refused: number
  readonly admitted: number
  /** Forbidden behaviour, with the target that caused it. */
  readonly problems: readonly string[]
}

/** Parts of targets that URL parsers read differently. */
const PIECES = [
  '/',
  '//',
  '\\',
  '/\\',
  '?',
  '&',
  '=',
  '#',
  '@',
  ':',
  ';',
  '.',
  '..',
  '%',
  '%2f',
  '%5c',
  '%00',
  '%0d%0a',
  '%E2%80%AE',

  'http:',
  'https:',
  'javascript:',
  'evil.example',
  '//evil.example',
  '@evil.example',
  'lon.example.org',
  '[::1]',
  '%40',

  'portcullis-hop',
  'portcullis-hop=1',
  'portcullis%2Dhop',
  'PORTCULLIS-HOP',
  '?portcullis-hop',
  '&portcullis-hop=',

  'a',
  'me',
  'x=1',
  '+',
  '\u00e9',
  '\u00ff',
  '~',
  '|',
  '"',
  '<',
  '{',
  '^',
  '`',
  "'",
  '*',
  '!',
]
/** The result of a request that no server could read. */
const NOTHING: Pick<IncomingMessage, 'statusCode' | 'headers'> = { headers: {} }

const COUNTRIES = ['DE', 'US', 'GB', '', 'ZZ']

/** Runs three servers that may disagree about a person, and callers that follow every redirect like a browser. */
export async function fuzzRedirects(
  count: number,
  random: () => number,
  callers = 32,
): Promise<RedirectReport> {
  const policies = createPolicySource({
    store: memoryStore([
      { policy: { appId: 'app', regionPin: { mode: 'enforce', onMisdirected: 'redirect' } } },
    ]),
  })
  const servers = new Map<Place, Server>()
  const ports = new Map<Place, number>()
  for (const here of PLACES) {
    const pin = regionPin({
      policies,
      here,
      bases: BASES,
      logger: () => {},
      country: (req) => req.headers[`test-country-${here}`],
    })
    const server = createServer((req, res) => pin(req as never, res as never, () => res.end('admitted')))
    servers.set(here, server.listen(0, '127.0.0.1'))
    await once(server, 'listening')
    ports.set(here, (server.address() as AddressInfo).port)
  }
  const agent = new Agent({ keepAlive: true, maxSockets: callers })
  const problems: string[] = []
  const totals = { redirects: 0, refused: 0, admitted: 0 }
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T
  const target = (): string => {
    const pieces = Array.from({ length: Math.floor(random() * 9) }, () => pick(PIECES))
    return (random() < 0.9 ? '/' : '') + pieces.join('')
  }
  const ask = (
    place: Place,
    path: string,
    headers: Record<string, string>,
    method: string,
  ): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const port = ports.get(place)
      const sent = request({ host: '127.0.0.1', port, path, method, headers, agent }, (answer) => {
        answer.resume()
        answer.once('end', () => resolve(answer))
      })
      sent.once('error', reject)
      sent.end()
    })

  async function follow(): Promise<void> {
    const headers: Record<string, string> = { 'x-app-id': 'app', accept: 'text/html' }
    for (const place of PLACES) headers[`test-country-${place}`] = pick(COUNTRIES)
    let place = pick(PLACES)
    const first = target()
    let path = first
    const method = pick(['GET', 'GET', 'POST', 'HEAD'])
    for (let hops = 0; ; hops += 1) {
      const answer = await ask(place, path, headers, method).catch(() => undefined)
      const { statusCode = 0, headers: given } = answer ?? NOTHING
      if (statusCode === 200) totals.admitted += 1
      else if (statusCode !== 307) totals.refused += 1
      if (statusCode !== 307) {
        if (given.location !== undefined) problems.push(`${statusCode} with a location: ${first}`)
        return
      }
      totals.redirects += 1
      const location = given.location ?? ''
      const url = URL.canParse(location) ? new URL(location) : undefined
      const next = PLACES.find((name) => BASES[name] === url?.origin)
      if (url === undefined || next === undefined || url.username !== '' || url.password !== '') {
        problems.push(`an open redirect to ${location}: ${first}`)
        return
      }
      if (next === place) problems.push(`a redirect to the same place: ${first}`)
      if (given['cache-control'] !== 'no-store') problems.push(`a redirect that may be kept: ${first}`)
      if (hops > 0) {
        problems.push(`a second redirect: ${first}`)
        return
      }
      place = next
      path = url.pathname + url.search
    }
  }

  let left = count
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left > 0) {
        left -= 1
        await follow()
      }
    }),
  )
  agent.destroy()
  for (const server of servers.values()) {
    server.close()
    server.closeAllConnections()
  }
  return { requests: count, ...totals, problems }
}
