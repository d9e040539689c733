import { deny, type Decision } from '../decision.ts'
import { decideServerOnly, type SignedAllowance } from '../guards/server-only.ts'
import { aFunction, checkOptions, objectWith, required } from '../options.ts'
import type { NonceStore } from '../signature/nonces.ts'
import type { RequestHandler } from './request.ts'
import { mount, SHARED_EXPECTATIONS, type SharedOptions } from './shell.ts'

export interface ServerOnlyOptions extends SharedOptions {
  /** Remembers which nonces were used: `redisNonces(redis)`, or `memoryNonces()` for a single process. */
  readonly nonces: NonceStore
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
    now: aFunction,
  })
  const { nonces, now = Date.now } = options
  return mount(
    {
      name: 'serverOnly',
      guard: decideServerOnly,
      facts: ({ facts }, { keys }) => ({
        browserEvidence: facts.browserEvidence,
        headersComplete: facts.headersComplete,
        message: facts.message,
        keys,
        now: now(),
      }),
      claim: (allowance, { appId }) => claimNonce(nonces, appId, allowance),
    },
    options,
  )
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
