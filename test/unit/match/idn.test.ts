import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { withCanonicalHost } from '../../../src/match/idn.ts'
import { runs } from '../../support/runs.ts'

describe('withCanonicalHost', () => {
  it.each([
    ['https://m\u00fcnchen.example', 'https://xn--mnchen-3ya.example'],
    ['https://*.m\u00fcnchen.example:8443', 'https://*.xn--mnchen-3ya.example:8443'],
    ['https://a.m\u00fcnchen.example/x/?y', 'https://a.xn--mnchen-3ya.example/x/?y'],
    ['http://\u65e5\u672c\u8a9e.jp/', 'http://xn--wgv71a119e.jp/'],
    ['https://\u05e9\u05dc\u05d5\u05dd.example', 'https://xn--9dbne9b.example'],
    ['HTTPS://M\u00fcnchen.Example', 'https://xn--mnchen-3ya.example'],
    ['https://M\u00dcNCHEN.example', 'https://xn--mnchen-3ya.example'],
    ['https://[2001:DB8:0:0:0:0:0:1]:8443/A', 'https://[2001:db8::1]:8443/A'],
    ['http://[::192.0.2.1]/', 'http://[::c000:201]/'],
    ['MyApp://Callback/X', 'myapp://Callback/X'],
  ])('converts %j to canonical form: %s', (text, ascii) => {
    expect(withCanonicalHost(text)).toBe(ascii)
  })

  it.each([
    ['a host in ASCII', 'https://xn--mnchen-3ya.example'],
    ['a capital whose small letter is ASCII', 'https://\u212aelvin\u00fc.example'],
    ['an IPv6 address that is none', 'https://[1::2::3]/'],
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
  ])('does not change %s: %j', (_what, text) => {
    expect(withCanonicalHost(text)).toBe(text)
  })

  it('agrees with the URL standard, and gives texts that differ in more than case different forms', () => {
    const letters = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
      .filter((text) => !/[\0-,/:-@[-^`{-\x7f]/.test(text))
    const given = new Map<string, string>()
    fc.assert(
      fc.property(letters, (host) => {
        const text = `https://${host}.example`
        const ascii = withCanonicalHost(text)
        if (ascii === text) return
        expect(ascii).toMatch(/^[!-~]*$/)
        expect(new URL(text).origin).toBe(ascii)
        expect(given.get(ascii) ?? text.toLowerCase()).toBe(text.toLowerCase())
        given.set(ascii, text.toLowerCase())
      }),
      { numRuns: runs(4000) },
    )
    expect(given.size).toBeGreaterThan(runs(100))
  })
})
