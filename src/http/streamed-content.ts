import { deny, type Decision, type Mode } from '../decision.ts'
import { readDigests } from '../signature/digest.ts'
import type { SignedMessage } from '../signature/verify.ts'
import type { GuardRequest, GuardResponse } from './handler.ts'
import type { RequestContext } from './request/context.ts'
import { StreamedDigest } from './request/streamed-digest.ts'
import { sendProblemInstead } from './response/answer-instead.ts'
import { writeCorsOfRefusal } from './response/cors.ts'

/** How long a handler may take to respond after its content has turned out to be wrong, in milliseconds. */
const MOST_TIME = 5_000

/**
 * Begins to digest the content of a request whose signature is valid; `undefined` if there is nothing to digest. Content that has
 * already arrived is judged at once: `problem` then says why the digest does not match.
 */
export function watchContent(
  req: GuardRequest,
  { body, header }: SignedMessage,
  mode: Mode,
): StreamedDigest | undefined {
  if (body.kind !== 'unavailable' || body.digested !== true) return undefined
  const digests = readDigests(header('content-digest'))
  // The policy need not require a digest; one that was sent is well-formed, as the guard has checked.
  return 'problem' in digests ? undefined : StreamedDigest.of(req, digests, mode === 'enforce')
}

/** The refusal of content that differs from the signed content. */
export function mismatched({ mode, evidence }: Decision, problem: string): Decision {
  return deny('serverOnly', mode, 'DIGEST_MISMATCH', problem, evidence)
}

/** Adds to the trail that admitted content turned out to be wrong. */
export function recordMismatch(content: StreamedDigest, decision: Decision, context: RequestContext): void {
  content.onMismatch((problem) => context.record(mismatched(decision, problem)))
}

/**
 * Makes sure that a caller who sent wrong content gets a response: a handler that waits for the end of the stream would never
 * send one.
 */
export function answerMismatch(content: StreamedDigest, context: RequestContext, res: GuardResponse): void {
  content.onMismatch(() => {
    const timer = setTimeout(() => {
      if (res.headersSent || res.destroyed) return
      writeCorsOfRefusal(context, res)
      sendProblemInstead(res, 'DIGEST_MISMATCH', context.requestId)
    }, MOST_TIME)
    timer.unref()
    res.once('close', () => clearTimeout(timer))
  })
}

/**
 * After the response, discards watched content that the handler has not read. Node does so only if nobody has touched the stream;
 * otherwise the next request on the connection would wait forever.
 */
export function discardUnread({ req }: RequestContext, res: GuardResponse): void {
  res.once('finish', () => {
    if (StreamedDigest.find(req) === undefined) return
    if (req.listenerCount('data') === 0 && req.listenerCount('readable') === 0) req.resume()
  })
}
