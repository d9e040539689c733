import { describe, expect, it } from '@jest/globals'
import { parse as parseSimple } from 'node:querystring'
import express from 'express'
import fc from 'fast-check'
import { readBodyParameter, readQueryParameter } from '../../../../src/http/request/parameters.ts'
import { runs } from '../../../support/runs.ts'

const query = (text: string, name = 'return_url'): unknown => readQueryParameter(`/x?${text}`, name)

describe('readQueryParameter', () => {
  const found: [string, string | undefined][] = [
    ['return_url=https://example.org/', 'https://example.org/'],
    ['a=1&return_url=x&b=2', 'x'],
    ['return%5Furl=x', 'x'],
    ['%72eturn_url=x', 'x'],
    ['return_url=a%20b+c%2Bd', 'a b c+d'],
    ['return_url=a=b?c', 'a=b?c'],
    ['return_url=', ''],
    ['return_url', ''],
    ['return_url=%C3%A4', '\u00e4'],
    ['', undefined],
    ['a=return_url', undefined],
    ['Return_Url=x', undefined],
    ['+return_url=x', undefined],
    ['return_url%00=x', undefined],
    ['return%255Furl=x', undefined],
    ['a[return_url]=x', undefined],
    ['xreturn_url=x&return_urlx=y&return_url.x=z', undefined],
  ]
  it.each(found)('reads %j', (text, value) => {
    expect(query(text)).toEqual({ value })
  })

  const repeated = [
    'return_url=a&return_url=b',
    'return_url=a&return_url=a',
    'return_url=a&return_url',
    'return_url=&return_url=a',
    'return_url=a&x=1&return%5furl=b',
    'return_url=a&%72eturn_url=b',
    'return_url[]=a',
    'return_url%5B%5D=a',
    'return_url%5b0%5d=a',
    'return_url[0]=a&return_url[1]=b',
    'return_url[x]=a',
    'return_url[x][y]=a',
    'return_url[__proto__]=a',
    'return_url[%ff]=a',
    'return_url[=a',
    'return_url]=a',
    '[return_url]=a',
    '%5Breturn_url%5D=a',
    '[return_url][]=a',
    'return_url=a&[return_url]=b',
    'return_url=a&return_url[]=b',
    'return_url[]=b&return_url=a',
  ]
  it.each(repeated.map((text) => [text]))('refuses %s', (text) => {
    expect(query(text)).toEqual({ problem: 'repeated' })
  })

  it.each(['%', '%ED%A0%80', '%ff', '%C3', 'a%zz', '%u0041'])(
    'refuses %s, which cannot be decoded',
    (value) => {
      expect(query(`return_url=${value}`)).toEqual({ problem: 'encoding' })
    },
  )

  it.each(['https://example.org/?a[]=1', 'x]=', 'x%5d=y'])(
    'refuses %s, which some parsers treat as a name',
    (value) => {
      expect(query(`return_url=${value}`)).toEqual({ problem: 'encoding' })
      expect(query(`return_url=${encodeURIComponent(value)}`)).toEqual({ value })
    },
  )

  it('counts parameters, because parsers drop those after the thousandth', () => {
    const fill = (count: number): string => 'a=1&'.repeat(count)
    expect(query(`${fill(999)}return_url=x`)).toEqual({ value: 'x' })
    expect(query(`${fill(1000)}return_url=x`)).toEqual({ problem: 'too many parameters' })
    expect(query(`return_url=x${'&'.repeat(1000)}`)).toEqual({ problem: 'too many parameters' })
    expect(query('&'.repeat(1_000_000))).toEqual({ problem: 'too many parameters' })
  })

  it('reads a target without a query, and refuses one with a fragment', () => {
    expect(readQueryParameter('/x', 'return_url')).toEqual({ value: undefined })
    expect(readQueryParameter('', 'return_url')).toEqual({ value: undefined })
    for (const target of ['/x#?return_url=a', '/x?return_url=a#', '/x?a#&return_url=b'])
      expect(readQueryParameter(target, 'return_url')).toEqual({ problem: 'fragment in the request target' })
  })

  it('uses a name with brackets as declared', () => {
    expect(query('back[url]=x&back[code]=y', 'back[url]')).toEqual({ value: 'x' })
    expect(query('back[url][]=x', 'back[url]')).toEqual({ problem: 'repeated' })
    expect(query('back=x&back[url]=y', 'back[url]')).toEqual({ problem: 'repeated' })
  })

  it('finds a text only if every common parser finds the same', () => {
    const simple = (text: string): unknown => parseSimple(text)['return_url']
    const app = express().set('query parser', 'extended')
    const parseExtended = app.get('query parser fn') as (text: string) => Record<string, unknown>
    const ours = [
      'return_url',
      'return_url=',
      '&return_url=a&',
      'return%5Furl',
      'return',
      '_url',
      '[return_url]',
    ]
    const brackets = ['[]', '[0]', '[', ']', '%5B', '%5d', '[__proto__]', '.']
    const others = ['=', '&', '&', 'a', 'b', '+', '%2B', '%20', '%', '%ff', '%ED%A0%80', '%00', '?', ',']
    const piece = fc.constantFrom(...ours, ...brackets, ...others)
    let found = 0
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join('')
        const reading = readQueryParameter(`/?${text}`, 'return_url')
        const parsed = [simple(text), parseExtended(text)['return_url']]
        if ('problem' in reading) return
        if (reading.value !== undefined) found += 1
        expect([text, ...parsed]).toEqual([text, reading.value, reading.value])
        expect(new URLSearchParams(text.replace(/^\?/, '%3F')).get('return_url') ?? undefined).toBe(
          reading.value,
        )
      }),
      { numRuns: runs(10_000) },
    )
    expect(found).toBeGreaterThan(runs(500))
  })
})

