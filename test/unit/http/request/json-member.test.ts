import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readMember } from '../../../../src/http/request/json-member.ts'
import { runs } from '../../../support/runs.ts'

const read = (text: string, path = 'options.url'): unknown => readMember(text, path.split('.'))

describe('readMember', () => {
  const found: [string, string, unknown][] = [
    ['a member', '{"url":"x"}', 'x'],
    ['a name in escapes', String.raw`{"\u0075rl":"x"}`, 'x'],
    ['one among others', '{"a":["url",{"url":1}],"url":"x","b":{"url":2},"c":"\\"url\\":"}', 'x'],
    ['a text that holds its own name', String.raw`{"a":"\",\"url\":\"y","url":"x"}`, 'x'],
    ['a text that ends in backslashes', String.raw`{"a":"\\\\","url":"x\\"}`, 'x\\'],
    ['the same text as a value of another member', '{"a":"url","url":"x"}', 'x'],
    ['white space everywhere', ' {\r\n\t"url" :\n"x"\t} ', 'x'],
    ['a value of another type', '{"url":{"url":["url"]}}', { url: ['url'] }],
    ['names of another case', '{"URL":"y","url":"x","Url":"y"}', 'x'],
    ['nothing in an empty object', '{}', undefined],
    ['nothing in a text', '"url"', undefined],
    ['nothing in a list', '[{"url":"x"},{"url":"x"}]', undefined],
    ['nothing of the prototype', '{"a":1}', undefined],
    ['an own __proto__ aside', '{"__proto__":{"url":"y"}}', undefined],
  ]
  it.each(found)('finds %s', (_what, text, value) => {
    expect(read(text, 'url')).toEqual({ value })
  })

  it('finds no inherited members', () => {
    for (const name of ['constructor', 'toString', '__proto__', 'constructor.name'])
      expect(read('{}', name)).toEqual({ value: undefined })
  })

  const nested: [string, string, unknown][] = [
    ['a member of a member', '{"options":{"url":"x"}}', 'x'],
    [
      'it after another object with that name',
      '{"a":{"url":"y","options":{"url":"y"}},"options":{"url":"x"}}',
      'x',
    ],
    [
      'it beside the same names elsewhere',
      '{"url":"y","options":{"options":{"url":"y"},"url":"x"},"b":[{"options":1}]}',
      'x',
    ],
    ['nothing behind a list', '{"options":[{"url":"x"},{"url":"x"}]}', undefined],
    ['nothing behind a text', '{"options":"url","url":"x","b":{"url":"x"}}', undefined],
    ['nothing behind null', '{"options":null}', undefined],
  ]
  it.each(nested)('finds %s', (_what, text, value) => {
    expect(read(text)).toEqual({ value })
  })

  const repeated: [string, string][] = [
    ['the member', '{"options":{"url":"a","url":"b"}}'],
    ['the member, with the same value', '{"options":{"url":"a","url":"a"}}'],
    ['the member in escapes', String.raw`{"options":{"url":"a","\u0075\u0072\u006C":"b"}}`],
    ['the member in a short escape', String.raw`{"options":{"url":"a","x":"\/","\u0075rl" :"b"}}`],
    ['the member after much else', `{"options":{"url":"a",${'"x":[{}],'.repeat(1000)}"url":null}}`],
    ['the object around it', '{"options":{"url":"a"},"options":{"url":"b"}}'],
    ['the object around it, once empty', '{"options":{},"options":{"url":"b"}}'],
    ['the object around it, once not an object', '{"options":7,"a":{"options":1},"options":{"url":"b"}}'],
    ['the object around it, once in a list', '{"options":[{"url":"a"}],"options":{"url":"b"}}'],
  ]
  it.each(repeated)('refuses a text that repeats %s', (_what, text) => {
    expect(read(text)).toEqual({ problem: 'repeated' })
  })

  it.each(['', '{', '{"options":{"url":"x"}', "{'url':'x'}", '{"a":1}{"a":1}', '\ufeff{}', 'nul'])(
    'refuses %j, which is not JSON',
    (text) => {
      expect(read(text)).toEqual({ problem: 'malformed body' })
    },
  )

  it('agrees with a reader of the written members', () => {
    type Written = string | readonly Written[] | { readonly members: readonly (readonly [string, Written])[] }
    const name = fc.constantFrom('options', 'url', 'u', 'a"b', 'a\\', '{', '}', ',', ':')
    const { written } = fc.letrec<{ written: Written }>((tie) => ({
      written: fc.oneof(
        { depthSize: 'small' },
        name,
        fc.array(tie('written'), { maxLength: 3 }),
        fc.record({ members: fc.array(fc.tuple(name, tie('written')), { maxLength: 4 }) }),
      ),
    }))
    const escaped = (text: string, escape: boolean): string =>
      escape
        ? `"${[...text].map((one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`
        : JSON.stringify(text)
    const print = (value: Written, escape: boolean): string => {
      if (typeof value === 'string') return escaped(value, escape)
      if ('members' in value) {
        const members = value.members.map(
          ([key, inner]) => `${escaped(key, !escape)} : ${print(inner, !escape)}`,
        )
        return `{ ${members.join(' ,')}}`
      }
      return `[${value.map((inner) => print(inner, escape)).join(', ')} ]`
    }
    type Judged = { readonly problem: 'repeated' } | { readonly value: Written | undefined }
    const judge = (value: Written | undefined, path: readonly string[]): Judged => {
      const [first, ...rest] = path
      if (first === undefined) return { value }
      const members = typeof value === 'object' && 'members' in value ? value.members : []
      const here = members.filter(([key]) => key === first)
      return here.length > 1 ? { problem: 'repeated' } : judge(here[0]?.[1], rest)
    }
    fc.assert(
      fc.property(
        written,
        fc.boolean(),
        fc.constantFrom('options', 'options.url', 'url.url.url'),
        (value, escape, path) => {
          const text = print(value, escape)
          const judged = judge(value, path.split('.'))
          const expected =
            'problem' in judged || judged.value === undefined
              ? judged
              : { value: JSON.parse(print(judged.value, false)) as unknown }
          expect(readMember(text, path.split('.'))).toEqual(expected)
        },
      ),
      { numRuns: runs(3000) },
    )
  })
})
