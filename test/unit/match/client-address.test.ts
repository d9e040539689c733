import { describe, expect, it } from '@jest/globals'
import express from 'express'
import fc from 'fast-check'
import { ConfigError } from '../../../src/errors.ts'
import {
  compileClientAddress,
  type ClientAddress,
  type ClientAddressOptions,
} from '../../../src/match/client-address.ts'
import { parseIp } from '../../../src/match/ip.ts'
import { NO_ADDRESSES } from './ip.corpus.ts'
import { runs } from '../../support/runs.ts'

const PROXIES = ['10.0.0.0/8', '2001:db8:ffff::/48']
const PEER = '10.0.0.1'
const LIST = 'x-forwarded-for'
const SINGLES = [
  'cf-connecting-ip',
  'x-real-ip',
  'true-client-ip',
  'fly-client-ip',
  'x-azure-clientip',
  'x',
] as const
/** An address with a port, as allowed for a hop. */
const WITH_PORT = /^(?:[0-9.]+|\[[0-9a-f:.]+\]):[0-9]+$/i

type Header = ClientAddressOptions['header']

function find(header: Header, peer: string | undefined, ...lines: string[]): ClientAddress | undefined {
  return compileClientAddress({ trustedProxies: PROXIES, header }, 'test').read(peer, lines)
}

/** Address and hops as text, for tables. */
function said(client: ClientAddress | undefined): string | undefined {
  return client && `${client.address.text} after ${client.hops}`
}

describe('the peer of the socket', () => {
  const headers: readonly [Header, string][] = [
    [LIST, '198.51.100.7'],
    ['forwarded', 'for=198.51.100.7'],
    ['cf-connecting-ip', '198.51.100.7'],
  ]
  for (const [header, line] of headers) {
    it(`is the client if it is not trusted, whatever it writes into ${header}`, () => {
      for (const lines of [[line], [], ['junk'], [line, line]]) {
        const client = find(header, '203.0.113.9', ...lines)
        expect([client?.address.text, client?.source, client?.hops]).toEqual(['203.0.113.9', 'socket', 0])
      }
    })

    it(`is believed if it is trusted and sends ${header}`, () => {
      for (const peer of [PEER, '::ffff:10.0.0.1', '::ffff:a00:1', '2001:DB8:FFFF::1']) {
        const client = find(header, peer, line)
        expect([client?.address.text, client?.source, client?.hops]).toEqual(['198.51.100.7', header, 1])
      }
    })

    it(`is compared without the zone that Node adds to link-local addresses, if it sends ${header}`, () => {
      const { read } = compileClientAddress({ trustedProxies: ['linklocal'], header }, 'test')
      expect(said(read('fe80::1%eth0', [line]))).toBe('198.51.100.7 after 1')
      expect(said(find(header, 'fe80::1%eth0', line))).toBe('fe80::1 after 0')
    })

    it(`gives no address if it is unknown or invalid, whatever ${header} says`, () => {
      for (const peer of [undefined, '', 'unix:', '%eth0', '10.0.0.1:80', '10.1', '010.0.0.1']) {
        expect(find(header, peer, line)).toBeUndefined()
      }
    })

    it(`is not the client if it is trusted and does not send ${header}`, () => {
      expect(find(header, PEER)).toBeUndefined()
      expect(find(header, PEER, '')).toBeUndefined()
      expect(find(header, PEER, ' ')).toBeUndefined()
    })
  }

  it('is always the client if no proxy is trusted', () => {
    const nobody = compileClientAddress({ trustedProxies: [], header: LIST }, 'test')
    expect(said(nobody.read(PEER, ['198.51.100.7']))).toBe('10.0.0.1 after 0')
  })
})

