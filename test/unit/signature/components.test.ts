import { createHmac } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { baseText, signatureBase } from '../../../src/signature/base.ts'
import { parseSignatures } from '../../../src/signature/fields.ts'
import { structuredFields } from '../../../src/signature/structured.ts'
import { verifyMessage } from '../../../src/signature/verify.ts'
import { KEYS, messageOf, NOW, RULES, SECRET, type PlainMessage } from './message.ts'

const REQUIRED = '"@method" "@authority" "@path" "@query"'
const PARAMETERS = `created=${NOW / 1000};keyid="key-1";nonce="nonce-of-16-char"`

/** The signature base for components in the form of `Signature-Input`. */
function baseOf(components: string, message: Partial<PlainMessage>, structured = structuredFields): string {
  const plain = { method: 'GET', authority: 'www.example.com', target: '/', headers: {}, ...message }
  const received = parseSignatures([`s=(${components});${PARAMETERS}`], ['s=:AA==:'])
  if ('problem' in received) return received.problem
  const content = received[0]?.content
  if (content === undefined || 'problem' in content) return content?.problem ?? ''
  const base = baseText(messageOf(plain), content.components, content.input, structured)
  return typeof base === 'string' ? base : base.problem
}

const valuesOf = (components: string, message: Partial<PlainMessage>): string =>
  baseOf(components, message).replace(/\n?"@signature-params".*$/, '')

function verify(components: string, message: Partial<PlainMessage>): unknown {
  const text = baseOf(components, message)
  const mac = createHmac('sha256', Buffer.from(SECRET, 'base64')).update(text).digest('base64')
  const headers = {
    ...message.headers,
    'signature-input': `s=(${components});${PARAMETERS}`,
    signature: `s=:${mac}:`,
  }
  const plain = { method: 'GET', authority: 'www.example.com', target: '/', ...message, headers }
  return verifyMessage(messageOf(plain), KEYS, RULES, NOW)
}

describe('the examples of RFC 9421 2', () => {
  const dictionary = ' a=1, b=2;x=1;y=2, c=(a   b    c), d'
  const cases: readonly (readonly [
    section: string,
    components: string,
    message: Partial<PlainMessage>,
    values: string,
  ])[] = [
    [
      '2.1',
      '"host" "date" "x-ows-header" "cache-control" "example-dict"',
      {
        headers: {
          host: 'www.example.com',
          date: 'Tue, 20 Apr 2021 02:07:56 GMT',
          'x-ows-header': '   Leading and trailing whitespace.   ',
          'cache-control': ['max-age=60', '   must-revalidate'],
          'example-dict': '  a=1,    b=2;x=1;y=2,   c=(a   b   c)',
        },
      },
      `"host": www.example.com
"date": Tue, 20 Apr 2021 02:07:56 GMT
"x-ows-header": Leading and trailing whitespace.
"cache-control": max-age=60, must-revalidate
"example-dict": a=1,    b=2;x=1;y=2,   c=(a   b   c)`,
    ],
    ['2.1, empty', '"x-empty-header"', { headers: { 'x-empty-header': '' } }, '"x-empty-header": '],
    [
      '2.1.1',
      '"example-dict";sf',
      { headers: { 'example-dict': '  a=1,    b=2;x=1;y=2,   c=(a   b   c)' } },
      '"example-dict";sf: a=1, b=2;x=1;y=2, c=(a b c)',
    ],
    [
      '2.1.2',
      '"example-dict";key="a" "example-dict";key="d" "example-dict";key="b" "example-dict";key="c"',
      { headers: { 'example-dict': dictionary } },
      `"example-dict";key="a": 1
"example-dict";key="d": ?1
"example-dict";key="b": 2;x=1;y=2
"example-dict";key="c": (a b c)`,
    ],
    [
      '2.1.3, two lines',
      '"example-header";bs',
      { headers: { 'example-header': ['value, with, lots', 'of, commas'] } },
      '"example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:',
    ],
    [
      '2.1.3, one line',
      '"example-header";bs',
      { headers: { 'example-header': 'value, with, lots, of, commas' } },
      '"example-header";bs: :dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:',
    ],
    [
      '2.2.8',
      '"@query-param";name="baz" "@query-param";name="qux" "@query-param";name="param"',
      { target: '/path?param=value&foo=bar&baz=batman&qux=' },
      `"@query-param";name="baz": batman
"@query-param";name="qux": 
"@query-param";name="param": value`,
    ],
    [
      '2.2.8, encoded',
      '"@query-param";name="var" "@query-param";name="bar" "@query-param";name="fa%C3%A7ade%22%3A%20"',
      {
        target:
          '/parameters?var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something',
      },
      `"@query-param";name="var": this%20is%20a%20big%0Amultiline%20value
"@query-param";name="bar": with%20plus%20whitespace
"@query-param";name="fa%C3%A7ade%22%3A%20": something`,
    ],
  ]
  it.each(cases)('%s: %s', (_section, components, message, values) => {
    expect(valuesOf(components, message)).toBe(values)
    expect(verify(`${REQUIRED} ${components}`, message)).toMatchObject({ ok: true })
  })
})

