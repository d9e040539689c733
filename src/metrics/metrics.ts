import { LRUCache } from 'lru-cache'
import type { AuditLog } from '../audit/log/audit-log-contract.ts'
import type { AuditEvent } from '../audit/event.ts'
import type { AuditSink } from '../audit/sink.ts'
import type { Decision } from '../decision.ts'
import type { GuardRequest, GuardResponse, NextFunction, RequestHandler } from '../http/handler.ts'
import { checkOptions, objectWith, wholeNumber, type Expectation } from '../options.ts'
import type { NonceStore } from '../signature/nonces.ts'
import type { PolicySource } from '../source/contract.ts'
import { isThenable } from '../thenable.ts'
import { Counter, formatFamilies, gauge, Histogram, type Family, type Row } from './exposition.ts'
import { VERSION } from './version.ts'

/** What tells the condition of each location, as a `RegionalStore` does. */
export interface LocationsSource {
  status(): readonly {
    readonly jurisdiction: string
    readonly location: string
    readonly condition: string
  }[]
}

export interface MetricsOptions {
  /** The policy source whose feed, circuit breaker and reads are exported. */
  readonly policies?: PolicySource | undefined
  /** Audit logs whose queue and spool are exported. Each name becomes the value of the label `sink`. */
  readonly auditLogs?: Readonly<Record<string, Pick<AuditLog, 'status'>>> | undefined
  /** The regional store whose locations are exported. */
  readonly regions?: LocationsSource | undefined
  /** `timed` measures one in this many requests. Default 16. */
  readonly sampling?: number | undefined
}

/** Counts the decisions of guards. No label is an app, an address, an origin or a person. */
export interface Metrics {
  /** Counts a decision. Pass it to the guards: `protect({ …, onDecision: metrics.onDecision })`. */
  readonly onDecision: (decision: Decision) => void
  /** Wraps a nonce store and counts its claims. */
  nonces<Store extends NonceStore>(store: Store): Store
  /** Wraps an audit sink and counts its events under this name. */
  sink<Sink extends AuditSink>(name: string, sink: Sink): Sink
  /** Wraps a handler and measures the time until it passes the request on or responds. `name` is the label `guard`. */
  timed(name: string, handler: RequestHandler): RequestHandler
  /** All metrics in the text format of Prometheus. */
  text(): string
  /** The `Content-Type` of the text. */
  readonly contentType: string
}

const SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5]
const FORTNIGHT = 14 * 86_400_000
/** The most keys whose expiry is remembered. */
const MOST_KEYS = 10_000

const LOGS: Expectation = {
  expected: 'an object with an audit log for each name',
  accepts: (value) =>
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((log) => typeof (log as Partial<AuditLog> | null)?.status === 'function'),
}

/**
 * Creates metrics for Prometheus, without another package.
 *
 * @throws ConfigError
 */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  return new GuardMetrics(
    checkOptions<MetricsOptions>('createMetrics', options, {
      policies: objectWith('a policy source made by createPolicySource()', 'peek', 'load', 'status'),
      auditLogs: LOGS,
      regions: objectWith('a regional store made by regionalStore()', 'status'),
      sampling: wholeNumber('requests', 1),
    }),
  )
}