describe('X-Forwarded-For', () => {
  const walks: readonly (readonly [lines: readonly string[], client: string | undefined])[] = [
    [['198.51.100.7, 10.0.0.2'], '198.51.100.7 after 2'],
    [['198.51.100.7,10.0.0.2'], '198.51.100.7 after 2'],
    [['198.51.100.7 \t,\t 10.0.0.2 '], '198.51.100.7 after 2'],
    // The entries of the caller are on the left and are not reached.
    [['192.0.2.1, 198.51.100.7'], '198.51.100.7 after 1'],
    [['127.0.0.1, 10.0.0.9, 198.51.100.7, 10.0.0.2'], '198.51.100.7 after 2'],
    [['junk, , unknown, 198.51.100.7'], '198.51.100.7 after 1'],
    // Lines count in order.
    [['192.0.2.1', '198.51.100.7', '10.0.0.2'], '198.51.100.7 after 2'],
    [['10.0.0.2', '198.51.100.7'], '198.51.100.7 after 1'],
    [['192.0.2.1, 198.51.100.7', '10.0.0.3, 10.0.0.2'], '198.51.100.7 after 3'],
    // If all are trusted, the farthest is the client.
    [['10.0.0.4, 10.0.0.3, 10.0.0.2'], '10.0.0.4 after 3'],
    [['2001:db8::7, 2001:db8:ffff::2'], '2001:db8::7 after 2'],
    [['::ffff:198.51.100.7, ::ffff:10.0.0.2'], '198.51.100.7 after 2'],
    // Invalid text in place of an address is never skipped.
    [['198.51.100.7,'], undefined],
    [['198.51.100.7, '], undefined],
    [['198.51.100.7,,10.0.0.2'], undefined],
    [['198.51.100.7', ''], undefined],
    [['198.51.100.7, unknown'], undefined],
    [['198.51.100.7, junk, 10.0.0.2'], undefined],
    [[', 10.0.0.2'], undefined],
    [['junk, 10.0.0.2'], undefined],
    // With a port, as Azure writes it.
    [['198.51.100.7:4711'], '198.51.100.7 after 1'],
    [['198.51.100.7:0, 10.0.0.2:65535'], '198.51.100.7 after 2'],
    [['[2001:db8::7]:443, [2001:db8:ffff::1]:1'], '2001:db8::7 after 2'],
    [['[::ffff:198.51.100.7]:443'], '198.51.100.7 after 1'],
    // An IPv6 address without brackets has no port, whatever its last digits mean.
    [['2001:db8::1:443'], '2001:db8::1:443 after 1'],
    [['[2001:db8::7]'], undefined],
    [['[198.51.100.7]:443'], undefined],
    [['[2001:db8::7]443'], undefined],
    [['[2001:db8::7]:'], undefined],
    [['[2001:db8::7%eth0]:443'], undefined],
    [['[2001:db8::7]:443:443'], undefined],
    [['2001:db8::7]:443'], undefined],
    [['198.51.100.7:'], undefined],
    [['198.51.100.7:65536'], undefined],
    [['198.51.100.7:-1'], undefined],
    [['198.51.100.7:+1'], undefined],
    [['198.51.100.7: 1'], undefined],
    [['198.51.100.7:1e3'], undefined],
    [['198.51.100.7:443:443'], undefined],
    [['198.51.100:443'], undefined],
    [['0198.51.100.7:443'], undefined],
    [[':443'], undefined],
    [['198.51.100.7, unknown:443'], undefined],
    [['"198.51.100.7"'], undefined],
    [['for=198.51.100.7'], undefined],
    [['198.51.100.7; 10.0.0.2'], undefined],
    [['198.51.100.7 10.0.0.2'], undefined],
  ]
  for (const [lines, client] of walks) {
    it(`${JSON.stringify(lines)} names ${client ?? 'nobody'}`, () => {
      expect(said(find(LIST, PEER, ...lines))).toBe(client)
    })
  }

  it('names nobody with text that is not an address', () => {
    for (const text of NO_ADDRESSES) {
      // Blanks around an element are not a part of it, and a list is read from its end.
      if (/^[ \t]|[ \t]$|,/.test(text) || WITH_PORT.test(text)) continue
      expect([text, find(LIST, PEER, `198.51.100.7, ${text}`)]).toEqual([text, undefined])
    }
  })

  it('lets a caller choose nothing by writing entries to the left', () => {
    const headerText = fc.string({
      unit: fc.constantFrom(...'0123456789abcdef.:,;="\\[] \t_-'),
      maxLength: 40,
    })
    fc.assert(
      fc.property(fc.array(fc.oneof(headerText, fc.ipV4(), fc.ipV6()), { maxLength: 4 }), (written) => {
        expect(said(find(LIST, PEER, ...written, '198.51.100.7, 10.0.0.2'))).toBe('198.51.100.7 after 2')
        const forwarded = said(find('forwarded', PEER, ...written, 'for=198.51.100.7, for=10.0.0.2'))
        // An unclosed quotation makes the whole header unreadable, which denies.
        expect([undefined, '198.51.100.7 after 2']).toContain(forwarded)
      }),
      { numRuns: runs(1000) },
    )
  })
})

