import { describe, expect, it } from '@jest/globals'
import { parseOrigin } from '../../../src/match/origin.ts'

describe('parseOrigin refuses a spelling that case folding would turn into another name', () => {
  const rows: [what: string, text: string][] = [
    ['a Kelvin sign, which lower case makes a k', 'https://\u212a.example'],
    ['a long s, which upper case makes an S', 'https://\u017fhop.example'],
    ['a Kelvin sign in a longer name', 'https://boo\u212a.example:8443'],
    ['a scheme of an app in upper case', 'MYAPP://callback'],
    ['a scheme of an app in mixed case', 'myApp://callback'],
  ]
  it.each(rows)('%s', (_what, text) => {
    expect(parseOrigin(text)).toBeUndefined()
    expect(parseOrigin('myapp://callback')).toBe('myapp://callback')
  })
})
