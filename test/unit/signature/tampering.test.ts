import { beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { signRequest } from '../../../src/client/index.ts'
import { verifyMessage } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, NOW, RULES, SECRET, type PlainMessage } from './message.ts'
import { runs } from '../../support/runs.ts'

function accepts(message: PlainMessage): boolean {
  return verifyMessage(messageOf(message), KEYS, RULES, NOW).ok
}

describe('one changed character', () => {
  let message: PlainMessage
  beforeAll(async () => {
    const headers = await signRequest(
      {
        method: 'POST',
        url: 'https://api.example.com:8443/auth/v2/connect?scope=email!&x=%20',
        headers: {
          'content-type': 'application/json',
          'x-origin': 'https://shop.example',
          'x-app-id': 'app-1',
        },
        body: '{"request_id":"r-1"}',
      },
      { keyId: 'key-1', secret: SECRET, now: () => NOW, expiresIn: 60 },
    )
    message = {
      method: 'POST',
      authority: 'api.example.com:8443',
      target: '/auth/v2/connect?scope=email!&x=%20',
      headers,
      body: '{"request_id":"r-1"}',
    }
  })

  const parts = ['method', 'authority', 'target', 'body'] as const
  const headers = [
    'content-type',
    'x-origin',
    'x-app-id',
    'content-digest',
    'signature-input',
    'signature',
  ] as const

  // The case of a host does not matter (RFC 9110 4.2.3).
  function sameMeaning(name: string, before: string, after: string): boolean {
    return name === 'authority' && before.toLowerCase() === after.toLowerCase()
  }

  it('the unchanged message passes', () => {
    expect(accepts(message)).toBe(true)
  })

  it.each([...parts, ...headers])('in %s at any position makes it fail', (name) => {
    const isPart = (parts as readonly string[]).includes(name)
    const before = String(isPart ? message[name as 'method'] : message.headers[name])
    for (let at = 0; at < before.length; at++) {
      const flipped = String.fromCharCode(before.charCodeAt(at) ^ 1)
      const changes = [flipped, '', 'x', ' ', '"', '\u00e9'].map(
        (put) => before.slice(0, at) + put + before.slice(at + 1),
      )
      const inserted = ['a', '0', ';', ',', '/'].map((put) => before.slice(0, at) + put + before.slice(at))
      for (const after of [...changes, ...inserted]) {
        if (after === before || sameMeaning(name, before, after)) continue
        const changed = isPart
          ? { ...message, [name]: after }
          : { ...message, headers: { ...message.headers, [name]: after } }
        // The failure message shows which character was accepted.
        expect([after, accepts(changed)]).toEqual([after, false])
      }
    }
  })

  it('anywhere, to any character, makes it fail', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...parts, ...headers),
        fc.nat(),
        fc.oneof(
          fc.string({ minLength: 1, maxLength: 1 }),
          fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
        ),
        (name, position, put) => {
          const isPart = (parts as readonly string[]).includes(name)
          const before = String(isPart ? message[name as 'method'] : message.headers[name])
          const at = position % before.length
          const after = before.slice(0, at) + put + before.slice(at + 1)
          if (after === before || sameMeaning(name, before, after)) return
          const changed = isPart
            ? { ...message, [name]: after }
            : { ...message, headers: { ...message.headers, [name]: after } }
          expect(accepts(changed)).toBe(false)
        },
      ),
      { numRuns: runs(3000) },
    )
  })
})

describe('garbage', () => {
  const syntax = fc.string({
    unit: fc.constantFrom(...'sig1=("@method" "a";b);created=17,:AA==:?1%"\\\t *'),
    maxLength: 80,
  })
  const line = fc.oneof(syntax, fc.string({ maxLength: 60 }), fc.string({ unit: 'binary', maxLength: 60 }))

  it('in the two headers never throws and never passes', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 3 }), fc.array(line, { maxLength: 3 }), (input, signature) => {
        const headers = { 'signature-input': input, signature }
        expect(accepts({ method: 'GET', authority: 'example.com', target: '/', headers })).toBe(false)
      }),
      { numRuns: runs(3000) },
    )
  })

  it('in everything else never throws', () => {
    const input = `s=("@method" "@authority" "@path" "@query" "x");created=${NOW / 1000};keyid="key-1";nonce="0123456789abcdef"`
    const signature = `s=:${Buffer.alloc(32).toString('base64')}:`
    const text = fc.string({ unit: 'binary' })
    fc.assert(
      fc.property(
        text,
        fc.option(text, { nil: undefined }),
        text,
        fc.array(text),
        (method, authority, target, x) => {
          const headers = { 'signature-input': input, signature, x }
          expect(accepts({ method, authority, target, headers })).toBe(false)
        },
      ),
      { numRuns: runs(1000) },
    )
  })
})