describe('Forwarded', () => {
  const walks: readonly (readonly [lines: readonly string[], client: string | undefined])[] = [
    [['for=198.51.100.7'], '198.51.100.7 after 1'],
    [['For=198.51.100.7'], '198.51.100.7 after 1'],
    [['FOR="198.51.100.7"'], '198.51.100.7 after 1'],
    [['for="198.51.100.7:4711"'], '198.51.100.7 after 1'],
    [['for="198.51.100.7:_port"'], '198.51.100.7 after 1'],
    [['for="[2001:db8::7]"'], '2001:db8::7 after 1'],
    [['for="[2001:DB8:0::7]:4711"'], '2001:db8::7 after 1'],
    [['for="[::ffff:198.51.100.7]:4711"'], '198.51.100.7 after 1'],
    [['for=198.51.100.7;proto=https;by=10.0.0.1'], '198.51.100.7 after 1'],
    [['proto=https; for=198.51.100.7 ;host="a,b;for=192.0.2.1"'], '198.51.100.7 after 1'],
    [['for=198.51.100.7;host="a\\",for=192.0.2.1"'], '198.51.100.7 after 1'],
    // Outside a quotation, a backslash is an ordinary character.
    [['for=192.0.2.66\\,for=198.51.100.7'], '198.51.100.7 after 1'],
    [['for=192.0.2.1, for=198.51.100.7;by=x, for="[2001:db8:ffff::2]:9"'], '198.51.100.7 after 2'],
    [['for=192.0.2.1', 'for=198.51.100.7', 'for=10.0.0.2'], '198.51.100.7 after 2'],
    [['for=10.0.0.4,for=10.0.0.3'], '10.0.0.4 after 2'],
    [['for=unknown, for=198.51.100.7'], '198.51.100.7 after 1'],
    [['junk, for=198.51.100.7'], '198.51.100.7 after 1'],
    // Text instead of an address.
    [['for=unknown'], undefined],
    [['for=Unknown'], undefined],
    [['for="unknown"'], undefined],
    [['for=_hidden'], undefined],
    [['for="_SEVKISEK"'], undefined],
    [['for=198.51.100.7, for=unknown'], undefined],
    [['for=198.51.100.7, for=_gazonk, for=10.0.0.2'], undefined],
    [['for='], undefined],
    [['for=""'], undefined],
    [['for'], undefined],
    [['proto=https'], undefined],
    [['by=198.51.100.7'], undefined],
    [['xfor=198.51.100.7'], undefined],
    [['198.51.100.7'], undefined],
    [['for=198.51.100.7,'], undefined],
    [['for=198.51.100.7, , for=10.0.0.2'], undefined],
    [['for=198.51.100.7;for=192.0.2.1'], undefined],
    [['for=198.51.100.7;FOR=198.51.100.7'], undefined],
    [['for=198.51.100.7;junk'], undefined],
    [['for=198.51.100.7;;proto=https'], undefined],
    [['for =198.51.100.7'], undefined],
    [['for= 198.51.100.7'], undefined],
    [['for=198.51.100.7 proto=https'], undefined],
    [['for=198.51.100.7:4711'], undefined],
    [['for=[2001:db8::7]'], undefined],
    [['for=2001:db8::7'], undefined],
    [['for="2001:db8::7"'], undefined],
    [['for="[198.51.100.7]"'], undefined],
    [['for="[2001:db8::7"'], undefined],
    [['for="2001:db8::7]"'], undefined],
    [['for="[2001:db8::7]:"'], undefined],
    [['for="[2001:db8::7]:123456"'], undefined],
    [['for="[2001:db8::7]x"'], undefined],
    [['for="[fe80::1%eth0]"'], undefined],
    [['for="198.51.100.7:"'], undefined],
    [['for="198.51.100.7:0x50"'], undefined],
    [['for="198.51.\\100.7"'], undefined],
    [['for=" 198.51.100.7"'], undefined],
    [['for="198.51.100.7, 192.0.2.1"'], undefined],
    [["for='198.51.100.7'"], undefined],
    [['for=010.51.100.7'], undefined],
    [['for=198.51.100.7\u00a0'], undefined],
    // Unclosed quotations: the elements are ambiguous.
    [['for="198.51.100.7'], undefined],
    [['for=198.51.100.7"'], undefined],
    [['for="x', 'for=198.51.100.7'], undefined],
    [['for="x', 'for="[2001:db8::7]"'], undefined],
    [['for="x\\', 'for="[2001:db8::7]"'], undefined],
    [['for=198.51.100.7;host="x\\"'], undefined],
  ]
  for (const [lines, client] of walks) {
    it(`${JSON.stringify(lines)} names ${client ?? 'nobody'}`, () => {
      expect(said(find('forwarded', PEER, ...lines))).toBe(client)
    })
  }
})

