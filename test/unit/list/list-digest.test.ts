import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { ListDigest } from '../../../src/list/list-digest.ts'

const digestOf = (...entries: readonly { range: string; expires?: string; note?: string }[]): string =>
  new ListDigest().add(entries).end()

describe('the digest of a list', () => {
  it('is SHA-256 over a line per entry: its range, and its expiry if it has one', () => {
    const expected = createHash('sha256').update('192.0.2.0/24\n2001:db8::/32 2026-12-01T00:00:00Z\n')
    expect(
      digestOf({ range: '192.0.2.0/24' }, { range: '2001:db8::/32', expires: '2026-12-01T00:00:00Z' }),
    ).toBe(expected.digest('base64url'))
  })

  it('is the same in chunks and at once, and independent of notes', () => {
    const whole = digestOf({ range: '192.0.2.1' }, { range: '192.0.2.2' })
    const pieces = new ListDigest()
      .add([{ range: '192.0.2.1' }])
      .add([])
      .add([{ range: '192.0.2.2' }])
    expect(pieces.end()).toBe(whole)
    expect(digestOf({ range: '192.0.2.1', note: 'office' }, { range: '192.0.2.2' })).toBe(whole)
  })

  it('distinguishes lists that judge differently', () => {
    const digests = [
      digestOf(),
      digestOf({ range: '192.0.2.1' }),
      digestOf({ range: '192.0.2.1', expires: '2026-12-01T00:00:00Z' }),
      digestOf({ range: '192.0.2.1', expires: '2026-12-02T00:00:00Z' }),
      digestOf({ range: '192.0.2.1' }, { range: '192.0.2.1' }),
      digestOf({ range: '192.0.2.11' }),
    ]
    expect(new Set(digests).size).toBe(digests.length)
  })
})
