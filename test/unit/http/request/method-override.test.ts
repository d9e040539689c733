import { describe, expect, it } from '@jest/globals'
import type { GuardRequest } from '../../../../src/http/handler.ts'
import { readMethod } from '../../../../src/http/request/method-override.ts'

function request(method: string, headers: Record<string, unknown>, originalMethod?: unknown): GuardRequest {
  return {
    method,
    headers,
    ...(originalMethod !== undefined && { originalMethod }),
  } as unknown as GuardRequest
}

describe('the received method of a request', () => {
  it.each<[string, GuardRequest, string, object]>([
    [
      'is the one that handlers see',
      request('POST', { 'x-a': 'POST' }),
      'POST',
      { method: 'POST', override: undefined },
    ],
    [
      'is the one that `method-override` has kept, with the header that changed it',
      request('DELETE', { 'x-http-method-override': 'delete', 'x-a': 'b' }, 'POST'),
      'DELETE',
      { method: 'POST', override: { method: 'DELETE', headers: ['x-http-method-override'] } },
    ],
    [
      'is the one that was seen before, where nobody has kept it',
      request('PUT', { 'x-verb': 'PUT' }),
      'POST',
      { method: 'POST', override: { method: 'PUT', headers: ['x-verb'] } },
    ],
    [
      'names every header that says the new method, in a list too',
      request(
        'PUT',
        { 'x-method': ' put , GET', 'x-http-method': ['PUT', 'GET'], 'x-a': 'GET, PUT' },
        'POST',
      ),
      'POST',
      { method: 'POST', override: { method: 'PUT', headers: ['x-method', 'x-http-method'] } },
    ],
    [
      'names no header where the query or the body changed it',
      request('PUT', { 'x-a': 'POST' }, 'POST'),
      'POST',
      { method: 'POST', override: { method: 'PUT', headers: [] } },
    ],
    [
      'is not taken from a property that is not a method',
      request('PUT', {}, 7),
      'PUT',
      { method: 'PUT', override: undefined },
    ],
  ])('%s', (_what, req, seenBefore, expected) => {
    expect(readMethod(req, req.method ?? '', seenBefore)).toEqual(expected)
  })
})