describe('any header', () => {
  const trusted = fc.constantFrom('10.0.0.2', '10.255.255.255', '2001:db8:ffff::2')
  const stranger = fc.oneof(
    fc.ipV4().filter((text) => !text.startsWith('10.')),
    fc.constantFrom('2001:db8::7', '2001:db8:fffe::1', '2001:db9::'),
  )
  const nobody = fc.constantFrom('', 'unknown', '_hidden', 'junk', '010.0.0.1', 'fe80::1%eth0', '10.0.0.2/8')
  const hops = fc.array(fc.oneof({ weight: 3, arbitrary: trusted }, stranger, nobody), {
    minLength: 1,
    maxLength: 6,
  })
  const shapes = fc.array(
    fc.record({
      newLine: fc.boolean(),
      blank: fc.constantFrom('', ' ', '\t'),
      port: fc.constantFrom('', ':443', ':_p'),
      more: fc.constantFrom('', ';proto=https', ';host="a, for=192.0.2.66"', ';by="\\"; for=192.0.2.66"'),
      mapped: fc.boolean(),
    }),
    { minLength: 6, maxLength: 6 },
  )
  type Shape = typeof shapes extends fc.Arbitrary<(infer One)[]> ? One : never

  /** The nearest untrusted address, or the farthest of all, unless a hop without an address comes first. */
  function expected(way: readonly string[]): string | undefined {
    let client: string | undefined
    for (const [index, hop] of way.toReversed().entries()) {
      const address = parseIp(hop)
      if (address === undefined) return undefined
      client = `${address.text} after ${index + 1}`
      if (!hop.startsWith('10.') && !hop.startsWith('2001:db8:ffff:')) return client
    }
    return client
  }

  function linesOf(
    way: readonly string[],
    written: readonly Shape[],
    write: (hop: string, shape: Shape) => string,
  ): string[] {
    const lines: string[] = []
    for (const [index, hop] of way.entries()) {
      const shape = written[index] as Shape
      const element = `${shape.blank}${write(hop, shape)}${shape.blank}`
      if (index === 0 || shape.newLine) lines.push(element)
      else lines.push(`${lines.pop()},${element}`)
    }
    return lines
  }

  const spelled = (hop: string, { mapped }: Shape): string =>
    mapped && /^[1-9][0-9.]+$/.test(hop) ? `::ffff:${hop}` : hop

  it('is read the same in X-Forwarded-For, however it is spread over lines', () => {
    fc.assert(
      fc.property(hops, shapes, (way, written) => {
        expect(said(find(LIST, PEER, ...linesOf(way, written, spelled)))).toBe(expected(way))
      }),
      { numRuns: runs(3000) },
    )
  })

  it('is read the same in Forwarded, whatever else the elements contain', () => {
    const element = (hop: string, shape: Shape): string => {
      const text = spelled(hop, shape)
      return `for="${text.includes(':') ? `[${text}]` : text}${shape.port}"${shape.more}`
    }
    fc.assert(
      fc.property(hops, shapes, (way, written) => {
        expect(said(find('forwarded', PEER, ...linesOf(way, written, element)))).toBe(expected(way))
      }),
      { numRuns: runs(3000) },
    )
  })

  it('stops at the element of the proxy, or nowhere, whatever quotation the caller opens before it', () => {
    const text = fc.string({ unit: fc.constantFrom(...'for=",;\\ 16.[]:'), maxLength: 24 })
    fc.assert(
      fc.property(fc.array(text, { maxLength: 3 }), fc.boolean(), (written, newLine) => {
        const last = 'for="[2001:db8::7]:443";host="x, for=192.0.2.66";by="\\", for=192.0.2.66"'
        const lines = newLine ? [...written, last] : [[...written, last].join(',')]
        expect([undefined, '2001:db8::7 after 1']).toContain(said(find('forwarded', PEER, ...lines)))
      }),
      { numRuns: runs(3000) },
    )
  })
})

