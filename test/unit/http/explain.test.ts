import { describe, expect, it } from '@jest/globals'
import { explain, PolicyError, type AppKey } from 'portcullis'
import { signRequest } from 'portcullis/client'

const KEY: AppKey = { id: 'k', algorithm: 'hmac-sha256', secret: Buffer.alloc(32, 7).toString('base64') }
const POLICY = {
  appId: 'a',
  serverOnly: { mode: 'enforce' },
  ipWhitelist: { mode: 'enforce', ranges: ['203.0.113.0/24'] },
  domainProtect: { mode: 'enforce', domains: ['https://example.org'] },
  returnUrlGuard: { mode: 'report', urls: ['https://example.org/callback/'] },
  regionPin: { mode: 'enforce' },
  auditAccess: { mode: 'enforce' },
}
const URL = 'https://gateway.example/auth/connect?x=1'

describe('explain', () => {
  it('says of a good request what each guard has found, in the order of protect', async () => {
    const request = { method: 'POST', url: URL, body: '{}', headers: { 'x-origin': 'https://example.org' } }
    const headers = await signRequest(request, { keyId: 'k', secret: KEY.secret })
    const { passes, decisions } = explain(POLICY, {
      ...request,
      headers,
      address: '203.0.113.9',
      returnUrl: 'https://example.org/callback/x',
      here: 'london',
      country: 'FR',
      keys: [KEY],
    })
    expect(passes).toBe(true)
    expect(decisions.map(({ guard, code }) => [guard, code])).toEqual([
      ['auditAccess', 'ALLOWED'],
      ['regionPin', 'ALLOWED'],
      ['ipWhitelist', 'ALLOWED'],
      ['domainProtect', 'ALLOWED'],
      ['serverOnly', 'ALLOWED'],
      ['returnUrlGuard', 'ALLOWED'],
    ])
    expect(decisions[2]?.evidence).toEqual({ entry: '203.0.113.0/24', source: 'req.ip' })
  })

  it('says why a request is refused, guard by guard, and what report mode lets pass', () => {
    const { passes, decisions } = explain(POLICY, {
      url: URL,
      headers: { Origin: 'https://evil.example' },
      address: '198.51.100.1',
      returnUrl: 'https://example.org/callback/../admin',
      here: 'dallas',
      country: 'FR',
    })
    expect(passes).toBe(false)
    expect(decisions.map(({ code, detail }) => `${code}: ${detail}`)).toEqual([
      'ALLOWED: recorded',
      'REGION_MISDIRECTED: the data of this person must stay in another jurisdiction',
      'ADDRESS_NOT_ALLOWED: the address lies outside of every range',
      'ORIGIN_NOT_ALLOWED: `Origin` matches no domain',
      'BROWSER_NOT_ALLOWED: the request shows that a browser sent it',
      'RETURN_URL_NOT_ALLOWED: the URL was refused: dot segment',
    ])
  })

  it('passes what only report mode refuses', () => {
    const policy = {
      appId: 'a',
      auditAccess: { mode: 'off' },
      ipWhitelist: { mode: 'report' },
      domainProtect: { mode: 'off' },
      serverOnly: { mode: 'off' },
    }
    const { passes, decisions } = explain(policy, { url: URL, address: '198.51.100.1' })
    expect(passes).toBe(true)
    expect(decisions.map(({ effect }) => effect)).toEqual(['allow', 'deny', 'allow', 'allow'])
  })

  it('refuses a document that is not good', () => {
    expect(() => explain({ appId: 'a', x: 1 }, { url: URL })).toThrow(PolicyError)
  })
})
