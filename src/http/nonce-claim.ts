import { withDeadline } from '../deadline.ts'
import { deny, type Decision } from '../decision.ts'
import { isPortcullisError } from '../errors.ts'
import type { SignedOutcome } from '../guards/server-only.ts'
import type { NonceStore } from '../signature/nonces.ts'
import { isThenable } from '../thenable.ts'
import type { JudgedRequest } from './judged-request.ts'

/** How nonces are claimed. */
export interface Claiming {
  readonly nonces: NonceStore
  readonly nonceTimeout: number
}

/**
 * Claims the nonce once per request: a second guard on the same request gets the first result. A replay is a second message, not
 * a second mount.
 */
export function claimOnce(
  decision: Decision,
  outcome: SignedOutcome,
  claiming: Claiming,
  appId: string,
  request: JudgedRequest,
): Decision | Promise<Decision> {
  const { nonces } = claiming
  const { nonce } = outcome
  const known = request.recallEffect(nonces, appId, nonce) as Claim | Promise<Claim> | undefined
  const claim = known ?? claimNonce(outcome, claiming, appId)
  if (known === undefined) request.rememberEffect(nonces, appId, nonce, claim)
  return isThenable(claim) ? afterClaimed(decision, claim) : afterClaim(decision, claim)
}

function afterClaimed(decision: Decision, claim: Promise<Claim>): Promise<Decision> {
  return claim.then((settled) => afterClaim(decision, settled))
}

/** Whether the nonce was free, or why that is unknown. */
type Claim = boolean | { readonly unavailable: string }

function claimNonce(
  { nonce, nonceUntil }: SignedOutcome,
  { nonces, nonceTimeout }: Claiming,
  appId: string,
): Claim | Promise<Claim> {
  try {
    const claimed = nonces.claim(appId, nonce, nonceUntil)
    if (!isThenable(claimed)) return readClaim(claimed)
    return withDeadline(Promise.resolve(claimed), nonceTimeout, 'it').then(readClaim, unavailable)
  } catch (error) {
    return unavailable(error)
  }
}

function readClaim(answer: unknown): Claim {
  return typeof answer === 'boolean' ? answer : unavailable(undefined)
}

function unavailable(error: unknown): Claim {
  return { unavailable: isPortcullisError(error) ? `: ${error.message}` : '' }
}

function afterClaim(decision: Decision, claim: Claim): Decision {
  if (claim === true) return decision
  const { mode, evidence } = decision
  if (claim === false) {
    return deny('serverOnly', mode, 'SIGNATURE_REPLAYED', 'the nonce was used before', evidence)
  }
  const detail = `the nonce store did not answer${claim.unavailable}`
  return deny('serverOnly', mode, 'NONCES_UNAVAILABLE', detail, evidence)
}