describe('a preset', () => {
  const app = express()
  const near = ['9.255.255.255', '11.0.0.0', '126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0']
  const farther = [
    '172.15.255.255',
    '172.16.0.0',
    '172.31.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '192.169.0.0',
  ]
  const six = [
    '::',
    '::1',
    '::2',
    'fbff::',
    'fc00::',
    'fdff:ffff::',
    'fe00::',
    'fe80::',
    'febf::1',
    'fec0::',
    'ff02::1',
  ]
  const mapped = [
    '::ffff:10.0.0.1',
    '::ffff:127.9.9.9',
    '::ffff:169.254.0.1',
    '::127.0.0.1',
    '::ffff:11.0.0.0',
  ]
  const anything = fc.oneof(
    fc.constantFrom(...near, ...farther, ...six, ...mapped),
    fc.ipV4(),
    fc
      .tuple(fc.constantFrom('10', '127', '169.254', '172.16', '192.168'), fc.ipV4())
      .map(([start, text]) => [...start.split('.'), ...text.split('.')].slice(0, 4).join('.')),
  )
  for (const [name, theirs] of [
    ['loopback', 'loopback'],
    ['linklocal', 'linklocal'],
    ['uniquelocal', 'uniquelocal'],
    ['private', 'uniquelocal'],
  ] as const) {
    it(`${name} contains the same addresses as ${theirs} in Express`, () => {
      const { trusts } = compileClientAddress({ trustedProxies: [name], header: LIST }, 'test')
      app.set('trust proxy', theirs)
      const trust = app.get('trust proxy fn') as (address: string, hop: number) => boolean
      fc.assert(
        fc.property(anything, (text) => {
          const address = parseIp(text)
          expect([text, address && trusts(address)]).toEqual([text, trust(text, 0)])
        }),
        { numRuns: runs(2000) },
      )
    })
  }

  it('can be combined with ranges, and repeated', () => {
    const option = { trustedProxies: ['loopback', '192.0.2.1', 'private', 'loopback'], header: LIST }
    const { read } = compileClientAddress(option, 'test')
    expect(said(read('127.0.0.1', ['198.51.100.7, 10.0.0.1, 192.0.2.1']))).toBe('198.51.100.7 after 3')
  })
})

describe('headers with a single value', () => {
  for (const header of SINGLES) {
    it(`${header} names one address in any spelling`, () => {
      expect(said(find(header, PEER, '198.51.100.7'))).toBe('198.51.100.7 after 1')
      expect(said(find(header, PEER, ' 2001:DB8::7\t'))).toBe('2001:db8::7 after 1')
      expect(said(find(header, PEER, '10.0.0.9'))).toBe('10.0.0.9 after 1')
      expect(said(find(header, PEER, '198.51.100.7:51820'))).toBe('198.51.100.7 after 1')
      expect(said(find(header, PEER, '[2001:DB8::7]:443'))).toBe('2001:db8::7 after 1')
    })

    it(`${header} names nobody if it is repeated, a list, or not an address`, () => {
      expect(find(header, PEER, '198.51.100.7', '198.51.100.7')).toBeUndefined()
      expect(find(header, PEER, '198.51.100.7', '')).toBeUndefined()
      for (const text of ['198.51.100.7, 198.51.100.7', '198.51.100.7:1, 198.51.100.7:1', ...NO_ADDRESSES]) {
        if (/^[ \t]|[ \t]$/.test(text) || WITH_PORT.test(text)) continue
        expect([text, find(header, PEER, text)]).toEqual([text, undefined])
      }
    })
  }
})

