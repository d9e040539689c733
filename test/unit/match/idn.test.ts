import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { withAsciiHost } from '../../../src/match/idn.ts'

describe('withAsciiHost', () => {
  it.each([
    ['https://m\u00fcnchen.example', 'https://xn--mnchen-3ya.example'],
    ['https://*.m\u00fcnchen.example:8443', 'https://*.xn--mnchen-3ya.example:8443'],
    ['https://a.m\u00fcnchen.example/x/?y', 'https://a.xn--mnchen-3ya.example/x/?y'],
    ['http://\u65e5\u672c\u8a9e.jp/', 'http://xn--wgv71a119e.jp/'],
    ['https://\u05e9\u05dc\u05d5\u05dd.example', 'https://xn--9dbne9b.example'],
  ])('writes the host of %j in ASCII: %s', (text, ascii) => {
    expect(withAsciiHost(text)).toBe(ascii)
  })

  it.each([
    ['a host in ASCII', 'https://xn--mnchen-3ya.example'],
    ['capitals', 'https://M\u00fcnchen.example'],
    ['capitals that are no ASCII', 'https://M\u00dcNCHEN.example'],
    ['a letter and a mark that are to be composed', 'https://mu\u0308nchen.example'],
    ['full-width letters', 'https://\uff4d\u00fcnchen.example'],
    ['a full stop of another script', 'https://m\u00fcnchen\u3002example'],
    ['a soft hyphen', 'https://m\u00fcn\u00adchen.example'],
    ['a sharp s, which was ss once', 'https://fa\u00df.example'],
    ['a final sigma, which was a sigma once', 'https://\u03bb\u03cc\u03b3\u03bf\u03c2.example'],
    ['a joiner, which was nothing once', 'https://\u0915\u094d\u200d\u0937.example'],
    ['a label in ASCII beside one in letters', 'https://xn--mnchen-3ya.b\u00fccher.example'],
    ['an outer hyphen', 'https://-\u00fc.example'],
    ['letters that run in both directions', 'https://\u05e9\u05dc\u05d5\u05dda.example'],
    ['a scheme of an app', 'capacitor://m\u00fcnchen'],
    ['user information', 'https://a@m\u00fcnchen.example'],
    ['a backslash', 'https://m\u00fcnchen.example\\'.replace('m\u00fcnchen', 'x\\m\u00fcnchen')],
    ['an unpaired surrogate', 'https://\ud800.example'],
    ['no host', 'm\u00fcnchen'],
    ['a path only', 'https://example.org/\u00e4'],
  ])('leaves %s as it is: %j', (_what, text) => {
    expect(withAsciiHost(text)).toBe(text)
  })

  it('gives what the URL standard reads alike, and never what two texts share', () => {
    const letters = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
      .filter((text) => !/[\0-,/:-@[-^`{-\x7f]/.test(text))
    const given = new Map<string, string>()
    fc.assert(
      fc.property(letters, (host) => {
        const text = `https://${host}.example`
        const ascii = withAsciiHost(text)
        if (ascii === text) return
        expect(ascii).toMatch(/^[!-~]*$/)
        expect(new URL(text).origin).toBe(ascii)
        expect(given.get(ascii) ?? text).toBe(text)
        given.set(ascii, text)
      }),
      { numRuns: 4000 },
    )
    expect(given.size).toBeGreaterThan(100)
  })
})
