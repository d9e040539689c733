import { Readable } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import type { GuardRequest } from '../../../../src/http/handler.ts'
import { readBody } from '../../../../src/http/request/read-body.ts'

/** A request whose stream yields these chunks. */
function requestOf(chunks: readonly string[], headers: Readonly<Record<string, string>>): GuardRequest {
  const stream = Readable.from(
    chunks.map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  )
  return Object.assign(stream, { headers }) as unknown as GuardRequest
}

async function read(req: GuardRequest, limit = 10): Promise<string> {
  return new Promise((resolve) => {
    readBody(req, limit, (error, bytes) =>
      resolve(error === undefined ? bytes.toString() : `${error.status} ${error.type}`),
    )
  })
}

const CHUNKED = { 'transfer-encoding': 'chunked' }

describe('the bytes of a body', () => {
  it.each<[what: string, chunks: string[], headers: Record<string, string>, expected: string]>([
    ['are those of all chunks', ['abc', 'de'], { 'content-length': '5' }, 'abcde'],
    ['are none', [], { 'content-length': '0' }, ''],
    ['are as many as the limit', ['abcde', 'fghij'], CHUNKED, 'abcdefghij'],
    ['are too many beyond it', ['abcde', 'fghijk'], CHUNKED, '413 entity.too.large'],
    ['are too many by their length', [], { 'content-length': '11' }, '413 entity.too.large'],
    ['are fewer than their length says', ['abc'], { 'content-length': '5' }, '400 request.size.invalid'],
    [
      'are more than their length says',
      ['abc', 'def'],
      { 'content-length': '5' },
      '400 request.size.invalid',
    ],
    ['are not measured by a length beside chunks', ['abc'], { ...CHUNKED, 'content-length': '5' }, 'abc'],
  ])('%s', async (_what, chunks, headers, expected) => {
    expect(await read(requestOf(chunks, headers))).toBe(expected)
  })

  it('are not decoded text', async () => {
    const req = requestOf(['abc'], CHUNKED)
    req.setEncoding('utf8')
    expect(await read(req)).toBe('500 stream.encoding.set')
  })

  it('may fail after a refusal without harm to the process', async () => {
    const req = requestOf(['abcdefghijk', 'l'], CHUNKED)
    expect(await read(req)).toBe('413 entity.too.large')
    // Without a listener this would throw.
    expect(req.emit('error', new Error('late'))).toBe(true)
  })
})
