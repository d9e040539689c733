import { createHmac, createPublicKey } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { baseText, outlineOf, signatureBase, type SignatureParameters } from '../../../src/signature/base.ts'
import type { Component } from '../../../src/signature/components.ts'
import { VerifierKey } from '../../../src/signature/keys.ts'
import { messageOf, type PlainMessage } from './message.ts'

// RFC 9421 appendix B.2, `test-request`.
const request: PlainMessage = {
  method: 'POST',
  authority: 'example.com',
  target: '/foo?param=Value&Pet=dog',
  scheme: 'https',
  headers: {
    host: 'example.com',
    date: 'Tue, 20 Apr 2021 02:07:55 GMT',
    'content-type': 'application/json',
    'content-digest':
      'sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:',
    'content-length': '18',
  },
}

function baseOf(
  components: readonly (string | Component)[],
  parameters: SignatureParameters = [],
  message: PlainMessage = request,
): string {
  const base = signatureBase(messageOf(message), components, parameters)
  return 'problem' in base ? `problem: ${base.problem}` : base.text
}

function valueOf(name: string, message: Partial<PlainMessage> = {}): string {
  const base = baseOf([name], [], { ...request, ...message })
  return base.startsWith('problem') ? base : base.slice(name.length + 4, base.lastIndexOf('\n'))
}

describe('the vectors of RFC 9421', () => {
  it('B.2.5: hmac-sha256', () => {
    const secret = Buffer.from(
      'uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==',
      'base64',
    )
    const text = baseOf(
      ['date', '@authority', 'content-type'],
      [
        ['created', 1618884473],
        ['keyid', 'test-shared-secret'],
      ],
    )
    expect(text).toBe(`"date": Tue, 20 Apr 2021 02:07:55 GMT
"@authority": example.com
"content-type": application/json
"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`)
    expect(createHmac('sha256', secret).update(text).digest('base64')).toBe(
      'pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=',
    )
  })

  it('B.2.6: ed25519', () => {
    const text = baseOf(
      ['date', '@method', '@path', '@authority', 'content-type', 'content-length'],
      [
        ['created', 1618884473],
        ['keyid', 'test-key-ed25519'],
      ],
    )
    const jwk = { kty: 'OKP', crv: 'Ed25519', x: 'JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs' }
    const key = new VerifierKey('test-key-ed25519', 'ed25519', createPublicKey({ key: jwk, format: 'jwk' }))
    const signature =
      'wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=='
    expect(key.holds(text, signature)).toBe(true)
    expect(key.holds(`${text} `, signature)).toBe(false)
  })

  it('B.2.1: the base that covers nothing', () => {
    expect(
      baseOf(
        [],
        [
          ['created', 1618884473],
          ['keyid', 'test-key-rsa-pss'],
          ['nonce', 'b3k2pp5k7z-50gnwp.yemd'],
        ],
      ),
    ).toBe(
      '"@signature-params": ();created=1618884473;keyid="test-key-rsa-pss";nonce="b3k2pp5k7z-50gnwp.yemd"',
    )
  })

  it('B.2.2: the base over chosen components', () => {
    expect(
      baseOf(
        ['@authority', 'content-digest', { name: '@query-param', parameters: [['name', 'Pet']] }],
        [
          ['created', 1618884473],
          ['keyid', 'test-key-rsa-pss'],
          ['tag', 'header-example'],
        ],
      ),
    ).toBe(`"@authority": example.com
"content-digest": ${String(request.headers['content-digest'])}
"@query-param";name="Pet": dog
"@signature-params": ("@authority" "content-digest" "@query-param";name="Pet");created=1618884473;keyid="test-key-rsa-pss";tag="header-example"`)
  })

  it('B.2.3: the base that covers everything', () => {
    const components = [
      'date',
      '@method',
      '@path',
      '@query',
      '@authority',
      'content-type',
      'content-digest',
      'content-length',
    ]
    expect(
      baseOf(components, [
        ['created', 1618884473],
        ['keyid', 'test-key-rsa-pss'],
      ]),
    ).toBe(`"date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@query": ?param=Value&Pet=dog
"@authority": example.com
"content-type": application/json
"content-digest": ${String(request.headers['content-digest'])}
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@query" "@authority" "content-type" "content-digest" "content-length");created=1618884473;keyid="test-key-rsa-pss"`)
  })
})

