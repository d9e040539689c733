import { createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { signatureBase } from '../../../src/signature/base.ts'
import type { Component } from '../../../src/signature/components.ts'
import { httpMessageSignatures } from '../../../src/signature/http-message-signatures.ts'
import { structuredFields } from '../../../src/signature/structured.ts'
import { verifyMessage, type MethodOverride, type SignedMessage } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, NOW, RULES, SECRET, type PlainMessage } from './message.ts'

type Components = readonly (string | Component)[]

const ALL = ['@method', '@authority', '@path', '@query']
const DIGEST = 'sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:' // of `{}`

function signed(components: Components, message: Partial<PlainMessage> = {}): SignedMessage {
  const plain: PlainMessage = {
    method: 'GET',
    authority: 'example.com',
    target: '/a?b=c',
    scheme: 'https',
    headers: {},
    ...message,
  }
  const base = signatureBase(
    messageOf(plain),
    components,
    [
      ['created', Math.floor(NOW / 1000)],
      ['keyid', 'key-1'],
      ['nonce', 'nonce-of-16-char'],
    ],
    structuredFields,
  )
  if ('problem' in base) throw new Error(base.problem)
  const mac = createHmac('sha256', Buffer.from(SECRET, 'base64')).update(base.text).digest('base64')
  const headers = { ...plain.headers, 'signature-input': `sig1=${base.input}`, signature: `sig1=:${mac}:` }
  return messageOf({ ...plain, headers })
}

/** `ok`, or the detail of the refusal. */
function verdict(message: SignedMessage, rules = RULES): string {
  const answer = verifyMessage(message, KEYS, rules, NOW)
  return answer.ok ? 'ok' : `${answer.code}: ${answer.detail}`
}

describe('components that contain others cover them', () => {
  it.each<[string, Components, string]>([
    ['@target-uri for authority, path and query', ['@method', '@target-uri'], 'ok'],
    ['@request-target for path and query', ['@method', '@authority', '@request-target'], 'ok'],
    ['@target-uri with @request-target', ['@method', '@target-uri', '@request-target'], 'ok'],
    ['a mixture', ['@method', '@authority', '@path', '@request-target'], 'ok'],
    ['@request-target has no authority', ['@method', '@request-target'], '@authority'],
    ['@target-uri has no method', ['@target-uri'], '@method'],
    ['@scheme stands for nothing else', ['@method', '@scheme', '@path', '@query'], '@authority'],
    [
      'a query parameter is not the query',
      ['@method', '@authority', '@path', { name: '@query-param', parameters: [['name', 'b']] }],
      '@query',
    ],
  ])('%s', (_what, components, missing) => {
    expect(verdict(signed(components))).toBe(
      missing === 'ok' ? 'ok' : `SIGNATURE_INVALID: not covered: ${missing}`,
    )
  })

  it.each(['/a?b=d', '/A?b=c', '/a', '/a?', '/a?b=c&d'])(
    'and protect their contents: %s is refused',
    (target) => {
      for (const components of [
        ['@method', '@target-uri'],
        ['@method', '@authority', '@request-target'],
      ]) {
        const message = { ...signed(components), target }
        expect(verdict(message)).toBe(
          'SIGNATURE_INVALID: the signature by key `key-1` does not match the received request',
        )
      }
    },
  )

  it('@target-uri binds scheme and authority', () => {
    const message = signed(['@method', '@target-uri'])
    expect(verdict({ ...message, authority: 'other.example' })).toMatch(/does not match/)
    expect(verdict({ ...message, scheme: 'http' })).toMatch(/does not match/)
    expect(verdict({ ...message, scheme: undefined })).toMatch(/the scheme is not known/)
  })

  it.each(['http://other.example/a?b=c', '*', 'example.com:443'])(
    'the target %s has no origin form and is refused',
    (target) => {
      expect(verdict({ ...signed(['@method', '@authority', '@request-target']), target })).toMatch(
        /^SIGNATURE_INVALID: the request target is not a path/,
      )
    },
  )
})

