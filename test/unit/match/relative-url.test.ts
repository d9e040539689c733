import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parseRelativeUrl } from '../../../src/match/relative-url.ts'
import { runs } from '../../support/runs.ts'

const HERE = 'https://gateway.example:8443'

describe('parseRelativeUrl', () => {
  const taken: [string, string][] = [
    ['/', `${HERE}/`],
    ['/settings', `${HERE}/settings`],
    ['/settings/', `${HERE}/settings/`],
    ['/settings?tab=2&x=%c3%a4', `${HERE}/settings?tab=2&x=%C3%A4`],
    ['/a/b-c_d.e~f;g=1/@me/x:y', `${HERE}/a/b-c_d.e~f;g=1/@me/x:y`],
    ['/%C3%A4?', `${HERE}/%C3%A4?`],
    ["/o'brien?q='", `${HERE}/o'brien?q=%27`],
    ['/x?next=//evil.example', `${HERE}/x?next=//evil.example`],
    ['https://example.org/callback/', 'https://example.org/callback/'],
  ]
  it.each(taken)('reads %s', (text, href) => {
    expect(parseRelativeUrl(text, HERE)).toHaveProperty('href', href)
  })

  const hostile: [string, readonly string[]][] = [
    [
      'not absolute',
      [
        '',
        '?x',
        '#x',
        '.',
        '..',
        './x',
        '../x',
        'x',
        'x/y',
        'settings',
        '@evil.example',
        ':8443/x',
        '%2f',
        '%2Fevil.example',
        ';/x',
        'evil.example/x',
        '//',
        '//evil.example',
        '//evil.example/x',
        '///evil.example',
        '////evil.example',
        '//gateway.example:8443/x',
        '//@evil.example',
        '//%2e%2e/x',
        'https:',
        'https:x',
        'https:/x',
        'http:/evil.example',
      ],
    ],
    [
      'backslash',
      [
        '\\',
        '\\evil.example',
        '/\\',
        '/\\evil.example',
        '/\\/evil.example',
        '\\/evil.example',
        '\\\\evil.example',

        '/x\\..\\y',
        '/x?\\',
      ],
    ],
    [
      'control character',
      [
        '\t/x',
        '/\t/evil.example',
        '/\n/evil.example',
        '/\r\n/evil.example',
        '/\0',
        '\x01/x',
        '/x\x7f',
        '/.\t./x',
        '/x\r\nSet-Cookie: a=b',
      ],
    ],
    [
      'not ASCII',
      [
        '/\u3002/evil.example',
        '/\uff0fevil.example',
        '/\u00e4',
        '\ufeff/x',
        '\u00a0/x',
        '/\ud800',
        '/\u2028/x',
      ],
    ],
    [
      'character',
      [' /x', '/x ', '/ /evil.example', '/<x>', '/"x"', '/x y', '/{x}', '/|x', '/^', '/`', '/[x]'],
    ],
    [
      'dot segment',
      [
        '/.',
        '/..',
        '/./x',
        '/../x',
        '/.//evil.example',
        '/..//evil.example',
        '/././/evil.example',
        '/x/..//evil.example',
        '/x/../..//evil.example',
        '/%2e/x',
        '/%2e%2e//evil.example',
        '/.%2e/x',
        '/%2E./x',
        '/%252e%252e/x',
        '/..;/x',
        '/..;a=b//evil.example',
        '/x/..',
      ],
    ],
    [
      'encoded separator',
      [
        '/%2fevil.example',
        '/%2Fevil.example',
        '/%2f%2fevil.example',
        '/%5cevil.example',
        '/%5Cevil.example',
        '/%252fevil.example',
        '/x%2fy',
        '/%255cx',
      ],
    ],
    [
      'encoded control character',
      ['/%09/evil.example', '/%0d%0aSet-Cookie:%20a=b', '/%00', '/%7f', '/%0a/x', '/x?a=%0d%0a'],
    ],
    ['encoding', ['/%', '/%2', '/%zz', '/%u002f', '/%c0%af', '/%ff', '/%ED%A0%80', '/x?%']],
    ['fragment', ['/x#', '/x#y', '/#//evil.example', '/#']],
    [
      'scheme',
      [
        'javascript:alert(1)',
        'JavaScript:alert(1)',
        'data:text/html,x',
        'javascript://x/%0aalert(1)',
        'blob:https://gateway.example/x',
      ],
    ],
    ['user information', ['https://a@evil.example/', 'https://@gateway.example:8443/x']],
    ['host', ['https:///x', 'https://[x/', 'https://x..y/']],
    ['too long', [`/${'x'.repeat(2048)}`]],
  ]
  for (const [problem, texts] of hostile) {
    it.each(texts.map((text) => [text]))(`reports \`${problem}\` for %j`, (text) => {
      expect(parseRelativeUrl(text, HERE)).toEqual({ problem })
    })
  }

  it.each([[undefined], [null], [7], [['/x']], [{ toString: () => '/x' }]])('refuses %p', (value) => {
    expect(parseRelativeUrl(value, HERE)).toEqual({ problem: 'not a string' })
  })

  it('resolves everything that begins with a slash to this server, like a browser on a page here', () => {
    const marks = [
      '/',
      '/',
      '//',
      '\\',
      '.',
      '..',
      ';',
      '@',
      ':',
      '?',
      '#',
      '%',
      '\t',
      '\n',
      ' ',
      '\u3002',
      '\uff0f',
    ]
    const others = ['%2f', '%5c', '%2e', '%09', 'evil.example', 'x', 'https:', 'javascript:']
    const piece = fc.constantFrom(...marks, ...others)
    let taken = 0
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = `/${pieces.join('')}`
        const read = parseRelativeUrl(text, HERE)
        if ('problem' in read) return
        taken += 1
        expect(read.origin).toBe(HERE)
        // Also if a handler redirects to the raw text, or to the path and query of the given URL.
        for (const base of [`${HERE}/`, `${HERE}/a/b?c`]) {
          expect(new URL(text, base).href.replace(/%../g, (escape) => escape.toUpperCase())).toBe(read.href)
          expect(new URL(read.path + read.query, base).href).toBe(read.href)
        }
      }),
      { numRuns: runs(20_000) },
    )
    expect(taken).toBeGreaterThan(runs(300))
  })
})
