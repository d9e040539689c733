import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { encodeRecord, scanRecords, type RecordKind } from '../../../../src/audit/spool/record.ts'

const records = fc.array(
  fc.tuple(fc.constantFrom<RecordKind>('frame', 'secret'), fc.uint8Array({ maxLength: 60 })),
  { minLength: 1, maxLength: 6 },
)
const written = (all: readonly (readonly [RecordKind, Uint8Array])[]): Buffer[] =>
  all.map(([kind, content]) => encodeRecord(kind, content))
const told = (bytes: Buffer, whole = true): [RecordKind, string][] =>
  scanRecords(bytes, 0, whole).records.map(({ kind, content }) => [kind, content.toString('hex')])

describe('the records of a spool', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(records, (all) => {
        const bytes = Buffer.concat(written(all))
        expect(told(bytes)).toEqual(
          all.map(([kind, content]) => [kind, Buffer.from(content).toString('hex')]),
        )
        expect(scanRecords(bytes, 7, true)).toMatchObject({ end: 7 + bytes.length, broken: false })
      }),
    )
  })

  it('are read up to a truncation, which is reported at the end', () => {
    fc.assert(
      fc.property(records, fc.nat(), (all, where) => {
        const parts = written(all)
        const bytes = Buffer.concat(parts)
        const cut = where % bytes.length
        let [count, end] = [0, 0]
        while (count < parts.length && end + (parts[count]?.length ?? 0) <= cut)
          end += parts[count++]?.length ?? 0
        const { records: found, ...rest } = scanRecords(bytes.subarray(0, cut), 0, true)
        expect([found.length, rest]).toEqual([count, { end, broken: cut > end }])
        expect(scanRecords(bytes.subarray(0, cut), 0, false).broken).toBe(false)
      }),
    )
  })

  it('are read up to the record before a changed bit', () => {
    fc.assert(
      fc.property(records, fc.nat(), (all, where) => {
        const parts = written(all)
        const bytes = Buffer.concat(parts)
        const bit = where % (bytes.length * 8)
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        let [count, end] = [0, 0]
        while (end + (parts[count]?.length ?? 0) <= bit >> 3) end += parts[count++]?.length ?? 0
        const { records: found, broken } = scanRecords(bytes, 0, true)
        expect([found.length, broken]).toEqual([count, true])
      }),
    )
  })
})
