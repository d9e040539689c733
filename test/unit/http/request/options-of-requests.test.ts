import { describe, expect, it } from '@jest/globals'
import { ConfigError } from 'portcullis'
import type { GuardRequest } from '../../../../src/http/handler.ts'
import type { RequestFacts } from '../../../../src/http/request/facts.ts'
import { readRequestId } from '../../../../src/http/request/request-id.ts'
import { compileReturnUrlOption } from '../../../../src/http/request/return-url-places.ts'

const req = {} as GuardRequest

describe('the id of a request', () => {
  it.each<[given: unknown, id: string | undefined]>([
    ['a', 'a'],
    ['a b', 'a b'],
    ['x'.repeat(200), 'x'.repeat(200)],
    ['x'.repeat(201), undefined],
    ['', undefined],
    [' a', undefined],
    ['a ', undefined],
    ['a\nb', undefined],
    ['\u00e4', undefined],
    [7, undefined],
    [undefined, undefined],
  ])('is %j for the result %j of the option', (given, id) => {
    expect(readRequestId(() => given as string, req, 10)).toBe(id)
  })
})

describe('the places of return URLs', () => {
  const facts = { parameter: () => ({ value: undefined }) } as unknown as RequestFacts

  it.each([
    [true, true, true],
    [true, false, false],
    [false, true, false],
    [false, false, false],
  ])('with one name are optional only if all are: %s and %s', async (first, second, optional) => {
    const places = [
      { query: 'next', name: 'n', optional: first },
      { body: 'next', name: 'n', optional: second },
    ] as const
    expect(await compileReturnUrlOption(places, 'test', 10)(facts, req)).toMatchObject([
      { name: 'n', optional },
    ])
  })

  it('are refused if one is repeated', () => {
    for (const places of [
      [{ query: 'a' }, { query: 'a' }],
      [{ body: 'a' }, { body: 'a', name: 'b' }],
    ])
      expect(() => compileReturnUrlOption(places as never, 'test', 10)).toThrow(ConfigError)
    expect(() => compileReturnUrlOption([{ query: 'a' }, { body: 'a' }], 'test', 10)).not.toThrow()
  })
})
