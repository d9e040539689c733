import { domainToASCII } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { lookAlikeProblem } from '../../../src/match/look-alike.ts'

describe('lookAlikeProblem', () => {
  it.each([
    ['\u0430\u0440\u0440\u04cf\u0435.example', '`xn--80ak6aa92e` looks like `apple`'],
    ['www.\u0441\u043e\u0440.example', '`xn--n1aeb` looks like `cop`'],
    ['\u03bd\u03bf\u03ba\u03b9\u03b1.example', '`xn--mxapclk` looks like `vokia`'],
    ['\u0585\u0578.example', '`xn--mbbz` looks like `on`'],
    ['\u0261oogle.example', '`xn--oogle-qmc` looks like `google`'],
    ['l\u0131nk.example', '`xn--lnk-jua` looks like `link`'],
  ])('%s: all letters look like Latin ones', (host, problem) => {
    expect(lookAlikeProblem(domainToASCII(host))).toBe(problem)
  })

  it.each([
    ['Latin with Cyrillic', 'ex\u0430mple.org', /mixes letters/],
    ['Latin with Greek', 'g\u03bf\u03bfgle.example', /mixes letters/],
    ['Japanese with Korean', '\u30a2\ud55c.example', /mixes letters/],
    ['a rare script', '\u13aa\u13e2.example', /rare one/],
    ['an emoji', '\u{1f600}.example', /not letters/],
    ['a middle dot', 'l\u00b7l.example', /not letters/],
    ['digits of two kinds', '\u09e71\u0995.example', /digits of two kinds/],
    ['a stroke', 'login\u30ceexample.example', /a slash or a hyphen/],
    ['a label far from the name', '\u0430b.c.example.org', /mixes letters/],
  ])('%s: %s', (_what, host, problem) => {
    expect(lookAlikeProblem(domainToASCII(host))).toMatch(problem)
  })

  it.each([
    'example.org',
    'm\u00fcnchen.example',
    '\u0142\u00f3d\u017a.example',
    'na\u00efve.example',
    '\u043c\u043e\u0441\u043a\u0432\u0430.example',
    '\u0430\u0440\u0440\u04cf\u0435.\u0440\u0444',
    '\u65e5\u672c\u8a9e.jp',
    '\u65e5\u672c\u306e\u30c6\u30b9\u30c8abc.example',
    '\u4e2d\u6587abc.example',
    '\ud55c\uad6dabc.example',
    '\u03b5\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac.example',
    '\u05e9\u05dc\u05d5\u05dd.example',
    '\u0e44\u0e17\u0e22.example',
    '\u092a\u0939\u0932\u093e.example',
  ])('reports nothing for %s', (host) => {
    const ascii = domainToASCII(host)
    expect(ascii).not.toBe('')
    expect(lookAlikeProblem(ascii)).toBeUndefined()
  })
})