describe('a Unix socket', () => {
  it('is believed only if it is listed among the proxies', () => {
    const unix = compileClientAddress({ trustedProxies: ['unix', '10.0.0.0/8'], header: LIST }, 'test')
    expect(said(unix.read('unix', ['192.0.2.1, 198.51.100.7, 10.0.0.2']))).toBe('198.51.100.7 after 2')
    expect(unix.read('unix', [])).toBeUndefined()
    expect(unix.read(undefined, ['198.51.100.7'])).toBeUndefined()
    expect(said(unix.read('203.0.113.9', ['198.51.100.7']))).toBe('203.0.113.9 after 0')
    const alone = compileClientAddress({ trustedProxies: ['unix'], header: 'x-real-ip' }, 'test')
    expect(said(alone.read('unix', ['198.51.100.7']))).toBe('198.51.100.7 after 1')
    expect(find(LIST, 'unix', '198.51.100.7')).toBeUndefined()
  })
})

describe('an address with a port', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6())
  const hop = fc.tuple(address, fc.option(fc.integer({ min: 0, max: 65_535 }), { nil: undefined }))

  it('is read as the address only, in every header except `Forwarded`', () => {
    fc.assert(
      fc.property(
        fc.array(hop, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(LIST, ...SINGLES),
        (hops, header) => {
          const bare = hops.map(([text]) => text)
          const written = hops.map(([text, port]) => {
            if (port === undefined) return text
            return text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`
          })
          expect(find(header, PEER, written.join(', '))).toEqual(find(header, PEER, bare.join(', ')))
        },
      ),
    )
  })

  it('names nobody if there is any other text', () => {
    const junk = fc.stringMatching(/^[^0-9, \t]{1,3}$/)
    fc.assert(
      fc.property(
        fc.ipV4(),
        fc.integer({ min: 0, max: 65_535 }),
        junk,
        fc.boolean(),
        (text, port, more, ahead) => {
          const written = ahead ? `${more}${text}:${port}` : `${text}:${port}${more}`
          if (parseIp(written) !== undefined) return // a leading `::` makes another address of it
          expect(find(LIST, PEER, written)).toBeUndefined()
        },
      ),
    )
  })
})

describe('10,000 hops', () => {
  const headers: readonly [Header, (hop: string) => string][] = [
    [LIST, (hop) => hop],
    ['forwarded', (hop) => `for="[${hop}]:443";proto=https`],
  ]
  for (const [header, write] of headers) {
    it(`in ${header} are read to the end, in one line or in many`, () => {
      const { read } = compileClientAddress({ trustedProxies: PROXIES, header }, 'test')
      const elements = Array.from({ length: 10_000 }, () => write('2001:db8:ffff::1'))
      for (const lines of [[elements.join(', ')], elements]) {
        expect(said(read(PEER, lines))).toBe('2001:db8:ffff::1 after 10000')
      }
    })
  }
})

describe('options', () => {
  const wrong: readonly (readonly [option: unknown, message: string | RegExp])[] = [
    [
      undefined,
      /`guard.clientAddress` takes an object with at least `trustedProxies`, `header`, got undefined/,
    ],
    [[], /takes an object with .*got an array of 0/],
    [{ header: LIST }, /`guard.clientAddress.trustedProxies` is missing: give an array /],
    [{ trustedProxies: '10.0.0.0/8', header: LIST }, /`guard.clientAddress.trustedProxies` must be an array/],
    [
      { trustedProxies: [] },
      /`guard.clientAddress.header` is missing: give the name of the header that the proxies write/,
    ],
    [{ header: 'fly-client-ip' }, /`guard.clientAddress.trustedProxies` is missing: give an array/],
    [{ trustedProxies: [], header: '' }, /`guard.clientAddress.header`/],
    [{ trustedProxies: [], header: 'client ip' }, /`guard.clientAddress.header` .*got "client ip"/],
    [{ trustedProxies: [], header: 'x-real-ip:' }, /`guard.clientAddress.header`/],
    [{ trustedProxies: [], header: 'x-real-ip, forwarded' }, /`guard.clientAddress.header`/],
    [{ trustedProxies: [], header: 'x-réal-ip' }, /`guard.clientAddress.header`/],
    [{ trustedProxies: [], header: 'x'.repeat(257) }, /`guard.clientAddress.header`/],
    [{ trustedProxies: [], header: null }, /`guard.clientAddress.header`/],
    [{ trustedProxies: [], header: [LIST] }, /`guard.clientAddress.header`/],
    [{ trustedProxies: [], header: LIST, hops: 2 }, /guard.clientAddress: unknown option `hops`/],
  ]
  for (const [option, message] of wrong) {
    it(`refuses ${JSON.stringify(option)}`, () => {
      const compile = () => compileClientAddress(option, 'guard.clientAddress')
      expect(compile).toThrow(ConfigError)
      expect(compile).toThrow(message)
    })
  }

  const proxies: readonly (readonly [entry: unknown, message: RegExp])[] = [
    ['10.0.0.1/8', /got "10.0.0.1\/8"/],
    ['10.0.0.1/8', /write `10.0.0.0\/8`/],
    ['::ffff:10.0.0.1', /write `10.0.0.1`/],
    ['2001:db8::1/32', /write `2001:db8::\/32`/],
    ['localhost', /or one of loopback, linklocal, uniquelocal, private, unix, got "localhost"/],
    ['Loopback', /got "Loopback"/],
    ['Unix', /got "Unix"/],
    ['unix:/run/socket', /got/],
    ['loopback, linklocal', /got "loopback, linklocal"/],
    ['constructor', /got "constructor"/],
    ['10.0.0.0/8, 192.0.2.1', /must be an address, a CIDR range/],
    ['', /got ""/],
    [1, /got 1/],
    [true, /got true/],
    [undefined, /is missing/],
    [['10.0.0.1'], /got an array of 1/],
    ['0.0.0.0/0', /not every address, got "0.0.0.0\/0"/],
    ['::/0', /not every address/],
  ]
  for (const [entry, message] of proxies) {
    it(`refuses the proxy ${JSON.stringify(entry)} with ${message.source}`, () => {
      const compile = () =>
        compileClientAddress({ trustedProxies: ['192.0.2.1', '192.0.2.2', entry], header: LIST }, 'guard')
      expect(compile).toThrow(/^`guard.trustedProxies\[2\]` (must be|is missing)/)
      expect(compile).toThrow(message)
    })
  }

  it('refuses a sparse array', () => {
    const trustedProxies: string[] = []
    trustedProxies[1] = '10.0.0.1'
    expect(() => compileClientAddress({ trustedProxies, header: LIST }, 'guard')).toThrow(
      /`guard.trustedProxies\[0\]`/,
    )
  })

  it('accepts the name of a header in any case', () => {
    const { read, header } = compileClientAddress(
      { trustedProxies: PROXIES, header: 'Fly-Client-IP' },
      'guard',
    )
    expect([header, read(PEER, ['198.51.100.7'])?.source]).toEqual(['fly-client-ip', 'fly-client-ip'])
    const list = compileClientAddress({ trustedProxies: PROXIES, header: 'X-Forwarded-For' }, 'guard')
    expect(said(list.read(PEER, ['198.51.100.7, 10.0.0.2']))).toBe('198.51.100.7 after 2')
  })

  it('are neither changed nor read again', () => {
    const trustedProxies = Object.freeze(['10.0.0.0/8'])
    const option = Object.freeze({ trustedProxies, header: LIST })
    expect(said(compileClientAddress(option, 'guard').read(PEER, ['198.51.100.7']))).toBe(
      '198.51.100.7 after 1',
    )
    const open = { trustedProxies: ['10.0.0.0/8'], header: LIST }
    const { read } = compileClientAddress(open, 'guard')
    open.trustedProxies[0] = '198.51.100.0/24'
    expect(read(PEER, ['198.51.100.7'])?.address).toEqual(parseIp('198.51.100.7'))
    expect(said(read('198.51.100.9', ['192.0.2.1']))).toBe('198.51.100.9 after 0')
  })
})
