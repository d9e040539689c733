import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { signRequest, type RequestToSign, type SigningOptions } from '../../../src/client/index.ts'
import { ConfigError } from '../../../src/errors.ts'
import { SECRET } from '../signature/message.ts'

const options: SigningOptions = {
  keyId: 'key-1',
  secret: SECRET,
  now: () => 1_750_000_000_999,
  nonce: () => 'nonce-of-16-char',
}
const get: RequestToSign = { method: 'GET', url: 'https://example.com/a?b' }

describe('signRequest', () => {
  it('returns all headers to send, in lower case', async () => {
    const request = {
      method: 'POST',
      url: 'https://example.com/',
      headers: { 'X-Other': 'a' },
      body: '{"hello": "world"}',
    }
    expect(await signRequest(request, options)).toEqual({
      'x-other': 'a',
      // RFC 9530 appendix B uses this content.
      'content-digest': 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:',
      'signature-input':
        'sig1=("@method" "@authority" "@path" "@query" "content-digest");created=1750000000;keyid="key-1";nonce="nonce-of-16-char"',
      signature: expect.stringMatching(/^sig1=:[A-Za-z0-9+/]{43}=:$/),
    })
  })

  it('covers the standard components, and those that it is told to cover', async () => {
    const headers = {
      'Content-Type': 'a/b',
      Authorization: 'Bearer x',
      'X-App-Id': 'a',
      'X-Origin': 'https://a.example',
      'X-B': 'c',
    }
    const signed = await signRequest(
      { ...get, headers },
      { ...options, covered: ['X-B', 'x-origin'], expiresIn: 5 },
    )
    expect(signed['signature-input']).toBe(
      'sig1=("@method" "@authority" "@path" "@query" "content-type" "authorization" "x-app-id" "x-origin" "x-b");created=1750000000;expires=1750000005;keyid="key-1";nonce="nonce-of-16-char"',
    )
  })

  it('accepts headers as a record, as Headers and as pairs', async () => {
    const asked = [{ 'X-A': 'b' }, new Headers({ 'x-a': 'b' }), [['x-A', ' b ']] as const]
    const signed = await Promise.all(
      asked.map((headers) => signRequest({ ...get, headers }, { ...options, covered: ['x-a'] })),
    )
    expect(signed[1]).toEqual(signed[0])
    expect(signed[2]).toEqual(signed[0])
  })

  it('signs the same bytes as text and as bytes', async () => {
    const bytes = new TextEncoder().encode('__\u00e9')
    const bodies = ['\u00e9', bytes.subarray(2), bytes.slice(2).buffer, Buffer.from('\u00e9')]
    const signed = await Promise.all(
      bodies.map((body) => signRequest({ ...get, method: 'PUT', body }, options)),
    )
    for (const headers of signed) expect(headers).toEqual(signed[0])
  })

  it('creates a new nonce each time, and replaces an earlier signature', async () => {
    const { nonce: _nonce, ...rest } = options
    const first = await signRequest(get, rest)
    const second = await signRequest({ ...get, headers: first }, rest)
    expect(Object.keys(second)).toEqual(Object.keys(first))
    expect(second['signature-input']).not.toBe(first['signature-input'])
    expect(second['signature']).not.toBe(first['signature'])
  })

  it('covers a given digest if there is no body', async () => {
    const digest = `sha-512=:${createHash('sha512').update('x').digest('base64')}:`
    const request = { ...get, method: 'PUT', headers: { 'content-digest': digest } }
    const signed = await signRequest(request, options)
    expect(signed['content-digest']).toBe(digest)
    expect(signed['signature-input']).toContain('"content-digest"')
    const withBody = await signRequest({ ...request, body: 'x' }, options)
    expect(withBody['content-digest']).toMatch(/^sha-256=/)
    expect(await signRequest({ ...request, body: '' }, options)).not.toHaveProperty('content-digest')
  })

  it('signs the method as fetch writes it', async () => {
    const upper = await signRequest({ ...get, method: 'DELETE' }, options)
    expect(await signRequest({ ...get, method: 'delete' }, options)).toEqual(upper)
  })

  const requests: readonly (readonly [why: string, request: object, message: RegExp])[] = [
    ['a relative URL', { url: '/a' }, /absolute http or https URL/],
    ['another scheme', { url: 'ftp://example.com/' }, /absolute http or https URL/],
    [
      'a password in the URL',
      { url: 'https://user:pass@example.com/' },
      /must not contain a user name or password/,
    ],
    ['a password alone', { url: 'https://:pass@example.com/' }, /must not contain a user name or password/],
    ['a user name alone', { url: 'https://user@example.com/' }, /must not contain a user name or password/],
    ['a body on GET', { body: 'x' }, /^a GET request must not have a body$/],
    ['a body on head', { method: 'head', body: 'x' }, /^a HEAD request must not have a body$/],
    ['a method that fetch leaves in lower case', { method: 'patch' }, /upper case, like `PATCH`/],
    ['an object as body', { method: 'POST', body: { a: 1 } }, /JSON.stringify/],
    ['a stream as body', { method: 'POST', body: new Blob(['x']).stream() }, /must be a string or bytes/],
    [
      'a header that is not ASCII',
      { headers: { authorization: 'caf\u00e9' } },
      /"authorization" is not printable ASCII/,
    ],
    ['two hosts', { headers: { host: 'a, b' } }, /not have exactly one readable Host/],
  ]
  it.each(requests)('refuses %s', async (_why, request, message) => {
    const signing = signRequest({ ...get, ...request }, options)
    await expect(signing).rejects.toThrow(message)
    await expect(signing).rejects.toBeInstanceOf(TypeError)
  })

  it('refuses a missing header that must be covered', async () => {
    await expect(signRequest(get, { ...options, covered: ['x-b'] })).rejects.toThrow(
      /`x-b` is covered but was not sent/,
    )
  })

  it('refuses a nonce that the verifier would refuse', async () => {
    await expect(signRequest(get, { ...options, nonce: () => 'short' })).rejects.toThrow(
      /`nonce` must return/,
    )
  })

  const wrong: readonly (readonly [option: string, value: unknown])[] = [
    ['keyId', undefined],
    ['keyId', 'a b'],
    ['keyId', 'a'.repeat(129)],
    ['secret', undefined],
    ['secret', Buffer.alloc(31).toString('base64')],
    ['secret', SECRET.slice(0, -1)],
    ['secret', `${SECRET}\n`],
    ['secret', '0a'.repeat(32)],
    ['now', 1],
    ['nonce', 'n'],
    ['label', 'Sig1'],
    ['covered', 'x-a'],
    ['covered', ['@path']],
    ['covered', ['Signature']],
    ['expiresIn', 0],
    ['secrt', SECRET],
  ]
  it('reports all problems at once', async () => {
    const given = { keyId: '', secrt: SECRET, covered: 'x-a' } as never
    const error = (await signRequest(get, given).catch((caught: unknown) => caught)) as ConfigError
    expect(error.issues.map(({ code, option }) => `${code} ${option}`)).toEqual([
      'OPTION_UNKNOWN signRequest.secrt',
      'OPTION_INVALID signRequest.keyId',
      'OPTION_INVALID signRequest.covered',
      'OPTION_MISSING signRequest.secret',
    ])
    expect(error.message).toContain('unknown option `secrt`: did you mean `secret`?')
  })

  it.each([SECRET, null, undefined, [SECRET]])(
    'refuses %j instead of options, without showing it',
    async (given) => {
      const error = (await signRequest(get, given as never).catch((caught: unknown) => caught)) as ConfigError
      expect(error).toBeInstanceOf(ConfigError)
      expect(error.message).toContain('`signRequest` takes an object with at least `keyId`')
      expect(error.message).not.toContain(SECRET.slice(0, 20))
    },
  )

  it.each([
    ['appId', 'x-app-id'],
    ['appIdHeader', 'x-app-id'],
    ['origin', 'x-origin'],
  ])('names the header to use instead of the option `%s` of other clients', async (option, header) => {
    await expect(signRequest(get, { ...options, [option]: 'https://a.example' })).rejects.toThrow(
      `signRequest: unknown option \`${option}\`: give the request the header \`${header}\``,
    )
  })

  it.each(wrong)('refuses %s: %j, without showing it', async (option, value) => {
    const signing = signRequest(get, { ...options, [option]: value })
    await expect(signing).rejects.toBeInstanceOf(ConfigError)
    await expect(signing).rejects.toThrow(
      new RegExp(
        `^(\`signRequest\\.${option}\` (must be|is missing: give)|signRequest: unknown option \`${option}\`)`,
      ),
    )
    const { message } = (await signing.catch((error: unknown) => error)) as Error
    expect(message).not.toContain(SECRET.slice(0, 20))
  })
})

describe('portcullis/client', () => {
  it('needs no Node API', () => {
    const root = `${__dirname}/../../../src`
    const sources = readdirSync(`${root}/client`).map((file) => `client/${file}`)
    const seen = new Set<string>()
    for (const file of [
      ...sources,
      'signature/base.ts',
      'signature/hexadecimal.ts',
      'match/host.ts',
      'errors.ts',
      'options.ts',
      'did-you-mean.ts',
    ]) {
      const source = readFileSync(`${root}/${file}`, 'utf8')
      for (const [, target] of source.matchAll(/from '([^']+)'/g)) seen.add(target ?? '')
      expect(source).not.toMatch(/\bBuffer\.|\bprocess\.|\brequire\(/)
    }
    expect([...seen].filter((target) => !target.startsWith('./')).sort()).toEqual([
      '../errors.ts',
      '../match/host.ts',
      '../names.ts',
      '../options.ts',
      '../signature/base.ts',
      '../signature/budget.ts',
      '../signature/hexadecimal.ts',
    ])
  })
})
