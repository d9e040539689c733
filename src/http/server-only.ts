import { deny, type Decision } from '../decision.ts'
import {
  decideServerOnly,
  refuseStranger,
  type ServerFacts,
  type SignedAllowance,
} from '../guards/server-only.ts'
import { aFunction, checkOptions, objectWith, required } from '../options.ts'
import { httpMessageSignatures } from '../signature/http-message-signatures.ts'
import type { NonceStore } from '../signature/nonces.ts'
import type { SignatureScheme } from '../signature/scheme.ts'
import type { SignedMessage } from '../signature/verify.ts'
import type { App } from '../source/index.ts'
import { AN_AUTHORITY, authoritySetter, type AuthorityOption } from './authority.ts'
import type { RequestContext } from './context.ts'
import { mismatchDoctor, ONLY_IN_DEVELOPMENT } from './mismatch.ts'
import type { GuardRequest, GuardResponse, RequestHandler } from './request.ts'
import { mount, SHARED_EXPECTATIONS, type SharedOptions } from './shell.ts'

export interface ServerOnlyOptions extends SharedOptions {
  /** Remembers which nonces were used: `redisNonces(redis)`, or `memoryNonces()` for a single process. */
  readonly nonces: NonceStore
  /**
   * Where callers reach this service, for the `@authority` that they sign: an origin, a list of origins, or a function;
   * see {@link AuthorityOption}. Default: the `Host` that arrives. `X-Forwarded-Host` is never read.
   */
  readonly authority?: AuthorityOption | undefined
  /**
   * Shows callers in the problem document why their signature does not hold: the signature base as it was received, and
   * the component that differs. For development: refused where NODE_ENV is `production`. Default false.
   */
  readonly explainMismatch?: boolean | undefined
  /** How callers sign. Default `httpMessageSignatures()`: RFC 9421. */
  readonly scheme?: SignatureScheme | undefined
  /** The clock that signatures are judged by, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/**
 * Admits only servers of the app, proven by an HTTP message signature (RFC 9421) with a key of the app; refuses browsers
 * with `BROWSER_NOT_ALLOWED` (403) and everything else with a code of the `SIGNATURE_` family or `DIGEST_MISMATCH` (401).
 * A request with content needs `bodyParsers()` ahead of this guard, which keep the bytes for the digest.
 *
 * A nonce is claimed only after everything else holds. When it cannot be claimed the answer is `NONCES_UNAVAILABLE` (503).
 *
 * @throws ConfigError
 */
export function serverOnly(options: ServerOnlyOptions): RequestHandler {
  checkOptions('serverOnly', options, {
    ...SHARED_EXPECTATIONS,
    nonces: required(objectWith('a nonce store: an object with a method `claim`', 'claim')),
    authority: AN_AUTHORITY,
    explainMismatch: ONLY_IN_DEVELOPMENT,
    scheme: objectWith('a signature scheme: an object with a method `verify`', 'verify'),
    now: aFunction,
  })
  const { nonces, scheme = httpMessageSignatures(), now = Date.now } = options

  const doctor = mismatchDoctor(options.explainMismatch ?? false)
  const setAuthority = authoritySetter(options.authority)

  function factsOf({ facts }: RequestContext, { appId, keys }: Caller, req: GuardRequest): ServerFacts {
    const { browserEvidence, headersComplete } = facts
    const message = setAuthority(facts.message, req)
    return { browserEvidence, headersComplete, message, scheme, appId, keys, now: now() }
  }

  return mount<ServerFacts, SignedAllowance>(
    {
      name: 'serverOnly',
      guard: (policy, facts) => {
        const decision = decideServerOnly(policy, facts)
        return decision.effect === 'allow' ? decision : doctor.examine(decision, facts)
      },
      facts: factsOf,
      stranger(context, req) {
        const facts = factsOf(context, NOBODY, req)
        return doctor.examine(refuseStranger(facts), facts)
      },
      explain: (decision) => doctor.explain(decision),
      claim: (allowance, { appId }) => claimNonce(nonces, appId, allowance),
      write: ({ code }, { facts }, _req, res) => {
        if (DENIALS_OF_SIGNATURES.has(code)) challenge(scheme, facts.message, res)
        return false
      },
    },
    options,
  )
}

type Caller = Pick<App, 'appId' | 'keys'>

const NOBODY: Caller = { appId: '', keys: [] }

const DENIALS_OF_SIGNATURES: ReadonlySet<Decision['code']> = new Set<Decision['code']>([
  'SIGNATURE_REQUIRED',
  'SIGNATURE_INVALID',
  'SIGNATURE_EXPIRED',
  'SIGNATURE_REPLAYED',
  'DIGEST_MISMATCH',
])

/** Tells the caller how to sign; `onDeny` finds the headers written. */
function challenge(scheme: SignatureScheme, message: SignedMessage, res: GuardResponse): void {
  for (const [name, value] of Object.entries(scheme.challenge?.(message) ?? {})) res.setHeader(name, value)
}

function claimNonce(
  nonces: NonceStore,
  appId: string,
  allowance: SignedAllowance,
): Decision | Promise<Decision> {
  const { mode, evidence, nonce, nonceUntil } = allowance
  const settle = (first: unknown): Decision =>
    first === true
      ? allowance
      : deny('serverOnly', mode, 'SIGNATURE_REPLAYED', 'the nonce was used before', evidence)
  const unavailable = (): Decision =>
    deny('serverOnly', mode, 'NONCES_UNAVAILABLE', 'the nonce store could not answer', evidence)
  try {
    const claimed = nonces.claim(appId, nonce, nonceUntil)
    return typeof claimed === 'boolean' ? settle(claimed) : Promise.resolve(claimed).then(settle, unavailable)
  } catch {
    return unavailable()
  }
}
