import { checkOptions, objectWith, required, wholeNumber } from '../options.ts'
import type { PolicySource } from '../source/contract.ts'

export interface ReadinessOptions {
  readonly policies: PolicySource
  /** As that of the policy source, in milliseconds. Default 60,000. */
  readonly maxStale?: number | undefined
}

/** Whether this process can judge requests, and why not. */
export interface Readiness {
  readonly ready: boolean
  /**
   * `store`: the store answers. `memory`: it does not, and policies in memory are still fresh. `emptied`: the store has lost what it
   * held. `unavailable`: neither store nor memory has an answer. `draining`: the process is about to end.
   */
  readonly by: 'store' | 'memory' | 'emptied' | 'unavailable' | 'draining'
}

export interface ReadinessProbe {
  /** Never rejects. */
  check(): Promise<Readiness>
  /** Makes the process report that it is not ready: call it first at shutdown. */
  drain(): void
}

/** No app can have this id: the store is asked, and has nothing. */
const NOBODY = 'readiness.probe.of.portcullis'

/**
 * Makes the check for `/readyz`. Ready means that the process can judge requests. While the policies in memory are fresh, an
 * unreachable store does not make it unready; a store that answers but has lost its data does.
 *
 * @throws ConfigError
 */
export function createReadiness(options: ReadinessOptions): ReadinessProbe {
  const { policies, maxStale = 60_000 } = checkOptions<ReadinessOptions>('createReadiness', options, {
    policies: required(objectWith('a policy source made by createPolicySource()', 'peek', 'load', 'status')),
    maxStale: wholeNumber('milliseconds', 1),
  })
  let draining = false
  return {
    drain() {
      draining = true
    },
    async check() {
      if (draining) return { ready: false, by: 'draining' }
      const before = policies.status()
      if (before.emptied) return { ready: false, by: 'emptied' }
      try {
        await policies.load(NOBODY)
        return { ready: true, by: 'store' }
      } catch {
        const { apps, feed, feedAge } = policies.status()
        // Each policy is used until `maxStale` after it was read, and was read before the feed broke or since.
        const fresh = apps > 0 && (feed !== 'broken' || feedAge < maxStale)
        return fresh ? { ready: true, by: 'memory' } : { ready: false, by: 'unavailable' }
      }
    },
  }
}
