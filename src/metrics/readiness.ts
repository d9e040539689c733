import type { AuditSink } from '../audit/sink.ts'
import { withDeadline } from '../deadline.ts'
import { checkOptions, objectWith, required, wholeNumber } from '../options.ts'
import type { PolicySource } from '../source/contract.ts'

export interface ReadinessOptions {
  readonly policies: PolicySource
  /** The `maxStale` of the policy source, in milliseconds. Default 60,000. */
  readonly maxStale?: number | undefined
  /**
   * The sink of the audit, if policies enforce `auditAccess`: their requests are refused while it fails. It needs a method `check`,
   * as `redisAuditSink`, `auditLog` and `memoryAuditSink` have. Default: the audit is not checked.
   */
  readonly sink?: AuditSink | undefined
}

/** Whether this process can judge requests, and why not. */
export interface Readiness {
  readonly ready: boolean
  /**
   * `store`: the store answers. `memory`: the store does not answer, but policies in memory are still fresh. `emptied`: the store
   * has lost its data. `unavailable`: neither the store nor the memory has an answer. `audit`: policies are available, but the audit
   * sink cannot store events. `draining`: the process is shutting down.
   */
  readonly by: 'store' | 'memory' | 'emptied' | 'unavailable' | 'audit' | 'draining'
}

export interface ReadinessProbe {
  /** Never rejects. */
  check(): Promise<Readiness>
  /** Makes the process report that it is not ready: call it first at shutdown. */
  drain(): void
}

/** An id that no app has. Loading it reads the store and returns nothing. */
const NOBODY = 'readiness.probe.of.portcullis'

/** How long the check of the audit sink may take, in milliseconds. */
const SINK_TIMEOUT = 1_000

/**
 * Creates the check for `/readyz`. Ready means that the process can judge requests. While the policies in memory are fresh, an
 * unreachable store does not make it unready; a store that answers but has lost its data does, and so does an audit sink that fails.
 *
 * @throws ConfigError
 */
export function createReadiness(options: ReadinessOptions): ReadinessProbe {
  const {
    policies,
    maxStale = 60_000,
    sink,
  } = checkOptions<ReadinessOptions>('createReadiness', options, {
    policies: required(objectWith('a policy source made by createPolicySource()', 'peek', 'load', 'status')),
    maxStale: wholeNumber('milliseconds', 1),
    sink: objectWith(
      'an audit sink with a method `check`, which throws while events cannot be stored',
      'check',
    ),
  })

  async function checkPolicies(): Promise<Readiness> {
    if (policies.status().emptied) return { ready: false, by: 'emptied' }
    try {
      await policies.load(NOBODY)
      return { ready: true, by: 'store' }
    } catch {
      const { apps, feed, feedAge } = policies.status()
      // A policy is used for at most `maxStale` after it was read. If the feed broke longer ago, policies in memory may have
      // expired.
      const fresh = apps > 0 && (feed !== 'broken' || feedAge < maxStale)
      return fresh ? { ready: true, by: 'memory' } : { ready: false, by: 'unavailable' }
    }
  }

  /** Asks the sink itself. The result of the last write would not change while no requests arrive. */
  async function storesEvents(): Promise<boolean> {
    try {
      await withDeadline(Promise.resolve(sink?.check?.()), SINK_TIMEOUT, 'the audit sink')
      return true
    } catch {
      return false
    }
  }
  let draining = false
  return {
    drain() {
      draining = true
    },
    async check() {
      if (draining) return { ready: false, by: 'draining' }
      const [judges, stores] = await Promise.all([checkPolicies(), storesEvents()])
      return judges.ready && !stores ? { ready: false, by: 'audit' } : judges
    },
  }
}
