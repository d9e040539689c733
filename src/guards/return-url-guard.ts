import { allow, deny, type Allowance, type Evidence } from '../decision.ts'
import { hasParameter } from '../match/parameter-name.ts'
import { parseRelativeUrl } from '../match/relative-url.ts'
import { parseReturnUrl, type ReturnUrl } from '../match/return-url.ts'
import { guardOf, type Guard } from './guard.ts'

/** What a request names as a return URL. */
export interface NamedReturnUrl {
  /** What handlers find it by. */
  readonly name: string
  /** As received; `undefined` when it is not named. */
  readonly value: unknown
  /** Why it cannot be said what the request names. */
  readonly problem?: string | undefined
  /** Whether it may be left out. */
  readonly optional: boolean
}

/** How return URLs are read, whatever the policy of an app says. */
export interface ReturnUrlRules {
  /** The canonical origin that a path is read against. Left out: only absolute URLs count. */
  readonly relativeTo?: string | undefined
  /** Parameters that no return URL may have in its query, because the answer will be put there. */
  readonly reserved?: readonly string[] | undefined
}

export interface ReturnUrlFacts extends ReturnUrlRules {
  /** In the order of their declaration. Each that is named is judged. */
  readonly named: readonly NamedReturnUrl[]
}

export interface ReturnUrlAllowance extends Allowance {
  /** The return URLs with their names. Empty when none was named, and none had to be. */
  readonly returnUrls: readonly (readonly [name: string, url: ReturnUrl])[]
}

/** May the user be sent there? */
export const decideReturnUrlGuard: Guard<ReturnUrlFacts, ReturnUrlAllowance> = guardOf(
  'returnUrlGuard',
  ({ mode, urls }, facts) => {
    const returnUrls: [string, ReturnUrl][] = []
    const entries: string[] = []
    // A single one needs no name in the evidence.
    const evidenceOf = (name: string, evidence: Evidence = {}): Evidence =>
      facts.named.length === 1 ? evidence : { parameter: name, ...evidence }
    for (const named of facts.named) {
      const { name, optional } = named
      const url = readNamed(named, facts)
      if (url === undefined) {
        if (optional) continue
        return deny(
          'returnUrlGuard',
          mode,
          'RETURN_URL_REQUIRED',
          'the request names no return URL',
          evidenceOf(name),
        )
      }
      const refuse = (detail: string, evidence: Evidence) =>
        deny('returnUrlGuard', mode, 'RETURN_URL_NOT_ALLOWED', detail, evidenceOf(name, evidence))
      if ('problem' in url) return refuse(`the URL was refused: ${url.problem}`, { reason: url.problem })
      const entry = urls.find(url)
      if (entry === undefined) return refuse('the URL matches no entry', { origin: url.origin })
      returnUrls.push([name, url])
      entries.push(entry)
    }
    const [entry, ...others] = entries
    if (entry === undefined) {
      return {
        ...allow('returnUrlGuard', mode, 'the request names no return URL, and need not'),
        returnUrls,
      }
    }
    const detail = others.length === 0 ? 'the URL matches an entry' : 'every URL matches an entry'
    return { ...allow('returnUrlGuard', mode, detail, { entry: entries.join(' ') }), returnUrls }
  },
)

/** Reads what is named, strictly; `undefined` when nothing is. An empty text names nothing. */
export function readNamed(
  { value, problem }: NamedReturnUrl,
  { relativeTo, reserved = [] }: ReturnUrlRules,
): ReturnUrl | { readonly problem: string } | undefined {
  if (problem !== undefined) return { problem }
  if (value === undefined || value === '') return undefined
  const url = relativeTo === undefined ? parseReturnUrl(value) : parseRelativeUrl(value, relativeTo)
  if ('problem' in url || !hasParameter(url.query.slice(1), reserved)) return url
  return { problem: 'reserved parameter' }
}
