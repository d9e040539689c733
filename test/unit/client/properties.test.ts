import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { signRequest, type RequestToSign, type SigningOptions } from '../../../src/client/index.ts'
import { isPortcullisError } from '../../../src/errors.ts'
import { verifyMessage, type Rejected, type Verified } from '../../../src/signature/verify.ts'
import { messageOf, NOW, RULES, SECRET } from '../signature/message.ts'
import { APP_KEYS, ED25519 } from './verifying-server.ts'
import { runs } from '../../support/runs.ts'

/** The request that the server receives, sent as it was signed. */
function received(request: RequestToSign, headers: Record<string, string>): Verified | Rejected {
  const { host, pathname, protocol, search } = new URL(String(request.url))
  return verifyMessage(
    messageOf({
      method: /^(?:delete|get|head|options|post|put)$/i.test(request.method)
        ? request.method.toUpperCase()
        : request.method,
      authority: headers['host'] ?? host,
      scheme: protocol === 'https:' ? 'https' : 'http',
      target: pathname + search,
      headers,
      body: request.body as string | Uint8Array | undefined,
    }),
    APP_KEYS,
    RULES,
    NOW,
  )
}

const token = fc
  .stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,20}$/)
  .filter((name) => !/^(?:sec-fetch|set-cookie|origin|host|content|transfer|signature)/i.test(name))
const printable = fc.stringMatching(/^[\t\x20-\x7e]{0,40}$/)
const host = fc.oneof(
  fc.constantFrom(
    'example.com',
    'EXAMPLE.org',
    'xn--bcher-kva.example',
    'b\u00fccher.example',
    'localhost',
    'a_b.example',
    '[2001:DB8::1]',
  ),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
  fc.domain(),
)
const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined })
const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const key = fc.constantFrom<Pick<SigningOptions, 'keyId' | 'secret' | 'privateKey'>>(
  { keyId: 'key-1', secret: SECRET },
  { keyId: 'key-2', privateKey: ED25519.pem },
  { keyId: 'key-2', privateKey: ED25519.der },
)

const good = fc
  .record({
    key,
    scheme: fc.constantFrom('http', 'https', 'HTTPS'),
    host,
    port,
    path: text,
    query: fc.option(text, { nil: undefined }),
    fragment: fc.option(text, { nil: undefined }),
    headers: fc.uniqueArray(fc.tuple(token, printable), {
      selector: ([name]) => name.toLowerCase(),
      maxLength: 8,
    }),
    method: fc.constantFrom('POST', 'PUT', 'PATCH', 'DELETE', 'post', 'PROPFIND', 'M-SEARCH'),
    body: fc.oneof(fc.constant(undefined), fc.uint8Array({ maxLength: 300 }), text),
    expiresIn: fc.option(fc.integer({ min: 1, max: 1e9 }), { nil: undefined }),
    label: fc.constantFrom('sig1', '*a', 'a.b-c_d*'),
  })
  .map(
    ({
      key: signingKey,
      scheme,
      host: name,
      port: number,
      path,
      query,
      fragment,
      headers,
      expiresIn,
      label,
      ...rest
    }) => {
      const parts = [query === undefined ? '' : `?${query}`, fragment === undefined ? '' : `#${fragment}`]
      const url = `${scheme}://${name}${number === undefined ? '' : `:${number}`}/${path.replace(/[?#]/g, '')}${parts.join('')}`
      const request: RequestToSign = { ...rest, url, headers }
      const covered = headers.map(([header]) => header)
      return { request, options: { ...signingKey, covered, expiresIn, label, now: () => NOW } }
    },
  )
  .filter(({ request }) => URL.canParse(String(request.url)))

describe('whatever signRequest signs, the verifier verifies', () => {
  it('includes all requests that can be sent', async () => {
    await fc.assert(
      fc.asyncProperty(good, async ({ request, options }) => {
        const headers = await signRequest(request, options)
        expect(received(request, headers)).toMatchObject({
          ok: true,
          keyId: options.keyId,
          label: options.label,
        })
      }),
      { numRuns: runs(500) },
    )
  })

  const anyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 20 }), printable, token)
  const wild = fc.record(
    {
      method: fc.oneof(anyText, fc.constantFrom('GET', 'get', 'HEAD', 'patch', 'CONNECT')),
      url: fc.oneof(
        fc.webUrl({ withFragments: true, withQueryParameters: true }),
        anyText.map((rest) => `https://example.com${rest}`),
        anyText.map((rest) => `http://example.com/${rest}`),
      ),
      headers: fc.array(
        fc.tuple(
          fc.oneof(
            token,
            anyText,
            fc.constantFrom(
              'host',
              'Content-Length',
              'x-origin',
              'content-digest',
              'Set-Cookie',
              'transfer-encoding',
            ),
          ),
          anyText,
        ),
        { maxLength: 4 },
      ),
      body: fc.oneof(fc.constant(undefined), fc.string({ unit: 'binary' }), fc.uint8Array()),
    },
    { requiredKeys: ['method', 'url'] },
  )
  it('includes all others that it does not refuse with a TypeError or ConfigError', async () => {
    let signed = 0
    await fc.assert(
      fc.asyncProperty(
        wild,
        key,
        fc.array(fc.oneof(token, anyText), { maxLength: 3 }),
        async (request, signingKey, covered) => {
          const options = { ...signingKey, covered, now: () => NOW }
          const headers = await signRequest(request, options).catch((error: unknown) => {
            expect(error instanceof TypeError || isPortcullisError(error)).toBe(true)
            return undefined
          })
          if (headers === undefined) return
          signed++
          expect(received(request, headers)).toMatchObject({ ok: true })
        },
      ),
      { numRuns: 1000 },
    )
    expect(signed).toBeGreaterThan(0)
  })
})
