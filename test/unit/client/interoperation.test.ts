import { createHash, randomUUID } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { createSigner, createVerifier, httpbis } from 'http-message-signatures'
import { signRequest } from '../../../src/client/index.ts'
import { verifyMessage, type Rejected, type Verified } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, RULES, SECRET } from '../signature/message.ts'

const secret = Buffer.from(SECRET, 'base64')
const body = '{"request_id":"r-1"}'
const urls = [
  'https://api.example.com/',
  'https://API.example.com:8443/a%2Fb/c?x=1&x=%20&y',
  'http://localhost:3000/?',
]

function ours(
  method: string,
  url: string,
  headers: Record<string, string>,
  content?: string,
): Verified | Rejected {
  const { host, pathname, search } = new URL(url)
  const message = messageOf({ method, authority: host, target: pathname + search, headers, body: content })
  return verifyMessage(message, KEYS, RULES, Date.now())
}

describe('with the package http-message-signatures', () => {
  it.each(urls)('verifies what we sign: %s', async (url) => {
    const headers = await signRequest(
      { method: 'POST', url, headers: { 'X-Origin': 'https://shop.example', 'X-List': 'a,  b' }, body },
      { keyId: 'key-1', secret: SECRET, covered: ['x-list'], expiresIn: 60 },
    )
    const check = (changed: Record<string, string>): Promise<boolean | null> =>
      httpbis.verifyMessage(
        {
          keyLookup: async ({ keyid }) =>
            keyid === 'key-1' ? { id: keyid, verify: createVerifier(secret, 'hmac-sha256') } : null,
          requiredFields: ['@method', '@authority', '@path', '@query', 'content-digest', 'x-origin'],
          requiredParams: ['created', 'keyid', 'nonce'],
        },
        { method: 'POST', url, headers: changed },
      )
    expect(await check(headers)).toBe(true)
    expect(await check({ ...headers, 'x-list': 'a, b' })).toBe(false)
    expect(ours('POST', url, headers, body)).toMatchObject({ ok: true })
  })

  it.each(urls)('is verified by us when it signs: %s', async (url) => {
    const { headers } = await httpbis.signMessage(
      {
        key: createSigner(secret, 'hmac-sha256', 'key-1'),
        name: 'theirs',
        fields: ['x-origin', '@query', '@path', '@authority', '@method', 'content-digest', 'x-list'],
        params: ['nonce', 'keyid', 'alg', 'created', 'expires'],
        paramValues: { nonce: randomUUID() },
      },
      {
        method: 'POST',
        url,
        headers: {
          'x-origin': 'https://shop.example',
          'x-list': 'a,  b',
          'content-digest': `sha-512=:${createHash('sha512').update(body).digest('base64')}:`,
        },
      },
    )
    const lowered = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
    )
    expect(ours('POST', url, lowered, body)).toMatchObject({ ok: true, keyId: 'key-1', label: 'theirs' })
    expect(ours('PUT', url, lowered, body)).toMatchObject({ code: 'SIGNATURE_INVALID' })
    expect(ours('POST', url, lowered, `${body} `)).toMatchObject({ code: 'DIGEST_MISMATCH' })
  })
})
