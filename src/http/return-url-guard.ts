import { decideReturnUrlGuard } from '../guards/return-url-guard.ts'
import { parseReturnUrl } from '../match/return-url.ts'
import { aFunction, checkOptions, required } from '../options.ts'
import type { Callback, GuardRequest, RequestHandler } from './request.ts'
import { mount, SHARED_EXPECTATIONS, type SharedOptions } from './shell.ts'

export interface ReturnUrlGuardOptions extends SharedOptions {
  /** Reads the return URL from the request: `(req) => req.body?.return_url`. Anything but one text is refused. */
  readonly returnUrl: Callback<[req: GuardRequest], unknown>
}

/**
 * Admits requests whose return URL matches an entry of the app: a prefix on a segment boundary, or an exact URL.
 * Refuses with `RETURN_URL_REQUIRED` or `RETURN_URL_NOT_ALLOWED` (400). Text that a parser would have to repair is
 * refused. The handler finds the canonical URL in `req.portcullis.returnUrl`; it should redirect to that and nothing else.
 *
 * In `report` mode and when the protection is off, `req.portcullis.returnUrl` is the canonical form of whatever well-formed
 * URL was named, so that switching the mode does not change what handlers do.
 *
 * @throws ConfigError
 */
export function returnUrlGuard(options: ReturnUrlGuardOptions): RequestHandler {
  checkOptions('returnUrlGuard', options, { ...SHARED_EXPECTATIONS, returnUrl: required(aFunction) })
  return mount(
    {
      name: 'returnUrlGuard',
      guard: decideReturnUrlGuard,
      blindToPreflight: true,
      facts: (_context, _app, req) => ({ returnUrl: read(options, req) }),
      note: (decision, context, req) => {
        if ('returnUrl' in decision) context.returnUrl = decision.returnUrl.href
        else if (decision.mode !== 'enforce') context.returnUrl = canonical(read(options, req))
      },
    },
    options,
  )
}

/** An option that throws has found no URL. */
function read(options: ReturnUrlGuardOptions, req: GuardRequest): unknown {
  try {
    return options.returnUrl(req)
  } catch {
    return undefined
  }
}

function canonical(text: unknown): string | undefined {
  const url = parseReturnUrl(text)
  return 'problem' in url ? undefined : url.href
}
