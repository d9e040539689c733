import { AsyncLocalStorage } from 'node:async_hooks'
import * as api from '@opentelemetry/api'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Decision } from 'portcullis'
import { openTelemetryDecisions } from 'portcullis/otel'

/** Minimal replacements for the SDK: a context that follows asynchronous calls, and a meter that records its values. */
const contexts = new AsyncLocalStorage<api.Context>()
const manager: api.ContextManager = {
  active: () => contexts.getStore() ?? api.ROOT_CONTEXT,
  with: (context, act, self, ...args) => contexts.run(context, () => act.call(self as never, ...args)),
  bind: (_context, target) => target,
  enable: () => manager,
  disable: () => manager,
}
const added: [number, unknown][] = []

beforeAll(() => {
  api.context.setGlobalContextManager(manager)
  api.metrics.setGlobalMeterProvider({
    getMeter: () =>
      ({
        createCounter: () => ({ add: (value: number, labels: unknown) => added.push([value, labels]) }),
      }) as never,
  })
})
afterAll(() => {
  api.context.disable()
  api.metrics.disable()
})

function recordingSpan() {
  const attributes: Record<string, unknown> = {}
  const events: [string, unknown][] = []
  const span = {
    isRecording: () => true,
    setAttribute: (name: string, value: unknown) => (attributes[name] = value),
    addEvent: (name: string, values: unknown) => events.push([name, values]),
  }
  return { attributes, events, span: span as unknown as api.Span }
}

const decision = (effect: 'allow' | 'deny', code: string): Decision =>
  ({
    guard: 'ipWhitelist',
    effect,
    mode: 'enforce',
    code,
    detail: 'SECRET',
    evidence: { address: 'SECRET' },
  }) as unknown as Decision

const contextOf = (decisions: readonly Decision[]) =>
  ({
    req: { portcullis: { requestId: 'request-1', decisions } },
    app: { appId: 'shop', revision: 7 },
  }) as never

describe('openTelemetryDecisions', () => {
  it('counts a decision, and adds it to the span of the request', () => {
    const onDecision = openTelemetryDecisions({ api })
    const { span, attributes, events } = recordingSpan()
    const allowed = decision('allow', 'ALLOWED')
    const refused = decision('deny', 'ADDRESS_NOT_ALLOWED')
    api.context.with(api.trace.setSpan(api.context.active(), span), () => {
      onDecision(allowed, contextOf([allowed]))
      expect(attributes['portcullis.decision.effect']).toBe('allow')
      onDecision(refused, contextOf([allowed, refused]))
      onDecision(allowed, contextOf([allowed, refused, allowed]))
    })
    expect(attributes).toEqual({
      'portcullis.decision.guard': 'ipWhitelist',
      'portcullis.decision.effect': 'deny',
      'portcullis.decision.code': 'ADDRESS_NOT_ALLOWED',
      'portcullis.app_id': 'shop',
      'portcullis.policy.revision': 7,
      'portcullis.request_id': 'request-1',
    })
    const labels = { guard: 'ipWhitelist', effect: 'deny', mode: 'enforce', code: 'ADDRESS_NOT_ALLOWED' }
    expect(events).toEqual([['portcullis.decision', labels]])
    expect(added).toEqual([
      [1, { ...labels, effect: 'allow', code: 'ALLOWED' }],
      [1, labels],
      [1, { ...labels, effect: 'allow', code: 'ALLOWED' }],
    ])
    expect(JSON.stringify([attributes, events, added])).not.toContain('SECRET')
  })

  it('works without a span', () => {
    const onDecision = openTelemetryDecisions({ api })
    expect(() =>
      onDecision(decision('deny', 'APP_UNKNOWN'), { req: {}, app: undefined } as never),
    ).not.toThrow()
  })

  it.each([
    [{}, /`openTelemetryDecisions.api` is missing/],
    [{ api: {} }, /`openTelemetryDecisions.api` must be the package @opentelemetry\/api/],
    [{ apis: api }, /unknown option `apis`/],
  ])('refuses options %#', (options, message) => {
    expect(() => openTelemetryDecisions(options as never)).toThrow(message)
  })
})
