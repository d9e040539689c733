import { allow, deny, type Allowance } from '../decision.ts'
import { parseReturnUrl, type ReturnUrl } from '../match/return-url.ts'
import type { Problem } from '../match/problem.ts'
import { guardOf, type Guard } from './guard.ts'

export interface ReturnUrlFacts {
  /** What the request names as return URL, as received; `undefined` when it names none. */
  readonly returnUrl: unknown
}

export interface ReturnUrlAllowance extends Allowance {
  readonly returnUrl: ReturnUrl
}

/** May the user be sent there? */
export const decideReturnUrlGuard: Guard<ReturnUrlFacts, ReturnUrlAllowance> = guardOf(
  'returnUrlGuard',
  ({ mode, urls }, { returnUrl }) => {
    if (returnUrl === undefined || returnUrl === '') {
      return deny('returnUrlGuard', mode, 'RETURN_URL_REQUIRED', 'the request names no return URL')
    }
    const url: ReturnUrl | Problem = parseReturnUrl(returnUrl)
    if ('problem' in url) {
      return deny('returnUrlGuard', mode, 'RETURN_URL_NOT_ALLOWED', `the URL was refused: ${url.problem}`, {
        reason: url.problem,
      })
    }
    const entry = urls.find(url)
    if (entry === undefined) {
      return deny('returnUrlGuard', mode, 'RETURN_URL_NOT_ALLOWED', 'the URL matches no entry', {
        origin: url.origin,
      })
    }
    return { ...allow('returnUrlGuard', mode, 'the URL matches an entry', { entry }), returnUrl: url }
  },
)
