import { UnavailableError } from '../errors.ts'
import { aFunction, checkOptions, wholeNumber } from '../options.ts'
import { checkOneProcess } from '../several-processes.ts'

/** Remembers used nonces, so that a signed request passes only once. */
export interface NonceStore {
  /**
   * Claims a nonce of an app. Returns true for the first claim, and false for every other claim until `until` (milliseconds
   * since the epoch). If several claims are simultaneous, exactly one gets true. Throws, or rejects with, an `UnavailableError`
   * only if the nonce could not be looked up or stored.
   */
  claim(appId: string, nonce: string, until: number): boolean | Promise<boolean>
}

/** A nonce store that answers synchronously. */
export interface SynchronousNonceStore extends NonceStore {
  claim(appId: string, nonce: string, until: number): boolean
}

export interface MemoryNoncesOptions {
  /** The maximum number of unexpired nonces. Default 1 000 000, about 150 bytes each. */
  max?: number | undefined
  /** The maximum number of unexpired nonces of one app, so that one app cannot block the others. Default half of `max`. */
  maxPerApp?: number | undefined
  /** The clock, in milliseconds since the epoch. Default `Date.now`. */
  now?: (() => number) | undefined
}

/**
 * How long a nonce must be remembered, in milliseconds. Throws an `UnavailableError` if `until` is in the past, missing or
 * not a number, because a nonce that is not remembered could be used again.
 */
export function lifetimeOf(until: number, time: number): number {
  if (until >= time && until < Infinity) return until - time
  throw new UnavailableError(
    'the nonce has already expired, or never expires: check that the verifier and the nonce store use the same clock',
  )
}

// Nonces that expire within the same span are removed together.
const SPAN = 5_000

// More than the one that a claim adds, so that all are removed in time, but few enough that no claim takes long.
const FORGOTTEN_PER_CLAIM = 16

/**
 * A nonce store in the memory of this process. Use it only for a single process: behind a load balancer, each process would
 * accept the request once. An unexpired nonce is never dropped: if the store is full, `claim` throws an `UnavailableError`.
 */
export function memoryNonces(options: MemoryNoncesOptions = {}): SynchronousNonceStore {
  const checked = checkOptions<MemoryNoncesOptions>('memoryNonces', options, {
    max: wholeNumber('nonces', 1),
    maxPerApp: wholeNumber('nonces', 1),
    now: aFunction,
  })
  const { max = 1_000_000, maxPerApp = Math.ceil(max / 2), now = Date.now } = checked
  checkOneProcess()
  const apps = new Map<string, Map<string, number>>()
  /** App ids and nonces, alternating. */
  const spans = new Map<number, string[]>()
  let held = 0
  /** The earliest end of a span. */
  let soonest = Infinity

  // The spans are unordered, but there are only as many as fit in the acceptance window.
  function forget(time: number, most: number): void {
    if (soonest > time) return
    let left = most
    soonest = Infinity
    for (const [span, entries] of spans) {
      const ends = (span + 1) * SPAN
      if (ends > time) {
        soonest = Math.min(soonest, ends)
        continue
      }
      while (left > 0) {
        const nonce = entries.pop()
        const appId = entries.pop()
        if (appId === undefined || nonce === undefined) break
        left--
        forgetOne(appId, nonce, time)
      }
      if (entries.length > 0) {
        soonest = 0
        return
      }
      spans.delete(span)
    }
  }

  function forgetOne(appId: string, nonce: string, time: number): void {
    const nonces = apps.get(appId)
    const until = nonces?.get(nonce)
    // The nonce may have been claimed again after it expired. It is then also in a later span.
    if (nonces === undefined || until === undefined || until >= time) return
    nonces.delete(nonce)
    held--
    if (nonces.size === 0) apps.delete(appId)
  }

  return {
    claim(appId: string, nonce: string, until: number): boolean {
      const time = now()
      lifetimeOf(until, time)
      forget(time, FORGOTTEN_PER_CLAIM)
      let nonces = apps.get(appId)
      const known = nonces?.get(nonce)
      if (known !== undefined && known >= time) return false
      if (held >= max || (nonces?.size ?? 0) >= maxPerApp) {
        forget(time, Infinity)
        nonces = apps.get(appId)
      }
      nonces ??= new Map()
      const isNew = known === undefined || !nonces.has(nonce)
      if (isNew && held >= max)
        throw new UnavailableError(`there is no room for more than ${max} unexpired nonces`)
      if (isNew && nonces.size >= maxPerApp) {
        throw new UnavailableError(
          `there is no room for more than ${maxPerApp} unexpired nonces of app \`${appId}\``,
        )
      }
      apps.set(appId, nonces)
      nonces.set(nonce, until)
      if (isNew) held++
      const span = Math.floor(until / SPAN)
      soonest = Math.min(soonest, (span + 1) * SPAN)
      const entries = spans.get(span)
      if (entries === undefined) spans.set(span, [appId, nonce])
      else entries.push(appId, nonce)
      return true
    },
  }
}