describe('readBodyParameter', () => {
  const body = (text: string | Uint8Array, type?: string, path = 'return_url'): unknown =>
    readBodyParameter(
      { kind: 'bytes', bytes: typeof text === 'string' ? Buffer.from(text) : text },
      type,
      path.split('.'),
    )
  const JSON_TYPE = 'application/json'
  const FORM = 'application/x-www-form-urlencoded'

  it('reads JSON and forms by their type', () => {
    expect(body('{"return_url":"x"}', JSON_TYPE)).toEqual({ value: 'x' })
    expect(body('{"return_url":"x"}', 'Application/Problem+JSON ; charset="UTF-8"')).toEqual({ value: 'x' })
    expect(body('\ufeff{"return_url":"x"}', JSON_TYPE)).toEqual({ value: 'x' })
    expect(body('return_url=x+y', `${FORM}; charset=utf-8`)).toEqual({ value: 'x y' })
    expect(body('', FORM)).toEqual({ value: undefined })
    expect(readBodyParameter({ kind: 'none' }, undefined, ['return_url'])).toEqual({ value: undefined })
  })

  it('reads nested values: members of members, and form fields with brackets', () => {
    expect(body('{"options":{"redirect":{"url":"x"}}}', JSON_TYPE, 'options.redirect.url')).toEqual({
      value: 'x',
    })
    expect(body('options[redirect][url]=x', FORM, 'options.redirect.url')).toEqual({ value: 'x' })
    expect(body('options%5Bredirect%5D%5Burl%5D=x', FORM, 'options.redirect.url')).toEqual({ value: 'x' })
    expect(body('options[redirect][code]=y', FORM, 'options.redirect.url')).toEqual({ value: undefined })
    for (const form of [
      'options[redirect][url][]=x',
      '[options][redirect][url]=x',
      'options=y',
      'options[redirect]=y',
    ])
      expect(body(form, FORM, 'options.redirect.url')).toEqual({ problem: 'repeated' })
  })

  it('refuses a repeated name, and too many', () => {
    expect(body('{"return_url":"x","return\\u005furl":"y"}', JSON_TYPE)).toEqual({ problem: 'repeated' })
    expect(body('return_url=x&return_url=y', FORM)).toEqual({ problem: 'repeated' })
    expect(body(`${'&'.repeat(1000)}return_url=y`, FORM)).toEqual({ problem: 'too many parameters' })
  })

  const malformed: [string, string | Uint8Array, string | undefined][] = [
    ['a body of no type', '{"return_url":"x"}', undefined],
    ['a body of another type', '{"return_url":"x"}', 'text/plain'],
    ['something like JSON', '{"return_url":"x"}', 'application/jsonx'],
    ['no JSON', 'return_url=x', JSON_TYPE],
    ['bytes that are not UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), JSON_TYPE],
    ['a form that is not UTF-8', Uint8Array.of(0xff), FORM],
    ['UTF-7', '{"return_url":"x","return+AF8-url":"y"}', `${JSON_TYPE}; charset=utf-7`],
    ['UTF-16', Buffer.from('{"return_url":"x"}', 'utf16le'), `${JSON_TYPE}; charset=utf-16le`],
    ['UTF-16 that says nothing', Buffer.from('{"return_url":"x"}', 'utf16le'), JSON_TYPE],
    ['ISO 8859-1', 'return_url=x', `${FORM}; charset=iso-8859-1`],
    ['a charset in disguise', '{"return_url":"x"}', `${JSON_TYPE}; a="; charset=utf-8"; CHARSET = "utf-7"`],
  ]
  it.each(malformed)('refuses %s', (_what, text, type) => {
    expect(body(text, type)).toEqual({ problem: 'malformed body' })
  })

  it('distinguishes an unavailable body from none', () => {
    expect(readBodyParameter({ kind: 'unavailable' }, JSON_TYPE, ['return_url'])).toEqual({
      problem: 'body not kept',
    })
  })

  it('never throws, for any bytes', () => {
    const alphabet = fc.constantFrom(
      ...'{}[]":,\\&=%+;u0an',
      'return_url',
      '"return_url":',
      'options[url]',
      '\ud800',
      '\u0000',
    )
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc.array(alphabet, { maxLength: 30 }).map((pieces) => Buffer.from(pieces.join(''))),
    )
    const type = fc.constantFrom(
      undefined,
      '',
      ';',
      JSON_TYPE,
      FORM,
      `${FORM};charset`,
      'application/x+json; charset=utf-8',
    )
    fc.assert(
      fc.property(noise, type, fc.constantFrom('return_url', 'options.url'), (bytes, contentType, path) => {
        const reading = body(bytes, contentType, path) as object
        expect('value' in reading !== 'problem' in reading).toBe(true)
        const target = Buffer.from(bytes).toString('latin1')
        expect(() => readQueryParameter(target, path)).not.toThrow()
      }),
      { numRuns: runs(5000) },
    )
  })
})
