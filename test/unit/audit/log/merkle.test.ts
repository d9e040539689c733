import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  consistencyProof,
  GrowingTree,
  inclusionProof,
  isConsistent,
  leafHash,
  merkleRoot,
  nodeHash,
  rootOfInclusion,
} from '../../../../src/audit/log/merkle.ts'

/** The test inputs of Certificate Transparency implementations. */
const inputs = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
]
const vectors = inputs.map((hex) => leafHash(Buffer.from(hex, 'hex')))
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

const leaves = (size: number): Buffer[] =>
  Array.from({ length: size }, (_, index) => leafHash(`leaf ${index}`))

describe('Merkle trees of RFC 6962', () => {
  it('have the roots of the published vectors', () => {
    const found = roots.map((_, index) => merkleRoot(vectors.slice(0, index + 1)).toString('hex'))
    expect(found).toEqual(roots)
    expect(merkleRoot([]).toString('hex')).toBe(createHash('sha256').digest('hex'))
  })

  it('have the inclusion and consistency proofs of the published vectors', () => {
    const proof = (index: number, size: number): string[] =>
      inclusionProof(vectors.slice(0, size), index).map((hash) => hash.toString('hex'))
    expect(proof(0, 8)).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ])
    expect(proof(1, 5)).toEqual([
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ])
    expect(consistencyProof(vectors.slice(0, 8), 6).map((hash) => hash.toString('hex'))).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ])
  })

  it('split at the largest power of two, as the recursive definition does', () => {
    const defined = (all: readonly Buffer[]): Buffer => {
      if (all.length === 1) return all[0] as Buffer
      const split = 2 ** Math.ceil(Math.log2(all.length) - 1)
      return nodeHash(defined(all.slice(0, split)), defined(all.slice(split)))
    }
    for (let size = 1; size <= 130; size += 1) {
      expect([size, merkleRoot(leaves(size)).equals(defined(leaves(size)))]).toEqual([size, true])
    }
  })

  it('prove each leaf, and no other leaf, place, size or proof', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 80 })
          .chain((size) =>
            fc.record({ size: fc.constant(size), index: fc.nat(size - 1), other: fc.nat(200) }),
          ),
        ({ size, index, other }) => {
          const all = leaves(size)
          const [root, proof, leaf] = [merkleRoot(all), inclusionProof(all, index), all[index] as Buffer]
          const isProven = (at: number, of: number, hashes: Buffer[], from = leaf): boolean =>
            rootOfInclusion(from, at, of, hashes)?.equals(root) ?? false
          expect(isProven(index, size, proof)).toBe(true)
          expect(isProven(index, size, proof, leafHash('another'))).toBe(false)
          expect(isProven(index, size, [...proof, root])).toBe(false)
          if (proof.length > 0) expect(isProven(index, size, proof.slice(1))).toBe(false)
          // The same leaf at another position in the same tree has another proof.
          if (other !== index && other < size) expect(isProven(other, size, proof)).toBe(false)
        },
      ),
    )
  })

  it('prove that they begin with an older tree, and nothing else', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 80 })
          .chain((size) => fc.record({ size: fc.constant(size), old: fc.integer({ min: 1, max: size }) })),
        ({ size, old }) => {
          const all = leaves(size)
          const [older, newer] = [
            { size: old, root: merkleRoot(all.slice(0, old)) },
            { size, root: merkleRoot(all) },
          ]
          const proof = consistencyProof(all, old)
          expect(isConsistent(older, newer, proof)).toBe(true)
          const foreign = { size: old, root: leafHash('foreign') }
          expect(isConsistent(foreign, newer, proof)).toBe(false)
          expect(isConsistent(older, { size, root: leafHash('foreign') }, proof)).toBe(false)
          expect(isConsistent(older, newer, [...proof, newer.root])).toBe(false)
        },
      ),
    )
  })

  it('grow leaf by leaf to the same root, and can be resumed from their stored state', () => {
    const tree = new GrowingTree()
    for (let size = 0; size <= 70; size += 1) {
      expect(tree.root().equals(merkleRoot(leaves(size)))).toBe(true)
      const again = GrowingTree.from(tree.size, tree.peaks)
      expect([again.size, again.root().equals(tree.root())]).toEqual([size, true])
      tree.add(leafHash(`leaf ${size}`))
    }
    expect(() => GrowingTree.from(3, [leafHash('a')])).toThrow(RangeError)
    expect(() => GrowingTree.from(1, [leafHash('a'), leafHash('b')])).toThrow(RangeError)
  })
})
