import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { jsonFault, sayJsonFault } from '../../src/json-fault.ts'
import { runs } from '../support/runs.ts'

describe('jsonFault', () => {
  it.each([
    ['nothing', '', 1, 1, 'the end of the text'],
    ['a text that is cut off', '{\n "a": [1,', 2, 10, 'the end of the text'],
    ['a comment behind a value', '{\n  "a": 1, // why\n  "b": 2\n}', 2, 11, 'a comment'],
    ['a comment in front', '/* a policy */ {}', 1, 1, 'a comment'],
    ['a comma at the end of an object', '{\n  "a": 1,\n}', 3, 1, 'a comma at the end of a list'],
    ['a comma at the end, and empty lines', '[1,\n\n\n]', 4, 1, 'a comma at the end of a list'],
    ['a comma at the end of an array', '[1, 2, ]', 1, 8, 'a comma at the end of a list'],
    ['a missing comma', '{"a": 1\n "b": 2}', 2, 2, 'something else'],
    ['a name without quotes', '{a: 1}', 1, 2, 'something else'],
    ['single quotes', "['a']", 1, 2, 'something else'],
    ['a bracket of the wrong kind', '[1}', 1, 3, 'something else'],
    ['a text that is not closed', '{"a": "b', 1, 7, 'something else'],
    ['two documents', '{}\n{}', 2, 1, 'something else'],
    ['a colon in an array', '[1:2]', 1, 3, 'something else'],
  ])('finds %s', (_name, text, line, column, what) => {
    expect(jsonFault(text)).toEqual({ line, column, what })
    expect(() => JSON.parse(text) as unknown).toThrow()
    expect(sayJsonFault(text)).toContain(`line ${line}, column ${column}: `)
  })

  it('finds a fault exactly where JSON.parse finds one', () => {
    const parts = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '1',
      '-0.5e3',
      'true',
      ' ',
      '\n',
      '"',
      '01',
    )
    const texts = fc.oneof(
      fc.array(parts).map((all) => all.join('')),
      fc.json(),
    )
    fc.assert(
      fc.property(texts, (text) => {
        let isJson = true
        try {
          JSON.parse(text)
        } catch {
          isJson = false
        }
        expect([text, jsonFault(text) === undefined]).toEqual([text, isJson])
      }),
      { numRuns: runs(20_000) },
    )
  })
})
