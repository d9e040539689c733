import type { IncomingHttpHeaders } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { HeaderLines, UNREADABLE } from '../../../../src/http/request/headers.ts'

function of(rawHeaders: readonly string[], headers: unknown = {}): HeaderLines {
  return new HeaderLines({ rawHeaders, headers: headers as IncomingHttpHeaders, socket: {} })
}

const NAMES = ['host', 'x-a', 'x-b', 'signature', 'constructor', '__proto__']

describe('header lines', () => {
  it('are found by name in order of arrival, for any case and number of lines', () => {
    const line = fc.tuple(
      fc.constantFrom(...NAMES, 'X-A', 'Host', 'SIGNATURE', 'x-c'),
      fc.string({ maxLength: 3 }),
    )
    const heads = fc.oneof(
      fc.array(line, { maxLength: 8 }),
      fc.array(line, { minLength: 60, maxLength: 70, size: 'max' }),
    )
    const sizes = new Set<boolean>()
    fc.assert(
      fc.property(heads, (lines) => {
        const head = of(lines.flat())
        sizes.add(lines.length > 64)
        for (const name of NAMES) {
          const expected = lines.filter(([given]) => given.toLowerCase() === name).map(([, value]) => value)
          expect(head.all(name)).toEqual(expected)
        }
      }),
    )
    expect(sizes.size).toBe(2)
  })

  it('of a long header section are read once, for any number of names', () => {
    let looks = 0
    const lines = Array.from({ length: 1000 }, (_, at) => [`x-${at}`, 'a']).flat()
    const counted = new Proxy(lines, {
      get(target, property, receiver) {
        if (typeof property === 'string' && /^\d+$/.test(property)) looks++
        return Reflect.get(target, property, receiver) as unknown
      },
    })
    const head = of(counted)
    for (let at = 0; at < 100; at++) expect(head.all(`x-${at}`)).toEqual(['a'])
    expect(looks).toBe(2000)
  })

  it('of an adapter without `rawHeaders` come from `headers`, and are unreadable if not a single string', () => {
    const rows: [unknown, string[], string | undefined][] = [
      ['https://example.org', ['https://example.org'], 'https://example.org'],
      ['', [''], ''],
      [undefined, [], undefined],
      [['https://example.org'], [UNREADABLE], UNREADABLE],
      [['a', 'b'], ['a', 'b'], UNREADABLE],
      [['a', 7], [UNREADABLE], UNREADABLE],
      [[], [UNREADABLE], UNREADABLE],
      [null, [UNREADABLE], UNREADABLE],
      [7, [UNREADABLE], UNREADABLE],
      [{}, [UNREADABLE], UNREADABLE],
    ]
    for (const [value, all, one] of rows) {
      const head = of([], { Origin: value })
      expect([head.all('origin'), head.one('origin')]).toEqual([all, one])
    }
  })

  it('come from `headers` for the whole request or not at all', () => {
    const head = of(['Host', 'gateway.example'], { host: 'gateway.example', origin: 'https://example.org' })
    expect(head.one('origin')).toBe(undefined)
  })
})

describe('a header section', () => {
  const complete = (lines: number, server: unknown): boolean => {
    const rawHeaders = Array.from({ length: lines }, (_, index) => [`x-${index}`, '']).flat()
    return new HeaderLines({ rawHeaders, headers: {}, socket: { server } }).complete
  }

  it.each([
    ['with room for more lines', 999, {}, true],
    ['with as many lines as Node keeps', 1_000, {}, false],
    ['of a server that keeps fewer', 99, { maxHeadersCount: 100 }, true],
    ['with as many lines as its server keeps', 100, { maxHeadersCount: 100 }, false],
    ['of a server that keeps all', 2_000, { maxHeadersCount: 0 }, true],
    ['of a server that does not say how many it keeps', 1_000, { maxHeadersCount: null }, false],
    ['without a server', 1_000, undefined, false],
  ])('%s may or may not lack lines', (_what, lines, server, expected) => {
    expect(complete(lines, server)).toBe(expected)
  })

  it('of any length has no readable line for a singleton header that occurs twice', () => {
    for (const length of [0, 100]) {
      const rest = Array.from({ length }, (_, index) => [`x-${index}`, '']).flat()
      expect(of(['host', 'a', ...rest]).one('host')).toBe('a')
      expect(of(['host', 'a', ...rest, 'Host', 'b']).one('host')).toBe(UNREADABLE)
    }
  })
})
