import type { Decision } from '../decision.ts'
import {
  decideServerOnly,
  refuseStranger,
  type ServerFacts,
  type SignedOutcome,
} from '../guards/server-only.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber } from '../options.ts'
import { httpMessageSignatures } from '../signature/http-message-signatures.ts'
import type { NonceStore } from '../signature/nonces.ts'
import { isSignatureRefusal } from '../signature/refusals.ts'
import type { SignatureScheme } from '../signature/scheme.ts'
import type { SignedMessage } from '../signature/verify.ts'
import type { App } from '../source/index.ts'
import { clockOf } from './request/clock-option.ts'
import { A_PATH_PREFIX, AN_AUTHORITY, compilePlace, type AuthorityOption } from './request/authority.ts'
import type { JudgedRequest } from './judged-request.ts'
import { claimOnce, type Claiming } from './nonce-claim.ts'
import { rememberSigned } from './signed-requests.ts'
import { awaitEmptyContent } from './request/empty-content.ts'
import { StreamedDigest } from './request/streamed-digest.ts'
import {
  answerMismatch,
  discardUnread,
  mismatched,
  recordMismatch,
  watchContent,
} from './streamed-content.ts'
import type { Diagnosis } from '../signature/doctor.ts'
import { isThenable } from '../thenable.ts'
import { mismatchDoctor, ONLY_IN_DEVELOPMENT } from './mismatch.ts'
import type { DescribedQuestion } from './described-request.ts'
import type { GuardResponse, RequestHandler } from './handler.ts'
import { SHARED_EXPECTATIONS, type Expectations, type SharedOptions } from './shared-options.ts'
import { chain } from './shell.ts'
import type { Mount } from './step.ts'

export interface ServerOnlyOptions extends SharedOptions {
  /** Remembers which nonces were used: `redisNonces(redis)`, or `memoryNonces()` for a single process. */
  readonly nonces: NonceStore
  /**
   * Where callers reach this service, for the `@authority` that they sign: an origin, a list of origins, or a function; see
   * {@link AuthorityOption}. Default: the `Host` of the request. `X-Forwarded-Host` is never read.
   */
  readonly authority?: AuthorityOption | undefined
  /**
   * The beginning of every path that callers use and that a proxy strips before the request arrives: `/api`. The path that
   * callers sign is this prefix followed by the received path. `X-Forwarded-Prefix` and the like are never read. Default: no
   * prefix.
   */
  readonly pathPrefix?: string | undefined
  /**
   * Admits content whose bytes are not kept, such as uploads: the signature, a covered `Content-Digest` and the nonce are checked
   * before the handler, and the digest of the bytes while the handler reads them from the request. If the digest does not match,
   * the stream never ends: it fails with an error whose `status` is 401 and whose `code` is `DIGEST_MISMATCH`. If the handler has
   * not responded 5 s later, the problem document is sent. A handler must therefore not act on content before its stream has
   * ended. If the head neither says whether there is content nor has a digest, the guard waits for the first byte or the end.
   * Default false.
   */
  readonly streamed?: boolean | undefined
  /**
   * Shows callers in the problem document why their signature does not match: the signature base of the received request, and the
   * component that differs. For development: refused if NODE_ENV is `production`. Default false.
   */
  readonly explainMismatch?: boolean | undefined
  /** How callers sign. Default `httpMessageSignatures()`: RFC 9421. */
  readonly scheme?: SignatureScheme | undefined
  /**
   * How long the nonce store may take for a claim, in milliseconds. After that the response is `NONCES_UNAVAILABLE`, whatever the
   * store returns later. Default 1000.
   */
  readonly nonceTimeout?: number | undefined
  /**
   * How many days before the `notAfter` of a key its callers are warned, by the header `portcullis-key-expires` (ISO 8601) on
   * every response to a request signed with this key. Default 14; 0 warns nobody.
   */
  readonly keyExpiryWarning?: number | undefined
  /** The clock for judging signatures, in milliseconds since the epoch. Default `Date.now`. */
  readonly now?: (() => number) | undefined
}

/**
 * Admits only servers of the app, proven by an HTTP message signature (RFC 9421) with a key of the app. Refuses browsers with
 * `BROWSER_NOT_ALLOWED` (403) and everything else with a code of the `SIGNATURE_` family or `DIGEST_MISMATCH` (401). A request
 * with content needs `bodyParsers()` before this guard, which keep the bytes for the digest, or `streamed`.
 *
 * A nonce is claimed only after all other checks have passed. If it cannot be claimed, the response is `NONCES_UNAVAILABLE`
 * (503).
 *
 * @throws ConfigError
 */
export function serverOnly(options: ServerOnlyOptions): RequestHandler {
  const settings = checkOptions<ServerOnlyOptions>('serverOnly', options, {
    ...SHARED_EXPECTATIONS,
    ...SERVER_ONLY_EXPECTATIONS,
  })
  const guard = serverOnlyMount(settings)
  // In `protect()` the body parsers wait for the content.
  return chain(
    'serverOnly',
    settings.streamed === true ? [{ pass: awaitEmptyContent }, guard] : [guard],
    settings,
  )
}

