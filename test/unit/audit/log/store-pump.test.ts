import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { lastOf, makeFrame, NO_LINK } from '../../../../src/audit/log/frame.ts'
import { toStore, type FrameStore, type FrameToStore } from '../../../../src/audit/log/frame-store.ts'
import { FrameWindow } from '../../../../src/audit/log/frame-window.ts'
import { StorePump } from '../../../../src/audit/log/store-pump.ts'

const WRITER = 'w'
const SETTLES_AFTER = 1_000

/** A store for the events of one writer, which can lose the last ones, like Redis in a crash. */
class LosingStore implements Pick<FrameStore, 'append' | 'head' | 'settlesAfter'> {
  readonly settlesAfter = SETTLES_AFTER
  stored = 0

  append(frames: readonly FrameToStore[], overGap = false): Promise<number> {
    const first = frames[0]?.first ?? 0
    if (overGap || first <= this.stored + 1) this.stored = Math.max(this.stored, ...frames.map(lastOf))
    return Promise.resolve(this.stored)
  }

  head(): Promise<number> {
    return Promise.resolve(this.stored)
  }
}

describe('the pump of one writer', () => {
  let store: LosingStore
  let window: FrameWindow
  let pump: StorePump
  let made: number

  beforeEach(() => {
    jest.useFakeTimers()
    store = new LosingStore()
    window = new FrameWindow()
    made = 0
    pump = new StorePump({
      store: store as unknown as FrameStore,
      writer: WRITER,
      timeout: 500,
      window,
      spool: () => undefined,
      before: () => Promise.resolve(),
      onStored: () => window.forget(pump.confirmed),
      onError: (error) => {
        throw error
      },
    })
  })
  afterEach(async () => {
    await pump.close()
    jest.useRealTimers()
  })

  async function write(kept = false): Promise<void> {
    made += 1
    window.push(toStore(makeFrame({ writer: WRITER, first: made, previous: NO_LINK, lines: [`${made}`] })))
    pump.made(made, kept)
    await jest.advanceTimersByTimeAsync(0)
  }

  it('forgets a frame when the store can no longer lose it', async () => {
    await write()
    expect([store.stored, pump.confirmed]).toEqual([1, 0])
    await jest.advanceTimersByTimeAsync(SETTLES_AFTER)
    expect(pump.confirmed).toBe(1)
    expect(window.bytes).toBe(0)
  })

  it('keeps frames that it has sent again as long as any other frame', async () => {
    await write()
    await jest.advanceTimersByTimeAsync(SETTLES_AFTER * 0.9)
    store.stored = 0
    // The answer to the second frame shows that the first is lost.
    await write()
    expect(store.stored).toBe(2)
    await jest.advanceTimersByTimeAsync(SETTLES_AFTER * 0.5)
    expect(pump.confirmed).toBe(0)
    store.stored = 0
    await write()
    expect(store.stored).toBe(3)
    await jest.advanceTimersByTimeAsync(SETTLES_AFTER * 2)
    expect(pump.confirmed).toBe(3)
  })

  it('collects frames that are kept elsewhere for 20 ms, and sends them with one command', async () => {
    const append = jest.spyOn(store, 'append')
    for (let count = 0; count < 10; count += 1) await write(true)
    await jest.advanceTimersByTimeAsync(19)
    expect(append).not.toHaveBeenCalled()
    await jest.advanceTimersByTimeAsync(1)
    expect(append).toHaveBeenCalledTimes(1)
    expect(store.stored).toBe(10)
  })

  it.each<[string, () => Promise<void>]>([
    ['when somebody waits for them', async () => pump.hurry()],
    ['with a frame that is kept nowhere else', () => write()],
    [
      'when there are many',
      async () => {
        for (let count = 0; count < 511; count += 1) await write(true)
      },
    ],
  ])('sends collected frames at once %s', async (_when, act) => {
    await write(true)
    expect(store.stored).toBe(0)
    await act()
    await jest.advanceTimersByTimeAsync(0)
    expect(store.stored).toBe(made)
  })
})
