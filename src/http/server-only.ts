import { withDeadline } from '../deadline.ts'
import { deny, type Decision } from '../decision.ts'
import { isPortcullisError } from '../errors.ts'
import {
  decideServerOnly,
  refuseStranger,
  type ServerFacts,
  type SignedAllowance,
} from '../guards/server-only.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber } from '../options.ts'
import { httpMessageSignatures } from '../signature/http-message-signatures.ts'
import type { NonceStore } from '../signature/nonces.ts'
import type { SignatureScheme } from '../signature/scheme.ts'
import type { SignedMessage } from '../signature/verify.ts'
import type { App } from '../source/index.ts'
import { AN_AUTHORITY, authoritySetter, type AuthorityOption } from './request/authority.ts'
import type { RequestContext } from './request/context.ts'
import { mismatchDoctor, ONLY_IN_DEVELOPMENT } from './mismatch.ts'
import type { GuardRequest, GuardResponse, RequestHandler } from './handler.ts'
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
  /**
   * How long the nonce store may take for a claim, in milliseconds; then the answer is `NONCES_UNAVAILABLE`, whatever it
   * says later. Default 1000.
   */
  readonly nonceTimeout?: number | undefined
  /**
   * How many days before the `notAfter` of a key its callers are told, by the header `portcullis-key-expires` (ISO 8601) on
   * every answer to a request that this key has signed. Default 14; 0 tells nobody.
   */
  readonly keyExpiryWarning?: number | undefined
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
    nonceTimeout: wholeNumber('milliseconds', 1, 60_000),
    keyExpiryWarning: wholeNumber('days', 0, 3_650),
    now: aFunction,
  })
  const {
    nonces,
    scheme = httpMessageSignatures(),
    now = Date.now,
    nonceTimeout = 1_000,
    keyExpiryWarning = 14,
  } = options

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
      claim: (allowance, { appId }) => claimNonce(nonces, nonceTimeout, appId, allowance),
      note: (decision, { appId = '' }) => {
        if (isSigned(decision)) options.policies.noteKeyUse?.(appId, decision.keyId)
      },
      write: (decision, { facts }, _req, res) => {
        if (isSigned(decision)) warnOfExpiry(decision, keyExpiryWarning * DAY, now(), res)
        else if (DENIALS_OF_SIGNATURES.has(decision.code)) challenge(scheme, facts.message, res)
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

const DAY = 86_400_000

/** Whether the signature holds and its nonce is claimed: the caller has proven the key. */
function isSigned(decision: Decision): decision is SignedAllowance {
  return decision.code === 'ALLOWED' && 'keyId' in decision
}

/** In good time, so that nobody is shut out who forgot to rotate. */
function warnOfExpiry(
  { keyNotAfter }: SignedAllowance,
  ahead: number,
  now: number,
  res: GuardResponse,
): void {
  if (keyNotAfter !== undefined && keyNotAfter - now < ahead)
    res.setHeader('Portcullis-Key-Expires', new Date(keyNotAfter).toISOString())
}

/** Tells the caller how to sign; `onDeny` finds the headers written. */
function challenge(scheme: SignatureScheme, message: SignedMessage, res: GuardResponse): void {
  for (const [name, value] of Object.entries(scheme.challenge?.(message) ?? {})) res.setHeader(name, value)
}

function claimNonce(
  nonces: NonceStore,
  limit: number,
  appId: string,
  allowance: SignedAllowance,
): Decision | Promise<Decision> {
  const { mode, evidence, nonce, nonceUntil } = allowance
  const settle = (first: unknown): Decision => {
    if (first === true) return allowance
    if (first !== false) return unavailable(undefined)
    return deny('serverOnly', mode, 'SIGNATURE_REPLAYED', 'the nonce was used before', evidence)
  }
  const unavailable = (error: unknown): Decision => {
    const reason = isPortcullisError(error) ? `: ${error.message}` : ''
    const detail = `the nonce store could not answer${reason}`
    return deny('serverOnly', mode, 'NONCES_UNAVAILABLE', detail, evidence)
  }
  try {
    const claimed = nonces.claim(appId, nonce, nonceUntil)
    if (typeof claimed === 'boolean') return settle(claimed)
    return withDeadline(Promise.resolve(claimed), limit, 'it').then(settle, unavailable)
  } catch (error) {
    return unavailable(error)
  }
}
