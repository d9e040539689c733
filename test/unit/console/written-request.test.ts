import { describe, expect, it } from '@jest/globals'
import { headersOf } from '../../../src/console/dashboard/app/written-request.ts'

describe('header lines', () => {
  it.each([
    ['', {}, undefined],
    ['origin: https://a.example\n\nX-Thing:  1 ', { origin: 'https://a.example', 'x-thing': '1' }, undefined],
    ['no colon\n: no name', {}, undefined],
    ['__proto__: 1', Object.fromEntries([['__proto__', '1']]), undefined],
    ['origin: https://a.example\nOrigin : https://b.example', undefined, 'origin'],
    ['x-origin: a\naccept: b\nx-origin: a', undefined, 'x-origin'],
  ])('%j', (text, headers, repeated) => {
    const read = headersOf(text)
    expect(read.repeated).toBe(repeated)
    if (headers !== undefined) expect(read.headers).toEqual(headers)
  })
})
