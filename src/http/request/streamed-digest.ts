/* oxlint-disable no-underscore-dangle -- the name that stream.Readable has for its implementers */
import { createHash, type Hash } from 'node:crypto'
import { mismatchOf, type SentDigest } from '../../signature/digest.ts'
import type { GuardRequest } from '../handler.ts'
import { bodyError, streamProblem, type BodyError } from './read-body.ts'
import { watchBody } from './watched-body.ts'

// A registered symbol, because guards of both builds may judge one request.
const watchKey: unique symbol = Symbol.for('portcullis.streamedDigest')

type WatchedRequest = GuardRequest & { [watchKey]?: StreamedDigest }

/** Whether the digest of content can be checked as it arrives, which requires that nothing of it was read. */
export function canDigestStream(req: GuardRequest): boolean {
  return (req as WatchedRequest)[watchKey] !== undefined || streamProblem(req) === undefined
}

/**
 * Checks the digest of content while its stream is read. Readers get the bytes as they arrive, but the end only if the digest
 * matches. Otherwise, if `enforce` is true, the stream ends with an error: an `Error` with the status 401 and the code
 * `DIGEST_MISMATCH`. The connection stays open for the response. Listeners for `error` and `close` are called, but not those for
 * `end`. If the length of the content is known, the bytes that complete it are withheld too: otherwise a reader that passes bytes
 * on would have passed on all of them.
 */
export class StreamedDigest {
  /** Why the digest does not match; `undefined` as long as that is not known. */
  problem: string | undefined
  readonly #req: GuardRequest
  readonly #digests: readonly SentDigest[]
  readonly #hashes: ReadonlyMap<string, Hash>
  #enforce: boolean
  #arrived = false
  /** The number of bytes that have not arrived, if the request states its length. */
  #missing: number | undefined
  #mayEnd: boolean | undefined
  #listeners: ((problem: string) => void)[] = []

  constructor(req: GuardRequest, digests: readonly SentDigest[], enforce: boolean) {
    this.#req = req
    this.#digests = digests
    this.#enforce = enforce
    this.#hashes = new Map(digests.map(({ hash }) => [hash, createHash(hash)]))
    const { 'content-length': declared, 'transfer-encoding': coding } = req.headers
    if (coding === undefined && declared !== undefined) this.#missing = Number(declared)
    watchBody(req, {
      eager: false,
      bytes: (chunk) => {
        // Bytes that were waiting in the stream. `withholds` gets all later ones.
        if (!this.#arrived) this.#take(chunk)
      },
      withholds: (chunk) => {
        this.#take(chunk)
        return this.#missing === 0 && !this.#end()
      },
      end: () => this.#end(),
    })
    if (this.#missing === 0) this.#end()
    this.#arrived = true
  }

  /** The digest check of this request. */
  static find(req: GuardRequest): StreamedDigest | undefined {
    return (req as WatchedRequest)[watchKey]
  }

  /** The digest check of this request, created if there is none: all mounts share one stream. */
  static of(req: GuardRequest, digests: readonly SentDigest[], enforce: boolean): StreamedDigest {
    const watched = req as WatchedRequest
    const known = watched[watchKey]
    if (known === undefined) return (watched[watchKey] = new StreamedDigest(req, digests, enforce))
    known.#enforce ||= enforce
    return known
  }

  /** Calls back if the digest turns out not to match. */
  onMismatch(listener: (problem: string) => void): void {
    this.#listeners.push(listener)
  }

  #take(chunk: Uint8Array): void {
    for (const hash of this.#hashes.values()) hash.update(chunk)
    if (this.#missing !== undefined) this.#missing -= chunk.length
  }

  /** Whether the end may be passed on. */
  #end(): boolean {
    return (this.#mayEnd ??= this.#judge())
  }

  #judge(): boolean {
    this.problem = mismatchOf(this.#digests, ({ hash }) => (this.#hashes.get(hash) as Hash).digest())
    // If all content had arrived before the guard judged, the guard itself refuses.
    if (this.problem === undefined || !this.#arrived) return true
    const { problem } = this
    whenRead(this.#req, () => {
      for (const listener of this.#listeners) listener(problem)
      if (this.#enforce) fail(this.#req, digestError())
    })
    return !this.#enforce
  }
}

/**
 * Calls back when the stream has a reader: a later reader would wait for a stream that has already failed. A stream that flows
 * without a listener counts as read, because code that discards the content may wait for its end.
 */
function whenRead(req: GuardRequest, then: () => void): void {
  const reads = req.listenerCount('data') > 0 || req.listenerCount('readable') > 0
  if (reads || req.readableFlowing === true) {
    then()
    return
  }
  const start = (): void => {
    req.off('newListener', listen).off('resume', start)
    // After this reader has added its other listeners.
    process.nextTick(then)
  }
  const listen = (name: string | symbol): void => {
    if (name === 'data' || name === 'readable') start()
  }
  req.on('newListener', listen).on('resume', start)
}

/** Ends a stream with an error. Node's own `_destroy` would close the connection too, and with it the response. */
function fail(req: GuardRequest, error: BodyError): void {
  Object.assign(req, {
    _destroy(given: Error | null, done: (error: Error | null) => void) {
      // Like Node's own: an error without a listener must not end the process.
      done(req.listenerCount('error') === 0 ? null : given)
    },
  })
  req.destroy(error)
}

function digestError(): BodyError {
  const error = bodyError(401, 'digest.mismatch', 'the content does not match its Content-Digest')
  return Object.assign(error, { code: 'DIGEST_MISMATCH' })
}
