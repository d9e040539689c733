import { mkdtemp, open, readdir, rm, stat, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { lastOf, makeFrame, NO_LINK } from '../../../../src/audit/log/frame.ts'
import { toStore, type FrameToStore } from '../../../../src/audit/log/frame-store.ts'
import { Spool, type SpoolSettings } from '../../../../src/audit/spool/spool.ts'

const WRITER = 'w'
const LENGTH = 4_000

/** The frame with this event, about 4 kB long. */
const frame = (first: number): FrameToStore =>
  toStore(makeFrame({ writer: WRITER, first, previous: NO_LINK, lines: [String(first).padEnd(LENGTH, 'x')] }))

/** Makes a method of all open files fail. */
async function failingDisk(method: 'datasync' | 'sync' | 'truncate') {
  const file = await open('/dev/null')
  await file.close()
  const error = Object.assign(new Error('the disk failed'), { code: 'EIO' })
  return jest.spyOn(Object.getPrototypeOf(file) as FileHandle, method).mockRejectedValue(error)
}

describe('a spool', () => {
  let directory: string
  const spools: Spool[] = []

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'portcullis-spool-'))
  })
  afterEach(async () => {
    for (const spool of spools.splice(0)) await spool.close()
    await rm(directory, { recursive: true, force: true })
  })

  /** A spool with one file, in which frame 1 is. */
  async function begun(settings: Partial<SpoolSettings> = {}): Promise<Spool> {
    const limits = { maxBytes: 100_000, segmentBytes: 100_000, sync: false }
    const spool = await Spool.open({ directory, writer: WRITER, ...limits, ...settings })
    spools.push(spool)
    await spool.append([frame(1)])
    return spool
  }

  const numbersIn = async (spool: Spool): Promise<number[]> =>
    (await spool.read(1, 1_000_000)).map((found) => lastOf(found))

  it('has frames that were appended at once between the others, in order', async () => {
    const spool = await begun()
    expect(spool.appendNow([frame(2), frame(3)])).toBe(true)
    await spool.append([frame(4)])
    expect(spool.appendNow([frame(5)])).toBe(true)
    expect(await numbersIn(spool)).toEqual([1, 2, 3, 4, 5])
  })

  /** The sizes of its files. */
  const sizes = async (): Promise<number[]> => {
    const names = (await readdir(directory)).filter((name) => name.endsWith('.spool'))
    return Promise.all(names.map(async (name) => (await stat(join(directory, name))).size))
  }

  it('keeps a frame that was appended at once and is not in the store', async () => {
    const spool = await begun()
    spool.appendNow([frame(2)])
    await spool.settle(1)
    expect(await numbersIn(spool)).toEqual([1, 2])
  })

  it('has one empty file when the store has everything, and takes the next frame at once', async () => {
    const spool = await begun({ segmentBytes: LENGTH * 2.5 })
    for (const number of [2, 3]) await spool.append([frame(number)])
    expect(await spool.read(1, 1_000_000)).not.toEqual([])
    await spool.settle(3)
    expect([await sizes(), spool.bytes]).toEqual([[0], 0])
    expect(spool.settle(3)).toBeUndefined()
    expect(await numbersIn(spool)).toEqual([])
    expect(spool.appendNow([frame(4)])).toBe(true)
    expect((await spool.read(4, 1_000_000)).map((found) => lastOf(found))).toEqual([4])
    expect(await sizes()).toEqual([spool.bytes])
    await spool.settle(4)
    await spool.close()
    expect(await sizes()).toEqual([])
  })

  it.each([
    ['its first write', 'datasync'],
    ['its truncation', 'truncate'],
  ] as const)('removes what the store has although the disk failed in %s', async (_what, method) => {
    const spool = await begun({ sync: true })
    if (method === 'datasync') await spool.settle(1)
    const failing = await failingDisk(method)
    try {
      if (method === 'truncate') await spool.settle(1)
      else await expect(spool.append([frame(2)])).rejects.toThrow('(EIO)')
    } finally {
      failing.mockRestore()
    }
    await spool.append([frame(2)])
    await spool.append([frame(3)])
    expect((await spool.read(2, 1_000_000)).map((found) => lastOf(found))).toEqual([2, 3])
    await spool.settle(3)
    expect([await sizes(), spool.bytes]).toEqual([[0], 0])
  })

  it('appends again after the disk has failed to keep the name of a new file', async () => {
    const spool = await begun({ sync: true, segmentBytes: LENGTH * 1.5 })
    const failing = await failingDisk('sync')
    try {
      await expect(spool.append([frame(2)])).rejects.toThrow('(EIO)')
    } finally {
      failing.mockRestore()
    }
    await spool.append([frame(2)])
    expect(await numbersIn(spool)).toEqual([1])
    expect((await spool.read(2, 1_000_000)).map((found) => lastOf(found))).toEqual([2])
    await spool.settle(2)
    expect([await sizes(), spool.bytes]).toEqual([[0], 0])
  })

  it('refuses what would exceed its limit, and accepts it when the store has the frames before', async () => {
    const spool = await begun({ maxBytes: LENGTH * 1.5 })
    await expect(spool.append([frame(2)])).rejects.toThrow(
      'the audit spool is full: it has reached 6000 bytes (`spool.maxBytes`), which the store has not accepted yet',
    )
    expect(await numbersIn(spool)).toEqual([1])
    await spool.settle(1)
    await spool.append([frame(2)])
    expect((await spool.read(2, 1_000_000)).map((found) => lastOf(found))).toEqual([2])
  })

  it.each<[string, Partial<SpoolSettings>]>([
    ['is full', { maxBytes: LENGTH * 1.5 }],
    ['needs a new file', { segmentBytes: LENGTH * 1.5 }],
    ['must reach the disk', { sync: true }],
  ])('appends nothing at once if it %s', async (_why, settings) => {
    const spool = await begun(settings)
    const before = spool.bytes
    expect(spool.appendNow([frame(2)])).toBe(false)
    expect(spool.bytes).toBe(before)
    expect(await numbersIn(spool)).toEqual([1])
  })

  it('appends nothing at once while another write is running, so that the order is kept', async () => {
    const spool = await begun()
    const running = spool.append([frame(2)])
    expect(spool.appendNow([frame(3)])).toBe(false)
    await running
    expect(spool.appendNow([frame(3)])).toBe(true)
    expect(await numbersIn(spool)).toEqual([1, 2, 3])
  })
})
