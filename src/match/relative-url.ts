import { parseNamedUrl, type ReturnUrl, type ReturnUrlProblem } from './return-url.ts'

/**
 * Reads a return URL that may also be a path on this server: `/settings?tab=2`, with exactly one slash in front. It is read
 * as the absolute URL at `origin`, a canonical one, as strictly as any other, and that is what it gives.
 */
export function parseRelativeUrl(
  raw: unknown,
  origin: string,
): ReturnUrl | { readonly problem: ReturnUrlProblem } {
  if (typeof raw !== 'string' || !raw.startsWith('/')) return parseNamedUrl(raw)
  // To a browser `//evil.example` is another host.
  return raw.startsWith('//') ? { problem: 'not absolute' } : parseNamedUrl(origin + raw)
}
