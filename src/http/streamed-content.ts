import { deny, type Decision, type Mode } from '../decision.ts'
import { readDigests } from '../signature/digest.ts'
import type { SignedMessage } from '../signature/verify.ts'
import type { GuardRequest, GuardResponse } from './handler.ts'
import type { RequestContext } from './request/context.ts'
import { StreamedDigest } from './request/streamed-digest.ts'
import { writeCorsOfRefusal } from './response/cors.ts'
import { sendProblem } from './response/problem.ts'

/** How long a handler may take to answer whose content has turned out to be wrong, in milliseconds. */
const MOST_TIME = 5_000

/**
 * Begins to digest the content of a request whose signature holds; `undefined` where there is nothing to digest. What has
 * arrived already is judged at once: then `problem` says why the digest does not hold.
 */
export function watchContent(
  req: GuardRequest,
  { body, header }: SignedMessage,
  mode: Mode,
): StreamedDigest | undefined {
  if (body.kind !== 'unavailable' || body.digested !== true) return undefined
  const digests = readDigests(header('content-digest'))
  // A policy may leave the digest out; one that was sent has been found well-formed.
  return 'problem' in digests ? undefined : StreamedDigest.of(req, digests, mode === 'enforce')
}

/** The refusal of content that is not what was signed. */
export function mismatched({ mode, evidence }: Decision, problem: string): Decision {
  return deny('serverOnly', mode, 'DIGEST_MISMATCH', problem, evidence)
}

/** Has the trail say that content which has passed turned out to be wrong. */
export function recordMismatch(content: StreamedDigest, decision: Decision, context: RequestContext): void {
  content.onMismatch((problem) => context.record(mismatched(decision, problem)))
}

/**
 * Sees to it that the caller of wrong content gets an answer: a handler that waits for the end of the stream would never
 * give one.
 */
export function answerMismatch(content: StreamedDigest, context: RequestContext, res: GuardResponse): void {
  content.onMismatch(() => {
    const timer = setTimeout(() => {
      if (res.headersSent || res.destroyed) return
      writeCorsOfRefusal(context, res)
      sendProblem(res, 'DIGEST_MISMATCH', context.requestId)
    }, MOST_TIME)
    timer.unref()
    res.once('close', () => clearTimeout(timer))
  })
}

/**
 * Throws away, behind the answer, what a handler has left of content that was watched. Node does so only where nobody has
 * touched the stream, and otherwise the next request on the connection would wait for ever.
 */
export function discardUnread({ req }: RequestContext, res: GuardResponse): void {
  res.once('finish', () => {
    if (StreamedDigest.find(req) === undefined) return
    if (req.listenerCount('data') === 0 && req.listenerCount('readable') === 0) req.resume()
  })
}
