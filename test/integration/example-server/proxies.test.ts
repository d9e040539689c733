import { request } from 'node:http'
import { isIP } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { CLOUDFLARE } from '../../../example-server/cloudflare.ts'
import { notesOfProxies } from '../../../example-server/proxies.ts'
import { readSettings } from '../../../example-server/settings.ts'
import { startExampleServer, type ExampleServer } from '../../support/example-server.ts'

let server: ExampleServer | undefined
afterEach(async () => server?.close())

/** The answer to a caller with this address. */
async function statusFrom(localAddress: string, path = '/'): Promise<readonly [number, string]> {
  const url = new URL(path, server?.url)
  return new Promise((resolve, reject) => {
    const sent = request(url, { localAddress, agent: false }, (answer) => {
      let text = ''
      answer.on('data', (part: Buffer) => (text += part.toString()))
      answer.on('end', () => resolve([answer.statusCode ?? 0, text]))
    })
    sent.on('error', reject).end()
  })
}

describe('TRUST_PROXY=cloudflare', () => {
  it('trusts the published addresses of Cloudflare, and refuses other callers unless they are allowed', () => {
    const { trustProxy, onlyProxies } = readSettings({ TRUST_PROXY: 'cloudflare, 10.0.0.0/8' })
    expect([trustProxy, onlyProxies]).toEqual([[...CLOUDFLARE.ranges, '10.0.0.0/8'], true])
    expect(readSettings({ TRUST_PROXY: 'cloudflare', ONLY_PROXIES: 'false' }).onlyProxies).toBe(false)
    expect(readSettings({ TRUST_PROXY: '10.0.0.0/8' }).onlyProxies).toBe(false)
    expect(readSettings({ TRUST_PROXY: '10.0.0.0/8', ONLY_PROXIES: 'true' }).onlyProxies).toBe(true)
    expect(() => readSettings({ ONLY_PROXIES: 'true' })).toThrow(/ONLY_PROXIES needs TRUST_PROXY/)
    expect(() => readSettings({ TRUST_PROXY: 'cloudfare' })).toThrow(/TRUST_PROXY must be cloudflare, or/)
  })

  it('knows 15 ranges of IPv4 and 7 of IPv6', () => {
    const families = CLOUDFLARE.ranges.map((range) => isIP(range.split('/')[0] ?? ''))
    expect([families.filter((family) => family === 4).length, families.length]).toEqual([15, 22])
  })

  it('is told to the operator, and also if it is open or its addresses are old', () => {
    const settings = { trustProxy: CLOUDFLARE.ranges, onlyProxies: true }
    const day = Date.parse(CLOUDFLARE.asOf)
    expect(notesOfProxies(settings, day)).toEqual([
      expect.stringContaining('only the proxies in TRUST_PROXY can call this server'),
    ])
    expect(notesOfProxies({ ...settings, onlyProxies: false }, day)).toEqual([
      expect.stringContaining('can bypass Cloudflare'),
    ])
    expect(notesOfProxies(settings, day + 366 * 86_400_000)[1]).toContain('https://www.cloudflare.com/ips/')
    expect(notesOfProxies({ trustProxy: ['10.0.0.0/8'], onlyProxies: false }, day)).toEqual([])
  })
})

describe('a server that only its proxies may call', () => {
  it('refuses direct callers, except for health, and serves the proxies', async () => {
    server = await startExampleServer({ trustProxy: ['127.0.0.2'], onlyProxies: true })
    expect(await statusFrom('127.0.0.1')).toEqual([403, expect.stringContaining('"code":"PROXY_REQUIRED"')])
    expect((await statusFrom('127.0.0.1', '/account'))[0]).toBe(403)
    expect((await statusFrom('127.0.0.1', '/livez'))[0]).toBe(200)
    expect((await statusFrom('127.0.0.1', '/readyz'))[0]).toBe(200)
    expect((await statusFrom('127.0.0.2'))[0]).toBe(200)
  })

  it('refuses everybody but Cloudflare with the preset', async () => {
    server = await startExampleServer({ trustProxy: CLOUDFLARE.ranges, onlyProxies: true })
    expect((await statusFrom('127.0.0.1'))[0]).toBe(403)
    expect((await statusFrom('127.0.0.2'))[0]).toBe(403)
  })
})
