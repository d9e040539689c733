import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { leafHash, merkleRoot } from '../../../../src/audit/log/merkle.ts'
import { rootOfText } from '../../../../src/audit/log/root-of-text.ts'

describe('the root of a text', () => {
  it('is the Merkle root over the leaf hashes of its lines, of any number and length', () => {
    const line = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'ab"{ '), maxLength: 5 }),
      fc.string({ unit: fc.constantFrom(...'ab"{ '), maxLength: 9_000, size: 'max' }),
    )
    fc.assert(
      fc.property(fc.array(line, { minLength: 1, maxLength: 70 }), (lines) => {
        const root = rootOfText(Buffer.from(lines.join('\n')))
        expect(root).toEqual(merkleRoot(lines.map(leafHash)))
      }),
    )
  })

  it('is right for every number of lines that a frame can have', () => {
    const lines: string[] = []
    for (let count = 1; count <= 300; count += 1) {
      lines.push(`line ${count}`)
      expect(rootOfText(Buffer.from(lines.join('\n')))).toEqual(merkleRoot(lines.map(leafHash)))
    }
  })

  it('is not a view of shared memory', () => {
    const root = rootOfText(Buffer.from('a\nb'))
    const copy = Buffer.from(root)
    rootOfText(Buffer.from('c\nd'))
    expect(root).toEqual(copy)
  })

  it('hashes bytes as leaves without decoding them', () => {
    const text = Buffer.from([0xff, 0x80, 0x0a, 0xc3])
    expect(rootOfText(text)).toEqual(
      merkleRoot([leafHash(Buffer.from([0xff, 0x80])), leafHash(Buffer.from([0xc3]))]),
    )
  })
})