class GuardMetrics implements Metrics {
  readonly contentType = 'text/plain; version=0.0.4; charset=utf-8'
  readonly #sampling: number
  readonly #decisions = new Counter('portcullis_decisions_total', 'Decisions of guards.')
  readonly #wouldDeny = new Counter(
    'portcullis_report_would_deny_total',
    'Refusals that report mode did not carry out.',
  )
  readonly #seconds = new Histogram(
    'portcullis_decision_seconds',
    'Time until a guard passes a request on or answers it, sampled.',
    SECONDS,
  )
  readonly #claims = new Counter('portcullis_nonce_claims_total', 'Claims of nonces.')
  readonly #events = new Counter('portcullis_audit_events_total', 'Events sent to audit sinks.')
  readonly #expiring = new LRUCache<string, number>({ max: MOST_KEYS })
  readonly #families: readonly Family[]
  #requests = 0

  constructor({ policies, auditLogs, regions, sampling = 16 }: MetricsOptions) {
    this.#sampling = sampling
    this.#families = [
      gauge('portcullis_build_info', 'The running version.', () => [
        { labels: { version: VERSION, node: process.versions.node }, value: 1 },
      ]),
      this.#decisions,
      this.#wouldDeny,
      this.#seconds,
      this.#claims,
      this.#events,
      gauge('portcullis_keys_expiring', 'Keys of apps that were used and expire within the window.', () =>
        this.#endingKeys(Date.now()),
      ),
      ...(policies === undefined ? [] : familiesOf(policies)),
      ...familiesOfLogs(auditLogs ?? {}),
      ...(regions === undefined ? [] : [familyOfLocations(regions)]),
    ]
  }

  /** An arrow function, because callers pass it without its object. */
  readonly onDecision = ({ guard, effect, mode, code, evidence }: Decision): void => {
    this.#decisions.add({ guard, effect, mode, code })
    if (effect === 'deny' && mode === 'report') this.#wouldDeny.add({ guard, code })
    const { keyId, keyNotAfter } = evidence
    if (typeof keyId === 'string' && typeof keyNotAfter === 'string')
      this.#expiring.set(keyId, Date.parse(keyNotAfter))
  };

  *#endingKeys(now: number): Iterable<Row> {
    const ends = [...this.#expiring.values()]
    const count = ends.filter((end) => end > now && end <= now + FORTNIGHT).length
    yield { labels: { window: '14d' }, value: count }
  }

  nonces<Store extends NonceStore>(store: Store): Store {
    const count = (isFirst: boolean): boolean => {
      this.#claims.add({ result: isFirst ? 'first' : 'used' })
      return isFirst
    }
    const failed = (error: unknown): never => {
      this.#claims.add({ result: 'failed' })
      throw error
    }
    const claim: NonceStore['claim'] = (...given) => {
      let claimed: boolean | Promise<boolean>
      try {
        claimed = store.claim(...given)
      } catch (error) {
        return failed(error)
      }
      return isThenable(claimed) ? claimed.then(count, failed) : count(claimed)
    }
    return withMethod(store, 'claim', claim)
  }

  sink<Sink extends AuditSink>(name: string, sink: Sink): Sink {
    const count = (result: string, events: readonly AuditEvent[]): void =>
      this.#events.add({ sink: name, result }, events.length)
    const write: AuditSink['write'] = (events) => {
      const failed = (error: unknown): never => {
        count('failed', events)
        throw error
      }
      let written: void | Promise<void>
      try {
        written = sink.write(events)
      } catch (error) {
        return failed(error)
      }
      if (isThenable(written)) return written.then(() => count('kept', events), failed)
      return count('kept', events)
    }
    return withMethod(sink, 'write', write)
  }

  timed(name: string, handler: RequestHandler): RequestHandler {
    return (req: GuardRequest, res: GuardResponse, next: NextFunction): void => {
      this.#requests += 1
      if (this.#requests % this.#sampling !== 0) {
        handler(req, res, next)
        return
      }
      const begun = performance.now()
      let measured = false
      const measure = (): void => {
        if (!measured) this.#seconds.observe({ guard: name }, (performance.now() - begun) / 1_000)
        measured = true
      }
      res.once('close', measure)
      handler(req, res, (error) => {
        measure()
        next(error)
      })
    }
  }

  text(): string {
    return formatFamilies(this.#families)
  }
}

/** The same object with one method replaced. Its other methods keep their `this`. */
function withMethod<Held extends object>(held: Held, name: string, method: unknown): Held {
  return new Proxy(held, {
    get(target, property) {
      if (property === name) return method
      const value: unknown = Reflect.get(target, property, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

function familiesOf(policies: PolicySource): readonly Family[] {
  const status = (): ReturnType<PolicySource['status']> => policies.status()
  return [
    gauge(
      'portcullis_feed_state',
      'Whether policy changes are announced: 1, or 0 if they may be missed.',
      () => (status().feed === 'broken' ? 0 : 1),
    ),
    gauge('portcullis_feed_lag_seconds', 'How long policy changes may have been missed.', () =>
      status().feed === 'broken' ? status().feedAge / 1_000 : 0,
    ),
    gauge(
      'portcullis_policy_age_seconds',
      'Time since the oldest policy in use was read.',
      () => status().oldest / 1_000,
    ),
    gauge('portcullis_policies', 'Policies in memory.', () => status().apps),
    gauge('portcullis_lists', 'Named lists in memory.', () => status().lists),
    gauge('portcullis_breaker_open', 'Whether the circuit breaker of the store is open.', () =>
      status().breaker === 'closed' ? 0 : 1,
    ),
    gauge('portcullis_store_emptied', 'Whether the store has lost its data.', () =>
      status().emptied ? 1 : 0,
    ),
    gauge(
      'portcullis_source_reads_total',
      'Reads of the store.',
      () => {
        const { reads, failures } = status()
        return [
          { labels: { result: 'ok' }, value: reads - failures },
          { labels: { result: 'failed' }, value: failures },
        ]
      },
      'counter',
    ),
  ]
}

function familiesOfLogs(logs: Readonly<Record<string, Pick<AuditLog, 'status'>>>): readonly Family[] {
  const each = (read: (status: ReturnType<AuditLog['status']>) => number) => (): readonly Row[] =>
    Object.entries(logs).map(([sink, log]) => ({ labels: { sink }, value: read(log.status()) }))
  return [
    gauge(
      'portcullis_audit_spool_bytes',
      'Size of the audit spool.',
      each(({ spoolBytes }) => spoolBytes),
    ),
    gauge(
      'portcullis_audit_queue_ratio',
      'How full the audit queue is, from 0 to 1.',
      each(({ queueRatio }) => queueRatio),
    ),
    gauge(
      'portcullis_audit_store_failing',
      'Whether the store of the audit fails.',
      each(({ storeFailing }) => (storeFailing ? 1 : 0)),
    ),
  ]
}

function familyOfLocations(regions: LocationsSource): Family {
  return gauge('portcullis_location_up', 'Whether people can be read at a location.', () =>
    regions.status().map(({ jurisdiction, location, condition }) => ({
      labels: { jurisdiction, location },
      value: condition === 'current' ? 1 : 0,
    })),
  )
}
