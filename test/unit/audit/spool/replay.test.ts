import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import { makeFrame, NO_LINK } from '../../../../src/audit/log/frame.ts'
import { toStore, type FrameStore } from '../../../../src/audit/log/frame-store.ts'
import { Replay } from '../../../../src/audit/spool/replay.ts'
import { Spool } from '../../../../src/audit/spool/spool.ts'

it('does not fail if a process closes its spool while those of others are sent', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'portcullis-replay-'))
  const begun = async (writer: string): Promise<Spool> => {
    const spool = await Spool.open({ directory, writer, maxBytes: 10_000, segmentBytes: 10_000, sync: false })
    await spool.append([toStore(makeFrame({ writer, first: 1, previous: NO_LINK, lines: ['{}'] }))])
    return spool
  }
  try {
    // As many as are sent at a time, so that the last one waits.
    for (const writer of 'abcdefgh') await (await begun(writer)).close()
    const living = await begun('z')
    await living.settle(1)
    const sent: string[] = []
    const store = {
      settlesAfter: 0,
      append: async ([frame]: Parameters<FrameStore['append']>[0]) => {
        sent.push(String(frame?.writer))
        // Ends before those before it are through.
        await living.close()
        return 1
      },
      head: async () => 1,
    } as unknown as FrameStore
    const onError = (error: unknown): never => {
      throw error
    }
    const replay = new Replay({ directory, store, people: undefined, storeTimeout: 1_000, onError })
    expect(await replay.all()).toBe(8)
    expect(sent.toSorted().join('')).toBe('abcdefgh')
    expect(await readdir(directory)).toEqual([])
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
})
