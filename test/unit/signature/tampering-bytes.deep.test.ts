import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { signatureBase } from '../../../src/signature/base.ts'
import { structuredFields } from '../../../src/signature/structured.ts'
import { verifyMessage } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, NOW, RULES, SECRET, type PlainMessage } from './message.ts'

function accepts(message: PlainMessage): boolean {
  return verifyMessage(messageOf(message), KEYS, RULES, NOW).ok
}

describe('one changed byte of a message whose signature has every feature', () => {
  const components = [
    '@method',
    '@authority',
    '@path',
    '@query',
    '@scheme',
    '@target-uri',
    '@request-target',
    'content-digest',
    'x-list',
    { name: 'x-list', parameters: [['bs', true]] },
    { name: 'x-dict', parameters: [['sf', true]] },
    { name: 'x-dict', parameters: [['key', 'b']] },
    { name: '@query-param', parameters: [['name', 'a']] },
  ] as const
  const parameters = [
    ['created', NOW / 1000],
    ['expires', NOW / 1000 + 60],
    ['nonce', '0123456789abcdef'],
    ['keyid', 'key-1'],
    ['alg', 'hmac-sha256'],
    ['tag', 'a tag'],
  ] as const
  const body = '{"request_id":"r-1"}'
  const digests = ['sha256', 'sha512'].map(
    (hash) => `${hash.replace('sha', 'sha-')}=:${createHash(hash).update(body).digest('base64')}:`,
  )
  const plain: PlainMessage = {
    method: 'POST',
    authority: 'api.example.com:8443',
    target: '/auth/v2/connect?a=1&b=%20',
    scheme: 'https',
    headers: { 'content-digest': digests.join(', '), 'x-list': ['one', 'two'], 'x-dict': 'a=1, b="two"' },
    body,
  }
  const base = signatureBase(messageOf(plain), components, parameters, structuredFields)
  if ('problem' in base) throw new Error(base.problem)
  const mac = createHmac('sha256', Buffer.from(SECRET, 'base64')).update(base.text).digest('base64')
  const message: PlainMessage = {
    ...plain,
    headers: { ...plain.headers, 'signature-input': `sig-1=${base.input}`, signature: `sig-1=:${mac}:` },
  }

  /** All texts of the message by name, and a function that replaces each. */
  const texts: readonly (readonly [name: string, text: string, put: (text: string) => PlainMessage])[] = [
    ...(['method', 'authority', 'target', 'body'] as const).map(
      (name) => [name, String(message[name]), (text: string) => ({ ...message, [name]: text })] as const,
    ),
    ...Object.entries(message.headers).flatMap(([name, lines]) =>
      [lines].flat().map((line, index, all) => {
        const put = (text: string): PlainMessage => ({
          ...message,
          headers: { ...message.headers, [name]: all.map((other, at) => (at === index ? text : other)) },
        })
        return [`${name} ${index}`, line, put] as const
      }),
    ),
  ]

  // The case of a host, unused bits of base64, and white space between members of a structured field.
  const meansTheSame = (name: string, at: number, before: string, after: string): boolean =>
    (name === 'authority' && before.toLowerCase() === after.toLowerCase()) ||
    (name === 'signature 0' && at >= before.length - 3 && at < before.length - 1) ||
    (name === 'signature-input 0' && before === after.replaceAll('  "', ' "')) ||
    (name === 'x-dict 0' && before.replaceAll(' ', '') === after.replaceAll(' ', ''))

  it('passes unchanged', () => {
    expect(accepts(message)).toBe(true)
  })

  it.each(texts)(
    'is refused: each bit of each byte of %s, each byte omitted, each doubled',
    (name, text, put) => {
      expect(accepts(put(text))).toBe(true)
      for (let at = 0; at < text.length; at++) {
        const code = text.charCodeAt(at)
        const flips = Array.from({ length: 8 }, (_, bit) => String.fromCharCode(code ^ (1 << bit)))
        for (const instead of [...flips, '', `${text.charAt(at)}${text.charAt(at)}`]) {
          const after = text.slice(0, at) + instead + text.slice(at + 1)
          if (after === text || meansTheSame(name, at, text, after)) continue
          expect([after, accepts(put(after))]).toEqual([after, false])
        }
      }
    },
  )

  it('is refused with any parameter or component omitted, doubled, or in another order', () => {
    const input = String(message.headers['signature-input'])
    const put = (text: string): PlainMessage => ({
      ...message,
      headers: { ...message.headers, 'signature-input': text },
    })
    const parts = input.split(/(?<=[^(]) (?=")|(?<=\))(?=;)|(?<=[\d"])(?=;(?:expires|nonce|keyid|alg|tag)=)/)
    expect(parts.length).toBeGreaterThan(18)
    for (const [index, part] of parts.entries()) {
      const others = parts.filter((_, at) => at !== index)
      for (const list of [others, parts.toSpliced(index, 0, part), [...others, part], [part, ...others]]) {
        const text = list.join(' ').replaceAll(' ;', ';')
        if (text !== input) expect([text, accepts(put(text))]).toEqual([text, false])
      }
    }
  })
})
