import cors from 'cors'
import {
  createPolicySource,
  domainProtect,
  memoryStore,
  returnUrlGuard,
  type PolicySource,
  type RequestHandler,
} from 'portcullis'
import { createOriginSet } from '../../src/match/origin-set.ts'
import { parseOrigin, parseOriginEntry } from '../../src/match/origin.ts'
import type { Problem } from '../../src/match/problem.ts'
import { createReturnUrlSet } from '../../src/match/return-url-set.ts'
import { parseReturnUrl, parseReturnUrlEntry } from '../../src/match/return-url.ts'

/** Whether a text is admitted. */
export type Ask = (text: string) => boolean
export type Entry = string | { readonly exact: string }
export type Contestants<One> = Readonly<Record<string, (entries: readonly One[]) => Ask | Promise<Ask>>>

/** A request through the mounted guard, from its headers to the handler or the refusal. */
export const GUARD = 'the guard'
/** The matcher of the guard, with the text only. */
export const MATCHER = 'its matcher'

class Response {
  statusCode = 200
  readonly headersSent = false
  setHeader(): void {}
  getHeader(): undefined {}
  getHeaderNames(): string[] {
    return []
  }
  removeHeader(): void {}
  on(): void {}
  once(): void {}
  end(): void {}
}

/** The mounted guard, called like in a server with a request read from a socket. The policy is in memory. */
async function mounted(
  section: object,
  guardOf: (policies: PolicySource) => RequestHandler,
  header: string,
): Promise<Ask> {
  const policies = createPolicySource({ store: memoryStore([{ policy: { appId: 'app', ...section } }]) })
  const guard = guardOf(policies)
  const send = (text: string, next: () => void): void => {
    const headers = { host: 'gateway.example', 'x-app-id': 'app', [header]: text }
    const rawHeaders = Object.entries(headers).flat()
    const req = {
      method: 'POST',
      url: '/',
      headers,
      rawHeaders,
      socket: { server: { maxHeadersCount: 2_000 } },
    }
    guard(req as never, new Response() as never, next)
  }
  // The first request only loads the policy. Its result does not matter.
  send('', () => undefined)
  await new Promise(setImmediate)
  return (text) => {
    let reached = false
    send(text, () => void (reached = true))
    return reached
  }
}

function parsed<Given, Read extends object>(
  entries: readonly Given[],
  parse: (entry: Given) => Read | Problem,
): Read[] {
  return entries.map((entry) => {
    const read = parse(entry)
    if ('problem' in read) throw new Error(`${JSON.stringify(entry)} ${read.problem}`)
    return read
  })
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
const textOf = (entry: Entry): string => (typeof entry === 'string' ? entry : entry.exact)

/** `domainProtect`, and other ways to check an origin. */
export const forOrigins: Contestants<string> = {
  [GUARD]: (domains) =>
    mounted(
      { domainProtect: { mode: 'enforce', domains } },
      (policies) => domainProtect({ policies }),
      'origin',
    ),
  [MATCHER](entries) {
    const set = createOriginSet(parsed(entries, parseOriginEntry))
    return (text) => {
      if (set.holds(text)) return true
      const origin = parseOrigin(text)
      return origin === text && set.find(origin) !== undefined
    }
  },
  'cors, origin: [...]'(entries) {
    const origin = entries.map((entry) =>
      entry.includes('*') ? new RegExp(`^${escaped(entry).replace('\\*', '[^/:]+')}$`) : entry,
    )
    const middleware = cors({ origin })
    return (text) => {
      let allowed = false
      const res = {
        setHeader: (name: string) => void (allowed ||= name === 'Access-Control-Allow-Origin'),
        getHeader: () => undefined,
      }
      middleware({ method: 'GET', headers: { origin: text } }, res as never, () => undefined)
      return allowed
    }
  },
  'array.some(regular expression)'(entries) {
    const expressions = entries.map((entry) => new RegExp(`^${escaped(entry).replace('\\*', '[^/:]+')}$`))
    return (text) => expressions.some((expression) => expression.test(text))
  },
}

/** `returnUrlGuard`, and common implementations of redirect checks. */
export const forReturnUrls: Contestants<Entry> = {
  [GUARD]: (urls) =>
    mounted(
      { returnUrlGuard: { mode: 'enforce', urls } },
      (policies) => returnUrlGuard({ policies, returnUrl: (req) => req.headers['return-url'] }),
      'return-url',
    ),
  [MATCHER](entries) {
    const set = createReturnUrlSet(parsed(entries, parseReturnUrlEntry))
    return (text) => {
      const url = parseReturnUrl(text)
      return !('problem' in url) && set.find(url) !== undefined
    }
  },
  'array.some(startsWith)'(entries) {
    const prefixes = entries.map(textOf)
    return (text) => prefixes.some((prefix) => text.startsWith(prefix))
  },
  'new URL, then each entry'(entries) {
    const places = entries.map((entry) => new URL(textOf(entry)))
    return (text) => {
      const url = new URL(text)
      return places.some((place) => place.origin === url.origin && url.pathname.startsWith(place.pathname))
    }
  },
  'array.some(regular expression)'(entries) {
    const expressions = entries.map((entry) => new RegExp(`^${escaped(textOf(entry))}`))
    return (text) => expressions.some((expression) => expression.test(text))
  },
}
