import cors from 'cors'
import { createOriginSet } from '../../src/match/origin-set.ts'
import { parseOrigin, parseOriginEntry } from '../../src/match/origin.ts'
import type { Problem } from '../../src/match/problem.ts'
import { createReturnUrlSet } from '../../src/match/return-url-set.ts'
import { parseReturnUrl, parseReturnUrlEntry } from '../../src/match/return-url.ts'

/** Is the text admitted? */
export type Ask = (text: string) => boolean
export type Entry = string | { readonly exact: string }

export const OURS = 'portcullis'

function parsed<Given, Read extends object>(
  entries: readonly Given[],
  parse: (entry: Given) => Read | Problem,
): Read[] {
  return entries.map((entry) => {
    const read = parse(entry)
    if ('problem' in read) throw new Error(`${JSON.stringify(entry)} ${read.problem}`)
    return read as Read
  })
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
const textOf = (entry: Entry): string => (typeof entry === 'string' ? entry : entry.exact)

/** As `domainProtect` asks, and as others do. */
export const forOrigins: Readonly<Record<string, (entries: readonly string[]) => Ask>> = {
  [OURS](entries) {
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
      middleware({ method: 'GET', headers: { origin: text } } as never, res as never, () => undefined)
      return allowed
    }
  },
  'array.some(regular expression)'(entries) {
    const expressions = entries.map((entry) => new RegExp(`^${escaped(entry).replace('\\*', '[^/:]+')}$`))
    return (text) => expressions.some((expression) => expression.test(text))
  },
}

/** As `returnUrlGuard` asks, and as redirect checks are usually written. */
export const forReturnUrls: Readonly<Record<string, (entries: readonly Entry[]) => Ask>> = {
  [OURS](entries) {
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
