import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import express from 'express'
import {
  createPolicySource,
  DENIALS,
  ipWhitelist,
  memoryAuditSink,
  memoryNonces,
  memoryStore,
  UnavailableError,
  type Decision,
  type NonceStore,
} from 'portcullis'
import { auditLog, memoryFrames, type AuditEvent, type AuditSink } from 'portcullis/audit'
import { createMetrics, createReadiness } from 'portcullis/metrics'
import type { StoreListener } from 'portcullis/store'
import { VERSION } from '../../../src/metrics/version.ts'
import { repository } from '../../support/commands.ts'
import { readExposition, type Sample } from '../../support/exposition.ts'

const servers: Server[] = []
afterEach(() => servers.splice(0).forEach((server) => server.close()))

const decision = (change: Partial<Decision> = {}): Decision =>
  ({
    guard: 'ipWhitelist',
    effect: 'deny',
    mode: 'enforce',
    code: 'ADDRESS_NOT_ALLOWED',
    detail: 'SECRET',
    evidence: {},
    ...change,
  }) as Decision

function valueOf(samples: readonly Sample[], name: string, labels: object = {}): number | undefined {
  return samples.find(
    (each) =>
      each.name === name && Object.entries(labels).every(([label, value]) => each.labels[label] === value),
  )?.value
}