describe('the type of content is covered', () => {
  const content = {
    method: 'POST',
    body: '{}',
    headers: { 'content-type': 'application/json', 'content-digest': DIGEST },
  }
  const withDigest = [...ALL, 'content-digest']
  const uncovered = 'SIGNATURE_INVALID: not covered: content-type'

  it('when it was sent', () => {
    expect(verdict(signed([...withDigest, 'content-type'], content))).toBe('ok')
    expect(verdict(signed(withDigest, content))).toBe(uncovered)
  })

  it.each([
    ['sf', true],
    ['bs', true],
  ] as const)('by the header itself, not by `;%s` of it', (name, value) => {
    const component: Component = { name: 'content-type', parameters: [[name, value]] }
    expect(verdict(signed([...withDigest, component], content))).toBe(uncovered)
  })

  it('even if the bytes of the content were not kept', () => {
    expect(verdict(signed(withDigest, { ...content, body: { kind: 'unavailable' } }))).toBe(uncovered)
  })

  it('so that a type added in transit is refused', () => {
    const { 'content-type': _type, ...headers } = content.headers
    const message = signed(withDigest, { ...content, headers })
    expect(verdict(message)).toBe('ok')
    const header = (name: string): readonly string[] =>
      name === 'content-type' ? ['application/json;charset=utf-7'] : message.header(name)
    expect(verdict({ ...message, header })).toBe(uncovered)
  })

  it.each<[string, Partial<PlainMessage>]>([
    ['there is no content', { method: 'GET', headers: { 'content-type': 'application/json' } }],
    [
      'the content has no bytes',
      { method: 'POST', body: '', headers: { 'content-type': 'application/json' } },
    ],
  ])('unless %s', (_what, message) => {
    expect(verdict(signed(ALL, message))).toBe('ok')
  })

  it('unless the policy says otherwise', () => {
    expect(verdict(signed(withDigest, content), { ...RULES, requireContentType: false })).toBe('ok')
  })

  it('`Accept-Signature` requires it if there was content', () => {
    const { challenge } = httpMessageSignatures()
    expect(challenge?.(signed(ALL, content))['Accept-Signature']).toBe(
      'sig1=("@method" "@authority" "@path" "@query" "content-digest" "content-type");created',
    )
    expect(challenge?.(signed(ALL))['Accept-Signature']).toBe(
      'sig1=("@method" "@authority" "@path" "@query");created',
    )
  })
})

describe('a method that was changed after the request was received', () => {
  const override = 'x-http-method-override'
  const message = { method: 'POST', headers: { [override]: 'DELETE' } }
  const overridden = (signedMessage: SignedMessage, methodOverride: MethodOverride): SignedMessage => ({
    ...signedMessage,
    methodOverride,
  })
  const changed = '; the method was changed after the request was received'

  it('passes if the header that names it is covered, with the received method', () => {
    const methodOverride = { method: 'DELETE', headers: [override] }
    expect(verdict(overridden(signed([...ALL, override], message), methodOverride))).toBe('ok')
    expect(
      verdict(overridden({ ...signed([...ALL, override], message), method: 'DELETE' }, methodOverride)),
    ).toMatch(/does not match/)
  })

  it('is refused if it is not covered', () => {
    expect(verdict(overridden(signed(ALL, message), { method: 'DELETE', headers: [override] }))).toBe(
      `SIGNATURE_INVALID: not covered: ${override}${changed}`,
    )
  })

  it('requires all headers that name it to be covered', () => {
    const methodOverride = { method: 'DELETE', headers: [override, 'x-http-method'] }
    expect(verdict(overridden(signed([...ALL, override], message), methodOverride))).toBe(
      `SIGNATURE_INVALID: not covered: x-http-method${changed}`,
    )
  })

  it('passes if the query names it, which is covered', () => {
    const target = '/a?_method=DELETE'
    expect(
      verdict(overridden(signed(ALL, { method: 'POST', target }), { method: 'DELETE', headers: [] })),
    ).toBe('ok')
  })

  it('requires the digest of the body to be covered if no header names it', () => {
    const methodOverride = { method: 'DELETE', headers: [] }
    const rules = { ...RULES, requireDigest: false }
    const body = { method: 'POST', body: '{}' }
    expect(verdict(overridden(signed(ALL, body), methodOverride), rules)).toBe(
      `SIGNATURE_INVALID: not covered: content-digest${changed}`,
    )
    const headers = { 'content-digest': DIGEST }
    expect(
      verdict(overridden(signed([...ALL, 'content-digest'], { ...body, headers }), methodOverride), rules),
    ).toBe('ok')
  })
})