export const SERVER_ONLY_EXPECTATIONS = {
  nonces: required(
    objectWith('a nonce store such as memoryNonces(): an object with a method `claim`', 'claim'),
  ),
  authority: AN_AUTHORITY,
  pathPrefix: A_PATH_PREFIX,
  streamed: {
    expected: 'true or false',
    accepts: (value: unknown): boolean => typeof value === 'boolean',
  },
  explainMismatch: ONLY_IN_DEVELOPMENT,
  scheme: objectWith('a signature scheme: an object with a method `verify`', 'verify'),
  nonceTimeout: wholeNumber('milliseconds', 1, 60_000),
  keyExpiryWarning: wholeNumber('days', 0, 3_650),
  now: aFunction,
} satisfies Expectations<ServerOnlyOptions>

/** A valid signature, or the diagnosis of an invalid one. */
type ServerOutcome = SignedOutcome | Diagnosis

export function serverOnlyMount(options: ServerOnlyOptions): Mount<ServerFacts, ServerOutcome> {
  const {
    policies,
    nonces,
    scheme = httpMessageSignatures(),
    nonceTimeout = 1_000,
    keyExpiryWarning = 14,
    streamed = false,
  } = options
  const now = clockOf(options.now)
  const doctor = mismatchDoctor(options.explainMismatch ?? false)
  const placeOf = compilePlace(options.authority, options.pathPrefix)

  const claiming: Claiming = { nonces, nonceTimeout }

  function factsOf({ facts }: JudgedRequest, { appId, keys }: Caller): ServerFacts {
    const { browserEvidence, headersComplete } = facts
    const message = facts.message(placeOf, streamed)
    return { browserEvidence, headersComplete, message, scheme, appId, keys, now: now() }
  }

  return {
    name: 'serverOnly',
    guard: (policy, facts) => {
      const judgement = decideServerOnly(policy, facts)
      const { decision } = judgement
      return decision.effect === 'allow' ? judgement : doctor.examine(decision, facts)
    },
    facts: factsOf,
    ...(streamed && { begin: discardUnread }),
    stranger(request) {
      const facts = factsOf(request, NOBODY)
      return doctor.examine(refuseStranger(facts).decision, facts)
    },
    explain: ({ decision, outcome }) => doctor.explain(decision, isProof(outcome) ? undefined : outcome),
    claim: ({ decision, outcome }, { appId }, request) => {
      if (!isProof(outcome)) return decision
      const message = streamed ? request.facts.message(placeOf, true) : undefined
      const content = message && watchContent(request.req, message, decision.mode)
      if (content?.problem !== undefined) return mismatched(decision, content.problem)
      const claimed = claimOnce(decision, outcome, claiming, appId, request)
      return content === undefined || !isThenable(claimed) ? claimed : checkAfter(claimed, content, decision)
    },
    note: ({ decision, outcome }, context) => {
      if (!isProof(outcome)) return
      const { appId = '' } = context
      if (decision.mode === 'enforce') rememberSigned(context, policies, appId)
      policies.noteKeyUse?.(appId, outcome.keyId)
      const content = streamed ? StreamedDigest.find(context.req) : undefined
      if (content !== undefined) recordMismatch(content, decision, context)
    },
    write: ({ decision, outcome }, context, res) => {
      const { facts, req } = context
      if (!isProof(outcome)) {
        if (isSignatureRefusal(decision.code)) challenge(scheme, facts.message(placeOf), res)
        return false
      }
      warnOfExpiry(outcome, keyExpiryWarning * DAY, now(), res)
      const content = streamed ? StreamedDigest.find(req) : undefined
      if (content !== undefined) answerMismatch(content, context, res)
      return false
    },
  }
}

type Caller = Pick<App, 'appId' | 'keys'>

const NOBODY: Caller = { appId: '', keys: [] }

const DAY = 86_400_000

/** After the claim, an outcome has a nonce only if the claim succeeded: the caller has proved that it has the key. */
function isProof(outcome: ServerOutcome | undefined): outcome is SignedOutcome {
  return outcome !== undefined && Object.hasOwn(outcome, 'nonce')
}

/** Warns in good time, because a caller whose operator forgets to rotate the key would be refused. */
function warnOfExpiry({ keyNotAfter }: SignedOutcome, ahead: number, now: number, res: GuardResponse): void {
  if (keyNotAfter !== undefined && keyNotAfter - now < ahead)
    res.setHeader('Portcullis-Key-Expires', new Date(keyNotAfter).toISOString())
}

/** Tells the caller how to sign. The headers are written before `onDeny` is called. */
function challenge(scheme: SignatureScheme, message: SignedMessage, res: GuardResponse): void {
  for (const [name, value] of Object.entries(scheme.challenge?.(message) ?? {})) res.setHeader(name, value)
}

/** The rest of the content may have arrived while the nonce was claimed. */
function checkAfter(
  claimed: Promise<Decision>,
  content: { readonly problem: string | undefined },
  decision: Decision,
): Promise<Decision> {
  return claimed.then((settled) =>
    content.problem === undefined || settled.effect === 'deny'
      ? settled
      : mismatched(decision, content.problem),
  )
}

export const describedServerOnly: DescribedQuestion = ({ now = Date.now() }) => ({
  name: 'serverOnly',
  guard: decideServerOnly,
  facts: ({ facts }, { appId, keys }) => ({
    browserEvidence: facts.browserEvidence,
    headersComplete: facts.headersComplete,
    message: facts.message(),
    scheme: httpMessageSignatures(),
    appId,
    keys,
    now,
  }),
})