describe('derived components', () => {
  const cases: readonly (readonly [name: string, message: Partial<PlainMessage>, value: string])[] = [
    ['@method', { method: 'get' }, 'get'],
    ['@path', { target: '/' }, '/'],
    ['@path', { target: '/a%2Fb/../c?x?y' }, '/a%2Fb/../c'],
    ['@path', { target: '//evil.example/x' }, '//evil.example/x'],
    ['@query', { target: '/a' }, '?'],
    ['@query', { target: '/a?' }, '?'],
    ['@query', { target: '/a?b=1&a=%20?c' }, '?b=1&a=%20?c'],
    ['@request-target', { target: '/a?' }, '/a?'],
    ['@target-uri', { target: '/a?b' }, 'https://example.com/a?b'],
    [
      '@target-uri',
      { scheme: undefined },
      'problem: the scheme is not known, so `@target-uri` cannot be derived',
    ],
    ['@scheme', {}, 'https'],
    ['@scheme', { scheme: undefined }, 'problem: the scheme is not known, so `@scheme` cannot be derived'],
    ['@authority', { authority: 'EXAMPLE.com' }, 'example.com'],
    ['@authority', { authority: 'example.com:443' }, 'example.com'],
    ['@authority', { authority: 'example.com:80' }, 'example.com:80'],
    ['@authority', { authority: 'example.com:80', scheme: 'http' }, 'example.com'],
    ['@authority', { authority: 'example.com:443', scheme: 'http' }, 'example.com:443'],
    ['@authority', { authority: 'example.com:443', scheme: undefined }, 'example.com'],
    ['@authority', { authority: 'example.com:80', scheme: undefined }, 'example.com'],
    ['@authority', { authority: 'example.com:8443' }, 'example.com:8443'],
    ['@authority', { authority: 'example.com:' }, 'example.com'],
    ['@authority', { authority: '[2001:DB8::1]:3000' }, '[2001:db8::1]:3000'],
  ]
  it.each(cases)('%s of %j is %s', (name, message, value) => {
    expect(valueOf(name, message)).toBe(value)
  })

  const hosts = [
    undefined,
    '',
    'a b',
    'a,b',
    'a, b',
    'user@host',
    'a/b',
    'a:80:80',
    'a\nb',
    'bücher.example',
    '[::1',
    'a#b',
  ]
  it.each(hosts)('@authority is refused if the Host is %j', (authority) => {
    expect(valueOf('@authority', { authority })).toBe(
      'problem: the request does not have exactly one readable Host header',
    )
  })

  const targets = ['', '*', 'http://example.com/', 'example.com:443', 'foo', '/a#b']
  it.each(targets)('@path is refused if the target is %j', (target) => {
    expect(valueOf('@path', { target })).toMatch(/^problem: the request target is not a path/)
  })

  it.each([
    ['@query-param', 'has no `;name`'],
    ['@status', 'belongs to responses'],
    ['@signature-params', 'is not supported'],
    ['@nonsense', 'is not supported'],
    ['@', 'is not supported'],
  ])('%s is refused by name', (name, why) => {
    expect(valueOf(name)).toBe(`problem: component "${name}" ${why}`)
  })

  it.each(['', 'GET ', 'G\nT', 'G\u00c9T', 'G"T'])('a method must be a token: %j is refused', (method) => {
    expect(valueOf('@method', { method })).toBe('problem: the method is not a token')
  })
})

describe('a reused outline', () => {
  it('gives each message its own values', () => {
    const components = ['@scheme', '@method', '@authority', '@path', 'x-a', '@query']
    const outline = outlineOf(components)
    const methods = ['GET', 'POST', 'get', 'G\nT', '']
    const authorities = ['a.example', 'A.example', 'a.example:443', 'b.example', 'a b', undefined]
    const schemes = ['https', 'http', undefined] as const
    const targets = ['/a', '/a?b', '/b?', '/\n', '*']
    const headers = [{ 'x-a': '1' }, { 'x-a': ' 2' }, {}]
    // Each message follows every other one in at least one part.
    const messages = methods.flatMap((method) =>
      authorities.flatMap((authority) =>
        schemes.flatMap((scheme) =>
          targets.flatMap((target, index) => {
            const fields = headers[index % headers.length] ?? {}
            return { method, authority, scheme, target, headers: fields }
          }),
        ),
      ),
    )
    for (const message of [...messages, ...[...messages].reverse()].map(messageOf)) {
      const base = baseText(message, components, '()', undefined, outline)
      expect(base).toEqual(baseText(message, components, '()', undefined))
    }
  })

  it('does not cache long text of strangers', () => {
    const outline = outlineOf(['@authority'])
    const authority = `${'a'.repeat(1000)}.example`
    expect(baseText(messageOf({ ...request, authority }), ['@authority'], '()', undefined, outline)).toBe(
      `"@authority": ${authority}\n"@signature-params": ()`,
    )
    expect(outline).toMatchObject({ head: undefined })
    // Nor a header that is not sent.
    const other = outlineOf(['@method', '@path'])
    baseText(messageOf({ ...request, authority }), ['@method', '@path'], '()', undefined, other)
    expect(other).toMatchObject({ head: undefined })
  })
})

describe('fields', () => {
  it('joins several lines with a comma and a space, without outer white space', () => {
    expect(valueOf('x-list', { headers: { 'x-list': ['  a ', '\tb,c', ''] } })).toBe('a, b,c, ')
  })

  it('keeps an empty value', () => {
    expect(baseOf(['x-empty'], [], { ...request, headers: { 'x-empty': '' } })).toMatch(/^"x-empty": \n/)
  })

  it('refuses a field that was not sent', () => {
    expect(valueOf('x-missing')).toBe('problem: header `x-missing` is covered but was not sent')
  })

  it.each(['x-origin', 'authorization', 'content-type', 'host'])('refuses two lines of %s', (name) => {
    expect(valueOf(name, { headers: { [name]: ['a', 'b'] } })).toBe(
      `problem: header \`${name}\` was sent more than once`,
    )
  })

  it.each(['Date', 'a b', '', 'a"b', 'a\nb'])('refuses the name %j', (name) => {
    expect(baseOf([name])).toMatch(/^problem: component .* is not a lower-case header name$/s)
  })

  it.each(['a\nb', 'a\rb', 'caf\u00e9', 'a\u0000', '\u007f'])('refuses the value %j', (value) => {
    expect(valueOf('x-a', { headers: { 'x-a': value } })).toBe(
      'problem: component "x-a" is not printable ASCII',
    )
  })

  it('refuses a repeated component', () => {
    expect(baseOf(['date', '@method', 'date'])).toBe('problem: component "date" is repeated')
  })
})