describe('metrics of guards', () => {
  it('count decisions by guard, effect, mode and code, without app, address or origin', async () => {
    const metrics = createMetrics({ sampling: 1 })
    const policies = createPolicySource({
      store: memoryStore([
        { policy: { appId: 'shop-SECRET', ipWhitelist: { mode: 'enforce', ranges: ['127.0.0.1'] } } },
        { policy: { appId: 'bank-SECRET', ipWhitelist: { mode: 'report', ranges: ['192.0.2.1'] } } },
      ]),
    })
    const app = express()
    app.use(metrics.timed('ipWhitelist', ipWhitelist({ policies, onDecision: metrics.onDecision })))
    app.use((_req, res) => void res.send('ok'))
    const server = createServer(app)
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    for (const appId of ['shop-SECRET', 'shop-SECRET', 'bank-SECRET', 'nobody'])
      await (await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-app-id': appId } })).text()
    const text = metrics.text()
    const samples = readExposition(text)
    const decisions = (labels: object): number | undefined =>
      valueOf(samples, 'portcullis_decisions_total', { guard: 'ipWhitelist', ...labels })
    expect(decisions({ effect: 'allow', mode: 'enforce', code: 'ALLOWED' })).toBe(2)
    expect(decisions({ effect: 'deny', mode: 'report', code: 'ADDRESS_NOT_ALLOWED' })).toBe(1)
    expect(decisions({ effect: 'deny', code: 'APP_UNKNOWN' })).toBe(1)
    expect(valueOf(samples, 'portcullis_report_would_deny_total')).toBe(1)
    expect(valueOf(samples, 'portcullis_decision_seconds_count', { guard: 'ipWhitelist' })).toBe(4)
    expect(valueOf(samples, 'portcullis_decision_seconds_bucket', { le: '+Inf' })).toBe(4)
    expect(text).not.toMatch(/SECRET|127\.0\.0\.1/)
    policies.close()
  })

  it('stay few, whatever the decisions', () => {
    const metrics = createMetrics()
    for (const code of Object.keys(DENIALS))
      for (let app = 0; app < 100; app += 1)
        metrics.onDecision(
          decision({ code: code as never, evidence: { entry: `e${app}` }, detail: `${app}` }),
        )
    const samples = readExposition(metrics.text()).filter(({ name }) => name === 'portcullis_decisions_total')
    expect(samples).toHaveLength(Object.keys(DENIALS).length)
  })

  it('measure a sample of requests, in cumulative buckets', () => {
    const metrics = createMetrics({ sampling: 4 })
    const handler = metrics.timed('x', (_req, _res, next) => next())
    let passed = 0
    for (let request = 0; request < 40; request += 1)
      handler({} as never, { once: () => undefined } as never, () => (passed += 1))
    const samples = readExposition(metrics.text())
    expect(passed).toBe(40)
    expect(valueOf(samples, 'portcullis_decision_seconds_count')).toBe(10)
    const buckets = samples.filter(({ name }) => name === 'portcullis_decision_seconds_bucket')
    const counts = buckets.map(({ value }) => value)
    expect(counts).toEqual(counts.toSorted((a, b) => a - b))
    expect(counts.at(-1)).toBe(10)
  })

  it('count nonce claims, and pass on the answer of the store', async () => {
    const metrics = createMetrics()
    const nonces = metrics.nonces(memoryNonces())
    const until = Date.now() + 60_000
    expect([nonces.claim('a', 'n', until), nonces.claim('a', 'n', until)]).toEqual([true, false])
    expect(() => nonces.claim('a', 'm', 0)).toThrow(UnavailableError)
    const slow = metrics.nonces<NonceStore>({ claim: async (_app, nonce) => nonce === 'new' })
    expect([await slow.claim('a', 'new', until), await slow.claim('a', 'old', until)]).toEqual([true, false])
    const away = metrics.nonces<NonceStore>({ claim: () => Promise.reject(new Error('away')) })
    await expect(away.claim('a', 'n', until)).rejects.toThrow('away')
    const claims = (result: string): number | undefined =>
      valueOf(readExposition(metrics.text()), 'portcullis_nonce_claims_total', { result })
    expect(['first', 'used', 'failed'].map(claims)).toEqual([2, 2, 2])
  })

  it('count events of sinks, and change nothing else of a sink', async () => {
    const metrics = createMetrics()
    const memory = memoryAuditSink()
    const sink = metrics.sink('memory', memory)
    const event = { kind: 'operation' } as unknown as AuditEvent
    void sink.write([event, event])
    expect(sink.events()).toHaveLength(2)
    const away = metrics.sink<AuditSink>('away', { write: async () => Promise.reject(new Error('away')) })
    await expect(away.write([event])).rejects.toThrow('away')
    const samples = readExposition(metrics.text())
    const events = (labels: object): number | undefined =>
      valueOf(samples, 'portcullis_audit_events_total', labels)
    expect(events({ sink: 'memory', result: 'kept' })).toBe(2)
    expect(events({ sink: 'away', result: 'failed' })).toBe(1)
  })

  it('show the source, the audit log, expiring keys, and the version', async () => {
    let listener: StoreListener | undefined
    const store = memoryStore([{ policy: { appId: 'a' } }])
    const policies = createPolicySource({
      store: { read: (appId) => store.read(appId), watch: (given) => ((listener = given), () => undefined) },
    })
    await policies.load('a')
    const log = auditLog({ store: memoryFrames() })
    const metrics = createMetrics({ policies, auditLogs: { main: log } })
    const soon = new Date(Date.now() + 86_400_000).toISOString()
    const late = new Date(Date.now() + 30 * 86_400_000).toISOString()
    for (const [keyId, keyNotAfter] of [
      ['k1', soon],
      ['k1', soon],
      ['k2', late],
    ] as const)
      metrics.onDecision(
        decision({ guard: 'serverOnly', effect: 'allow', evidence: { keyId, keyNotAfter } } as never),
      )
    const whole = readExposition(metrics.text())
    expect(valueOf(whole, 'portcullis_keys_expiring', { window: '14d' })).toBe(1)
    expect(valueOf(whole, 'portcullis_build_info', { version: VERSION })).toBe(1)
    expect(valueOf(whole, 'portcullis_feed_state')).toBe(1)
    expect(valueOf(whole, 'portcullis_policies')).toBe(1)
    expect(valueOf(whole, 'portcullis_source_reads_total', { result: 'ok' })).toBe(1)
    expect(valueOf(whole, 'portcullis_audit_spool_bytes', { sink: 'main' })).toBe(0)
    listener?.broken()
    const broken = readExposition(metrics.text())
    expect(valueOf(broken, 'portcullis_feed_state')).toBe(0)
    expect(valueOf(broken, 'portcullis_feed_lag_seconds')).toBeGreaterThanOrEqual(0)
    policies.close()
    await log.close()
  })

  it('escape the values of labels', () => {
    const metrics = createMetrics()
    void metrics.sink('a "b" \\ \n c', memoryAuditSink()).write([{} as AuditEvent])
    const samples = readExposition(metrics.text())
    expect(valueOf(samples, 'portcullis_audit_events_total', { sink: 'a "b" \\ \n c' })).toBe(1)
  })

  it('show the version in package.json', () => {
    const { version } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as {
      version: string
    }
    expect(VERSION).toBe(version)
  })

  it.each([
    [{ policies: {} }, /`createMetrics.policies` must be a policy source/],
    [{ sampling: 0 }, /`createMetrics.sampling`/],
    [{ auditLogs: { a: {} } }, /`createMetrics.auditLogs`/],
    [{ regions: {} }, /`createMetrics.regions` must be a regional store/],
    [{ policy: 1 }, /unknown option `policy`: did you mean `policies`\?/],
  ])('refuse options %#', (options, message) => {
    expect(() => createMetrics(options as never)).toThrow(message)
  })

  it('show which locations can be read', () => {
    const conditions = { london: 'current', frankfurt: 'away', dallas: 'behind' }
    const regions = {
      status: () =>
        Object.entries(conditions).map(([location, condition]) => ({
          jurisdiction: 'j',
          location,
          condition,
        })),
    }
    const whole = readExposition(createMetrics({ regions }).text())
    const up = (location: string) => valueOf(whole, 'portcullis_location_up', { jurisdiction: 'j', location })
    expect([up('london'), up('frankfurt'), up('dallas')]).toEqual([1, 0, 0])
  })
})

describe('readiness', () => {
  /** A store that can become unreachable, and control of its feed. */
  function setUp(options: { now?: () => number } = {}) {
    const state: { away: boolean; listener: StoreListener | undefined } = { away: false, listener: undefined }
    const store = memoryStore([{ policy: { appId: 'a' } }])
    const policies = createPolicySource({
      ...options,
      store: {
        read: async (appId) => (state.away ? Promise.reject(new Error('away')) : store.read(appId)),
        watch: (given) => ((state.listener = given), () => undefined),
      },
      unknownFor: 1,
    })
    return { state, policies, probe: createReadiness({ policies, maxStale: 1_000 }) }
  }

  it('is given while the store answers, or policies in memory are fresh', async () => {
    let time = 0
    const { state, policies, probe } = setUp({ now: () => time })
    expect(await probe.check()).toEqual({ ready: true, by: 'store' })
    await policies.load('a')
    state.away = true
    state.listener?.broken()
    time = 900
    expect(await probe.check()).toEqual({ ready: true, by: 'memory' })
    time = 1_001
    expect(await probe.check()).toEqual({ ready: false, by: 'unavailable' })
    state.away = false
    state.listener?.restored()
    time = 5_000
    expect(await probe.check()).toEqual({ ready: true, by: 'store' })
    policies.close()
  })

  it('is not given for a process that has started without the store', async () => {
    const { state, policies, probe } = setUp()
    state.away = true
    state.listener?.broken()
    expect(await probe.check()).toEqual({ ready: false, by: 'unavailable' })
    policies.close()
  })

  it('is not given if the store has lost its data, and while the process shuts down', async () => {
    const { state, policies, probe } = setUp()
    state.listener?.emptied?.()
    expect(await probe.check()).toEqual({ ready: false, by: 'emptied' })
    policies.acceptEmpty()
    expect(await probe.check()).toEqual({ ready: true, by: 'store' })
    probe.drain()
    expect(await probe.check()).toEqual({ ready: false, by: 'draining' })
    policies.close()
  })

  it('is not given while the audit sink fails or gives no answer, and is given again afterwards', async () => {
    const { policies } = setUp()
    const sink = { write: () => undefined, check: (): void | Promise<void> => undefined }
    const probe = createReadiness({ policies, sink: createMetrics().sink('main', sink) })
    expect(await probe.check()).toEqual({ ready: true, by: 'store' })
    const failures = [
      () => Promise.reject(new Error('away')),
      () => new Promise<void>(() => undefined),
      () => {
        throw new Error('full')
      },
    ]
    for (const check of failures) {
      sink.check = check
      expect(await probe.check()).toEqual({ ready: false, by: 'audit' })
    }
    sink.check = () => undefined
    expect(await probe.check()).toEqual({ ready: true, by: 'store' })
    policies.close()
  })

  it('names the policies first if neither they nor the audit are available', async () => {
    const { state, policies } = setUp()
    state.away = true
    const sink = { write: () => undefined, check: () => Promise.reject(new Error('away')) }
    const probe = createReadiness({ policies, sink })
    expect(await probe.check()).toEqual({ ready: false, by: 'unavailable' })
    policies.close()
  })

  it.each([
    [
      { policies: createPolicySource({ store: memoryStore() }), sink: { write: () => undefined } },
      /`createReadiness.sink` must be an audit sink with a method `check`/,
    ],
    [{}, /`createReadiness.policies` is missing/],
    [{ policies: {} }, /`createReadiness.policies` must be a policy source/],
  ])('refuses options %#', (options, message) => {
    expect(() => createReadiness(options as never)).toThrow(message)
  })
})