describe('components with parameters', () => {
  const headers = { x: 'a=1, b=2' }

  it('may name one header several times, if the parameters differ', () => {
    expect(verify(`${REQUIRED} "x" "x";sf "x";bs "x";key="a" "x";key="b" "x";sf;key="a"`, { headers })).toMatchObject({ ok: true }) // prettier-ignore
  })

  it('keep the signed order of their parameters', () => {
    expect(valuesOf('"x";key="a";sf', { headers })).toBe('"x";key="a";sf: 1')
  })

  it.each([
    ['"x";sf "x";sf', '"x";sf'],
    ['"x";key="a";sf "x";sf;key="a"', '"x";sf;key="a"'],
    ['"@query-param";name="a" "@query-param";name="a"', '"@query-param";name="a"'],
  ])('%s are the same component twice', (components, repeated) => {
    expect(valuesOf(components, { headers, target: '/?a=1' })).toBe(`component ${repeated} is repeated`)
  })

  it.each([
    ['a name twice', '/?a=1&a=2'],
    ['a name twice, written in two ways', '/?a=1&%61=2'],
    ['no such name', '/?b=1'],
    ['no query', '/'],
    ['the name in other case', '/?A=1'],
  ])('@query-param is refused with %s', (_what, target) => {
    expect(valuesOf('"@query-param";name="a"', { target })).toMatch(
      /^the query does not have exactly one parameter named "a"$/,
    )
  })

  it.each(['é', 'a\nb'])('`;bs` covers bytes that no plain component can: %j', (value) => {
    const line = Buffer.from(value).toString('latin1')
    expect(valuesOf('"x";bs', { headers: { x: line } })).toBe(
      `"x";bs: :${Buffer.from(value).toString('base64')}:`,
    )
  })

  it.each([
    ['what is no byte', 'x";bs', { x: '\u0100' }, 'header `x` is not a byte sequence'],
    [
      'two lines of a header that has one',
      'host";bs',
      { host: ['a', 'b'] },
      'header `host` was sent more than once',
    ],
    ['a header that was not sent', 'y";sf', {}, 'header `y` is covered but was not sent'],
    ['no structured field', 'x";sf', { x: 'a b' }, 'header `x` has no value for "x";sf'],
    ['a repeated member', 'x";sf', { x: 'a=1, a=2' }, 'header `x` has no value for "x";sf'],
    ['a repeated member that a list may have', 'x";sf', { x: 'a, a' }, 'header `x` has no value for "x";sf'],
    ['a repeated parameter', 'x";sf', { x: 'a;b=1;b=2' }, 'header `x` has no value for "x";sf'],
    [
      'a decimal that the parser makes an integer',
      'x";sf',
      { x: 'a=1.0' },
      'header `x` has no value for "x";sf',
    ],
    ['a missing member', 'x";key="c"', { x: 'a=1' }, 'header `x` has no value for "x";key="c"'],
    [
      'a member of a repeated key',
      'x";key="a"',
      { x: 'a=1, a=2' },
      'header `x` has no value for "x";key="a"',
    ],
    [
      'a long header',
      'x";sf',
      { x: 'a'.repeat(16_385) },
      'the headers covered with `;sf` and `;key` are longer than 16384 characters in total',
    ],
  ])('are refused with %s', (_what, component, sent, problem) => {
    // prettier-ignore
    expect(valuesOf(`"${component}`, { headers: sent })).toBe(problem)
  })

  it('are refused together if they cause much work', () => {
    const x = `a="${'x'.repeat(9000)}", b, c`
    // A header is read once, however often it is covered.
    expect(valuesOf('"x";sf "x";key="a" "x";key="b"', { headers: { x } })).toMatch(/^"x";sf: a=/)
    expect(valuesOf('"x";sf "y";key="a"', { headers: { x, y: x } })).toBe(
      'the headers covered with `;sf` and `;key` are longer than 16384 characters in total',
    )
  })

  it('of structured fields are refused if no parser for them is available', () => {
    expect(baseOf('"x";sf', { headers }, undefined as never)).toMatch(/^"x";sf: a=1/)
    const base = signatureBase(
      messageOf({ method: 'GET', authority: 'a', target: '/', headers }),
      [{ name: 'x', parameters: [['sf', true]] }],
      [],
    )
    expect(base).toEqual({ problem: '"x";sf needs a reader of structured fields' })
  })

  it.each(['content-digest', 'x-origin'])(
    'do not replace plain %s: the part that they omit could be changed',
    (name) => {
      const message = {
        method: 'POST',
        body: name === 'content-digest' ? 'text' : undefined,
        headers: { [name]: 'sha-256=:mC2eP4vW6K5FfOLQ2tG3w5z0lDWCd1HkGJkVd0kTq0c=:' },
      }
      for (const parameter of ['sf', 'bs', 'key="sha-256"'])
        expect(verify(`${REQUIRED} "${name}";${parameter}`, message)).toEqual({
          ok: false,
          code: 'SIGNATURE_INVALID',
          detail: `not covered: ${name}`,
        })
    },
  )

  it.each(['@method', '@authority', '@path', '@query'])('%s cannot have one', (name) => {
    for (const parameter of ['sf', 'bs', 'key="a"', 'name="a"', 'req', 'tr', 'odd'])
      expect(valuesOf(`"${name}";${parameter}`, {})).toMatch(/^component parameter `;/)
  })
})
