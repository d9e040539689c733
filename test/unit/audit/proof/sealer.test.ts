import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { appendFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from '@jest/globals'
import { toStore, type FrameStore } from '../../../../src/audit/log/frame-store.ts'
import { memoryFrames } from '../../../../src/audit/log/memory-frames.ts'
import { readCheckpoint } from '../../../../src/audit/proof/checkpoint.ts'
import { checkpointFile, readCheckpointFile } from '../../../../src/audit/proof/publishers.ts'
import { createSealer, type SealerOptions } from '../../../../src/audit/proof/sealer.ts'
import { verifyLog } from '../../../../src/audit/proof/verify.ts'
import { ConfigError, UnreadableError } from '../../../../src/errors.ts'
import { KEY, ORIGIN, Writers } from './made-log.ts'

const folder = mkdtempSync(join(tmpdir(), 'portcullis-sealer-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

const never = 1_000_000
function sealerOf(
  store: FrameStore,
  notes: string[],
  more: Partial<SealerOptions> = {},
): ReturnType<typeof createSealer> {
  const publish = (note: string): void => void notes.push(note)
  return createSealer({ store, origin: ORIGIN, key: KEY.key, interval: never, publish, ...more })
}
const sizes = (notes: readonly string[]): number[] => notes.map((note) => readCheckpoint(note, [KEY]).size)

describe('createSealer', () => {
  it('creates a checkpoint if there are new frames, and at the latest after a number of frames', async () => {
    const [store, notes, writers] = [memoryFrames(), [] as string[], new Writers()]
    const sealer = sealerOf(store, notes, { maxFrames: 4 })
    expect(await sealer.seal()).toBeUndefined()
    for (let index = 0; index < 10; index += 1) await store.append([toStore(writers.make('a', 2))])
    expect((await sealer.seal())?.size).toBe(10)
    await sealer.seal()
    await sealer.close()
    expect(sizes(notes)).toEqual([4, 8, 10])
  })

  it('creates them automatically', async () => {
    const [store, notes, writers] = [memoryFrames(), [] as string[], new Writers()]
    const sealer = sealerOf(store, notes, { interval: 10 })
    await store.append([toStore(writers.make('a', 1))])
    while (notes.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await sealer.close()
    expect(sizes(notes)).toEqual([1])
  })

  it('excludes frames that the store can still lose, and accepts frames that returned in another order', async () => {
    const writers = new Writers()
    const [a, b, c] = [writers.make('a', 1), writers.make('b', 1), writers.make('c', 1)]
    let held = [a, b]
    const store: FrameStore = {
      ...memoryFrames(),
      settlesAfter: 60,
      read: async (after) =>
        held
          .map(({ bytes }, index) => ({ place: String(index + 1), bytes }))
          .filter(({ place }) => place > (after ?? '')),
    }
    const notes: string[] = []
    const sealer = sealerOf(store, notes)
    await sealer.seal()
    held = [b, a, c]
    await sealer.seal()
    expect(notes).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 80))
    await sealer.seal()
    await new Promise((resolve) => setTimeout(resolve, 80))
    await sealer.close()
    const frames = await store.read(undefined, 10)
    const report = await verifyLog({ frames, checkpoints: notes, keys: [KEY], origin: ORIGIN })
    expect([report.problems, report.sealed]).toEqual([[], 3])
  })

  it('continues where another one stopped, also after a removed beginning', async () => {
    const [store, notes, writers] = [memoryFrames(), [] as string[], new Writers()]
    for (let index = 0; index < 5; index += 1) await store.append([toStore(writers.make('a', 2))])
    await sealerOf(store, notes).close()
    await store.append([toStore(writers.make('a', 2))])
    await sealerOf(store, notes).close()
    expect(sizes(notes)).toEqual([5, 6])
    const frames = await store.read(undefined, 10)
    expect((await verifyLog({ frames, checkpoints: notes, keys: [KEY] })).problems).toEqual([])
  })

  it('publishes to all places, reports a failing one, and tries again if all fail', async () => {
    const [store, kept, told] = [memoryFrames(), [] as string[], [] as string[]]
    let works = false
    const sealer = createSealer({
      store,
      origin: ORIGIN,
      key: KEY.key.export({ type: 'pkcs8', format: 'pem' }) as string,
      interval: never,
      publish: [
        (note) => (works ? void kept.push(note) : Promise.reject(new Error('full'))),
        () => {
          throw new Error('never')
        },
      ],
      onError: ({ message }) => told.push(message),
    })
    await store.append([toStore(new Writers().make('a', 1))])
    await expect(sealer.seal()).rejects.toThrow('a checkpoint could not be published in 2 of 2 places')
    works = true
    await expect(sealer.seal()).rejects.toThrow('a checkpoint could not be published in 1 of 2 places')
    await sealer.close()
    expect(sizes(kept)).toEqual([1])
  })

  it.each([
    [{ origin: 'a b' }, '`createSealer.origin` must be a name'],
    [{ key: 'secret-text' }, '`createSealer.key` must be an Ed25519 private key'],
    [{ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }, 'an Ed25519 private key'],
    [{ key: generateKeyPairSync('ed25519').publicKey }, 'an Ed25519 private key'],
    [{ publish: [] }, '`createSealer.publish` must be a function, or a list of functions'],
  ])('refuses %p', (wrong, message) => {
    const options = {
      store: memoryFrames(),
      origin: ORIGIN,
      key: KEY.key,
      publish: () => undefined,
      ...wrong,
    }
    expect(() => createSealer(options as never)).toThrow(ConfigError)
    expect(() => createSealer(options as never)).toThrow(message)
    expect(() => createSealer(options as never)).not.toThrow('secret-text')
  })
})

describe('a file of checkpoints', () => {
  it('is read as it was written, without an incomplete last line', async () => {
    const path = join(folder, 'checkpoints')
    const publish = checkpointFile(path)
    for (const note of ['a\n\n— n x\n', 'b']) await publish(note)
    await appendFile(path, '{"time":"2026')
    expect(await readCheckpointFile(path)).toEqual(['a\n\n— n x\n', 'b'])
    await appendFile(path, '\n')
    await expect(readCheckpointFile(path)).rejects.toThrow(UnreadableError)
    await expect(readCheckpointFile(path)).rejects.toThrow(
      'line 3 of the checkpoint file is not a checkpoint',
    )
  })
})
