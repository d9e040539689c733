import { afterEach, describe, expect, it, jest } from '@jest/globals'
import { BodyReader, QueryReader } from '../../../../src/http/request/parameters.ts'

const bodyOf = (text: string) => ({ kind: 'bytes', bytes: Buffer.from(text) }) as const

describe('input that is read for many places', () => {
  afterEach(() => {
    jest.restoreAllMocks()
  })

  it('is parsed once from a JSON body', () => {
    const parse = jest.spyOn(JSON, 'parse')
    const reader = new BodyReader(bodyOf('{"a":1,"b":{"c":2}}'), 'application/json')
    const paths = [['a'], ['b', 'c'], ['d']]
    expect(paths.map((path) => reader.read(path))).toEqual([{ value: 1 }, { value: 2 }, { value: undefined }])
    expect(parse).toHaveBeenCalledTimes(1)
  })

  it('is split once from a query and from a form', () => {
    const search = jest.spyOn(String.prototype, 'indexOf')
    const pairsFound = (): number => search.mock.calls.filter(([text]) => text === '&').length
    const query = new QueryReader('/?a=1&b=2')
    expect(['a', 'b', 'c'].map((name) => query.read(name))).toEqual([
      { value: '1' },
      { value: '2' },
      { value: undefined },
    ])
    // Each is searched once for counting, and once for splitting.
    expect(pairsFound()).toBe(4)
    const form = new BodyReader(bodyOf('a=1&b[c]=2'), 'application/x-www-form-urlencoded')
    expect([['a'], ['b', 'c']].map((path) => form.read(path))).toEqual([{ value: '1' }, { value: '2' }])
    expect(pairsFound()).toBe(8)
  })

  it('is read again if the bytes or their type differ', () => {
    const body = bodyOf('a=1')
    const reader = new BodyReader(body, 'application/json')
    expect(reader.isOf(body, 'application/json')).toBe(true)
    expect(reader.isOf(body, 'text/plain')).toBe(false)
    expect(reader.isOf(bodyOf('a=1'), 'application/json')).toBe(false)
    expect(reader.isOf({ kind: 'unavailable' }, 'application/json')).toBe(false)
    expect(new BodyReader({ kind: 'none' }, undefined).isOf({ kind: 'none' }, undefined)).toBe(true)
  })
})
