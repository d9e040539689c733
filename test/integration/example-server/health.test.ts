import { afterEach, describe, expect, it } from '@jest/globals'
import { readExposition } from '../../support/exposition.ts'
import {
  CONNECT,
  json,
  shopServer,
  startExampleServer,
  type ExampleServer,
} from '../../support/example-server.ts'

const TOKEN = 'a-token-of-prometheus'
const running: ExampleServer[] = []
async function start(options: Parameters<typeof startExampleServer>[0] = {}): Promise<ExampleServer> {
  const server = await startExampleServer(options)
  running.push(server)
  return server
}
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.close()))
})

const status = async (url: string, init?: RequestInit): Promise<number> => (await fetch(url, init)).status

describe('the health of the example server', () => {
  it('is ready while it can judge requests, and alive in any case', async () => {
    const server = await start()
    server.failReads(true)
    expect(await status(`${server.url}/readyz`)).toBe(503)
    expect(await (await fetch(`${server.url}/readyz`)).json()).toEqual({ ready: false })
    expect(await status(`${server.url}/livez`)).toBe(200)
    expect(await status(`${server.url}/healthz`)).toBe(200)
    server.failReads(false)
    expect(await status(`${server.url}/readyz`)).toBe(200)
    expect(await (await fetch(`${server.url}/readyz`)).json()).toEqual({ ready: true })
  })

  it('answers load balancers in production over plain HTTP too, and nothing else', async () => {
    const server = await start({ production: true, metricsToken: TOKEN })
    for (const path of ['/livez', '/readyz', '/healthz'])
      expect([path, await status(server.url + path)]).toEqual([path, 200])
    expect(await status(`${server.url}/metrics`)).toBe(401)
    expect(await status(`${server.url}/`)).not.toBe(200)
  })
})

describe('the metrics of the example server', () => {
  it('require the token', async () => {
    const server = await start({ metricsToken: TOKEN })
    await shopServer().send(`${server.url}/auth/v2/connect`, json(CONNECT))
    await fetch(`${server.url}/auth/v2/connect`, json(CONNECT, { 'x-app-id': 'shop' }))
    for (const authorization of ['', `Bearer ${TOKEN}x`, `Basic ${TOKEN}`, 'Bearer ', TOKEN])
      expect(await status(`${server.url}/metrics`, { headers: { authorization } })).toBe(401)
    const answer = await fetch(`${server.url}/metrics`, { headers: { authorization: `Bearer ${TOKEN}` } })
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const text = await answer.text()
    const samples = readExposition(text)
    const valueOf = (name: string, labels: Record<string, string>): number | undefined =>
      samples.find(
        (sample) =>
          sample.name === name &&
          Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
      )?.value
    expect(
      valueOf('portcullis_decisions_total', { guard: 'serverOnly', effect: 'allow', code: 'ALLOWED' }),
    ).toBe(1)
    expect(valueOf('portcullis_decisions_total', { effect: 'deny', mode: 'enforce' })).toBe(1)
    expect(valueOf('portcullis_nonce_claims_total', { result: 'first' })).toBe(1)
    expect(valueOf('portcullis_audit_events_total', { sink: 'audit', result: 'kept' })).toBeGreaterThan(0)
    expect(text).not.toMatch(/shop|127\.0\.0\.1/)
  })

  it('are not available without a token in the settings', async () => {
    const server = await start()
    expect(await status(`${server.url}/metrics`, { headers: { authorization: 'Bearer undefined' } })).toBe(
      404,
    )
  })
})
