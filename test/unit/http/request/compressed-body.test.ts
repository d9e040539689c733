import { describe, expect, it } from '@jest/globals'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { isUnpackable, unpack } from '../../../../src/http/request/compressed-body.ts'

const TEXT = '{"a":1}'
const PACKERS: [coding: string, pack: (text: string) => Buffer][] = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
]

async function unpacked(coding: string, bytes: Uint8Array, limit = 1_000): Promise<string> {
  return new Promise((resolve) => {
    unpack(coding, bytes, limit, (error, plain) =>
      resolve(error === undefined ? plain.toString() : `${error.status} ${error.type}`),
    )
  })
}

describe.each(PACKERS)('a body in the coding %s', (coding, pack) => {
  const packed = pack(TEXT)

  it('is decompressed', async () => {
    expect(isUnpackable(coding)).toBe(true)
    expect(await unpacked(coding, packed)).toBe(TEXT)
    expect(await unpacked(coding, packed, TEXT.length)).toBe(TEXT)
  })

  it('is refused if its content exceeds the limit', async () => {
    expect(await unpacked(coding, packed, TEXT.length - 1)).toBe('413 entity.too.large')
    expect(await unpacked(coding, pack('x'.repeat(1_000_000)))).toBe('413 entity.too.large')
  })

  it.each([
    ['something stands behind its end', Buffer.concat([packed, Buffer.from('x')])],
    ['a second one stands behind its end', Buffer.concat([packed, Buffer.from('\0'), packed])],
    ['it is cut off', packed.subarray(0, -1)],
    ['it is not compressed', Buffer.from(TEXT)],
    ['it is empty', Buffer.alloc(0)],
  ])('is refused if %s', async (_what, bytes) => {
    expect(await unpacked(coding, bytes)).toBe('400 entity.unpack.failed')
  })
})

describe('another coding', () => {
  it.each(['', 'identity', 'zstd', 'GZIP', 'compress', 'gzip, br', '__proto__'])(
    'is not supported: %s',
    (coding) => {
      expect(isUnpackable(coding)).toBe(false)
    },
  )
})
