import type { ReturnUrl, ReturnUrlEntry } from './return-url.ts'

/** Any number of return URLs. */
export interface ReturnUrlSet {
  /** How many entries were given. */
  readonly size: number
  /** The text of an entry that admits this URL: an exact one before a prefix, a longer prefix before a shorter one. */
  find(url: ReturnUrl): string | undefined
}

const LOOPBACK = /^(http:\/\/(?:127\.0\.0\.1|\[::1\]))(?::[0-9]+)?$/

/** Makes a set whose look-ups cost one hash look-up per segment of the URL, however many entries it holds. */
export function createReturnUrlSet(entries: readonly ReturnUrlEntry[]): ReturnUrlSet {
  const exact = new Set(entries.filter(({ kind }) => kind === 'exact').map(({ key }) => key))
  const prefixes = new Set(entries.filter(({ kind }) => kind === 'prefix').map(({ key }) => key))
  const anyPort = entries.some(({ key }) => key.includes(':*'))

  function findAt(origin: string, { path, query }: ReturnUrl): string | undefined {
    const whole = origin + path + query
    if (exact.has(whole)) return whole
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      // An entry ends on the slash, or on the segment before it.
      for (const prefix of [origin + path.slice(0, end + 1), origin + path.slice(0, end)]) {
        if (prefixes.has(prefix)) return prefix
      }
    }
    const root = `${origin}/`
    if (path.startsWith('/') && prefixes.has(root)) return root
    return path === '' && prefixes.has(origin) ? origin : undefined
  }

  return {
    size: entries.length,
    find(url) {
      const found = findAt(url.origin, url)
      if (found !== undefined || !anyPort) return found
      const loopback = LOOPBACK.exec(url.origin)
      return loopback === null ? undefined : findAt(`${loopback[1]}:*`, url)
    },
  }
}
