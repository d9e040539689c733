import type { Decision } from '../decision.ts'
import type { DecisionContext } from '../http/shared-options.ts'
import { checkOptions, objectWith, required } from '../options.ts'

/** The part of a span that is used. */
interface SpanLike {
  setAttribute(name: string, value: string | number | boolean): unknown
  addEvent(name: string, attributes: Readonly<Record<string, string | number | boolean>>): unknown
  isRecording(): boolean
}

/** The part of the package `@opentelemetry/api` (version 1) that is used. */
export interface OpenTelemetryApi {
  readonly trace: { getActiveSpan(): SpanLike | undefined }
  readonly metrics: {
    getMeter(name: string): {
      createCounter(
        name: string,
        options: { readonly description: string },
      ): { add(value: number, attributes: Readonly<Record<string, string>>): void }
    }
  }
}

export interface OpenTelemetryOptions {
  /** `import * as api from '@opentelemetry/api'`. */
  readonly api: OpenTelemetryApi
}

const SCOPE = 'portcullis'

/**
 * Reports decisions to OpenTelemetry: a counter `portcullis.decisions`, attributes of the active span, and a span event
 * `portcullis.decision` for each refusal. Pass the result to the guards as `onDecision`. No attribute is an address, an origin or
 * a person; the app id is an attribute only of the span, never of the counter.
 *
 * @throws ConfigError
 */
export function openTelemetryDecisions(
  options: OpenTelemetryOptions,
): (decision: Decision, context: DecisionContext) => void {
  const { api } = checkOptions<OpenTelemetryOptions>('openTelemetryDecisions', options, {
    api: required({
      expected: 'the package @opentelemetry/api, imported with `import * as api`',
      accepts: (value) => {
        const { trace, metrics } = (value ?? {}) as Partial<OpenTelemetryApi>
        return objectWith('', 'getActiveSpan').accepts(trace) && objectWith('', 'getMeter').accepts(metrics)
      },
    }),
  })
  const decisions = api.metrics
    .getMeter(SCOPE)
    .createCounter('portcullis.decisions', { description: 'Decisions of guards.' })
  return (decision, { req, app }) => {
    const { guard, effect, mode, code } = decision
    decisions.add(1, { guard, effect, mode, code })
    const span = api.trace.getActiveSpan()
    if (span?.isRecording() !== true) return
    const isRefusal = effect === 'deny'
    // A refusal takes precedence over what other guards of the request have allowed.
    if (isRefusal || req.portcullis?.decisions.some((each) => each.effect === 'deny') !== true) {
      span.setAttribute('portcullis.decision.guard', guard)
      span.setAttribute('portcullis.decision.effect', effect)
      span.setAttribute('portcullis.decision.code', code)
    }
    if (app !== undefined) {
      span.setAttribute('portcullis.app_id', app.appId)
      span.setAttribute('portcullis.policy.revision', app.revision)
    }
    const { requestId } = req.portcullis ?? {}
    if (typeof requestId === 'string') span.setAttribute('portcullis.request_id', requestId)
    if (isRefusal) span.addEvent('portcullis.decision', { guard, effect, mode, code })
  }
}
