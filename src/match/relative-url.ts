import { parseNamedUrl, type ReturnUrl, type ReturnUrlProblem } from './return-url.ts'

/**
 * Reads a return URL that may also be a path on this server: `/settings?tab=2`, with exactly one leading slash. A path is
 * resolved against `origin` (in canonical form), and is checked as strictly as an absolute URL. Returns the absolute URL.
 */
export function parseRelativeUrl(
  raw: unknown,
  origin: string,
): ReturnUrl | { readonly problem: ReturnUrlProblem } {
  if (typeof raw !== 'string' || !raw.startsWith('/')) return parseNamedUrl(raw)
  // Browsers read `//evil.example` as another host.
  return raw.startsWith('//') ? { problem: 'not absolute' } : parseNamedUrl(origin + raw)
}
