/* oxlint-disable unicorn/no-thenable -- sinks that misbehave are the subject */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { AuditEvent } from '../../../src/audit/event.ts'
import { createRecorder, type Recorder, type RecorderOptions } from '../../../src/audit/recorder.ts'
import { fieldEvent } from './events.ts'

/** A sink whose writes the test settles. */
function manualSink() {
  const writes: { ids: string[]; keep(): void; fail(): void }[] = []
  const write = (events: readonly AuditEvent[]): Promise<void> =>
    new Promise((resolve, reject) => {
      writes.push({ ids: events.map(({ id }) => id), keep: resolve, fail: () => reject(new Error('down')) })
    })
  return { writes, write }
}

const event = (id: string | number) => fieldEvent(String(id))

/** The outcome of a record, which also handles its rejection. */
function outcome(recorded: void | Promise<void>): Promise<string> {
  return Promise.resolve(recorded).then(
    () => 'kept',
    (error: { code?: string }) => error.code ?? 'another error',
  )
}

const settle = () => jest.advanceTimersByTimeAsync(0)

function make(
  write: (events: readonly AuditEvent[]) => unknown,
  options: Partial<RecorderOptions> = {},
): Recorder {
  return createRecorder({ sink: { write: write as () => void }, random: () => 0.5, ...options })
}

describe('createRecorder', () => {
  beforeEach(() => void jest.useFakeTimers())
  afterEach(() => {
    const left = jest.getTimerCount()
    jest.useRealTimers()
    if (left > 0) throw new Error(`${left} timers are left`)
  })

  const atOnce: [string, unknown][] = [
    ['nothing', undefined],
    ['a number', 7],
    ['false', false],
    ['null', null],
    ['an object', { then: 'no function' }],
  ]
  for (const [what, returned] of atOnce) {
    it(`creates no promise if the sink returns ${what}`, () => {
      const seen: string[] = []
      const recorder = make((events) => (seen.push(...events.map(({ id }) => id)), returned))
      expect(recorder.record([event(1), event(2)])).toBeUndefined()
      expect([seen, recorder.failing]).toEqual([['1', '2'], false])
    })
  }

  it('writes nothing for no events', () => {
    const write = jest.fn()
    expect(make(write).record([])).toBeUndefined()
    expect(write).not.toHaveBeenCalled()
  })

  it('resolves after the sink has stored the events, and not before', async () => {
    const { write, writes } = manualSink()
    const recorded = outcome(make(write).record([event(1)]))
    let done = false
    void recorded.then(() => (done = true))
    await settle()
    expect(done).toBe(false)
    writes[0]?.keep()
    expect(await recorded).toBe('kept')
  })

  const failures: [string, () => unknown][] = [
    [
      'throws',
      () => {
        throw new Error('down')
      },
    ],
    [
      'throws no error',
      () => {
        throw 'down'
      },
    ],
    ['rejects', () => Promise.reject(new Error('down'))],
    ['rejects with nothing', () => Promise.reject()],
    ['never settles', () => new Promise(() => undefined)],
    [
      'returns a broken thenable',
      () => ({
        then() {
          throw new Error('down')
        },
      }),
    ],
    [
      'returns a thenable that cannot be looked at',
      () => ({
        get then() {
          throw new Error('down')
        },
      }),
    ],
  ]
  for (const [how, fail] of failures) {
    it(`rejects with UnavailableError if the sink ${how}, keeps the events, and sends them again`, async () => {
      const kept: string[] = []
      const errors: Error[] = []
      let down = true
      const recorder = make((events) => (down ? fail() : void kept.push(...events.map(({ id }) => id))), {
        onError: (error) => errors.push(error),
      })
      const recorded = outcome(recorder.record([event(1), event(2)]))
      await jest.advanceTimersByTimeAsync(250)
      expect(await recorded).toBe('UNAVAILABLE')
      expect([recorder.failing, errors.length > 0]).toEqual([true, true])
      expect(errors[0]).toBeInstanceOf(Error)
      await jest.advanceTimersByTimeAsync(1_000)
      expect(recorder.failing).toBe(true)
      down = false
      await jest.advanceTimersByTimeAsync(2_000)
      expect([kept, recorder.failing, recorder.lost]).toEqual([['1', '2'], false, 0])
    })
  }

  it('flushes the sink, and closes it with its last recorder', async () => {
    const did: string[] = []
    const sink = {
      write: (events: readonly AuditEvent[]) => void did.push(...events.map(({ id }) => id)),
      flush: async () => void did.push('flush'),
      close: async () => void did.push('close'),
    }
    const [one, other] = [createRecorder({ sink }), createRecorder({ sink })]
    void one.record([event(1)])
    await one.flush()
    expect(did).toEqual(['1', 'flush'])
    await Promise.all([one.close(), one.close()])
    expect(did).toEqual(['1', 'flush', 'flush'])
    void other.record([event(2)])
    await other.close()
    expect(did).toEqual(['1', 'flush', 'flush', '2', 'close'])
  })

  it('closes a sink that no longer stores anything, and reports the loss', async () => {
    const did: string[] = []
    const down = (): void => {
      throw new Error('down')
    }
    const recorder = createRecorder({ sink: { write: down, close: async () => void did.push('close') } })
    expect(await outcome(recorder.record([event(1)]))).toBe('UNAVAILABLE')
    await expect(recorder.close()).rejects.toThrow('the sink did not store the events')
    expect(did).toEqual(['close'])
  })

  it('enforces its own deadline', async () => {
    const { write, writes } = manualSink()
    const recorder = make(write, { sinkTimeout: 50 })
    const recorded = outcome(recorder.record([event(1)]))
    await jest.advanceTimersByTimeAsync(49)
    expect(recorder.failing).toBe(false)
    await jest.advanceTimersByTimeAsync(1)
    expect([await recorded, recorder.failing]).toEqual(['UNAVAILABLE', true])
    writes[0]?.keep()
    await settle()
    // The write has succeeded after all, so nothing is sent twice.
    expect(recorder.failing).toBe(false)
    await jest.advanceTimersByTimeAsync(5_000)
    expect(writes).toHaveLength(1)
  })

  it('does not call a failing sink for each request, and keeps the order', async () => {
    const kept: string[] = []
    let down = true
    let asked = 0
    const recorder = make((events) => {
      asked += 1
      if (down) throw new Error('down')
      kept.push(...events.map(({ id }) => id))
    })
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => outcome(recorder.record([event(index)]))),
    )
    expect([new Set(outcomes), asked]).toEqual([new Set(['UNAVAILABLE']), 1])
    down = false
    await jest.advanceTimersByTimeAsync(200)
    expect(kept).toEqual(Array.from({ length: 20 }, (_, index) => String(index)))
    expect(recorder.record([event('next')])).toBeUndefined()
    expect(kept.at(-1)).toBe('next')
  })

  it('restores the order of writes that fail in another order', async () => {
    const { write, writes } = manualSink()
    const recorder = make(write)
    const all = [1, 2, 3].map((id) => outcome(recorder.record([event(id)])))
    for (const index of [2, 0, 1]) {
      writes[index]?.fail()
      await settle()
    }
    await Promise.all(all)
    await jest.advanceTimersByTimeAsync(100)
    expect(writes[3]?.ids).toEqual(['1', '2', '3'])
    writes[3]?.keep()
    await settle()
    expect(recorder.failing).toBe(false)
  })

  it('retries with growing delays of up to two seconds, with only the oldest events', async () => {
    const times: number[] = []
    const sizes: number[] = []
    const recorder = make((events) => {
      times.push(Date.now())
      sizes.push(events.length)
      if (times.length < 9) throw new Error('down')
    })
    const start = Date.now()
    await outcome(recorder.record([event(1), event(2)]))
    await outcome(recorder.record([event(3)]))
    await jest.advanceTimersByTimeAsync(20_000)
    const steps = times.map((time, index) => time - (times[index - 1] ?? start))
    expect(steps).toEqual([0, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000, 0])
    expect(sizes).toEqual([2, 3, 2, 2, 2, 2, 2, 2, 2, 1])
    expect(recorder.failing).toBe(false)
  })

  it('spreads its retries', async () => {
    for (const [random, first] of [
      [0, 50],
      [0.999, 149],
    ] as const) {
      const write = jest.fn(() => {
        if (write.mock.calls.length === 1) throw new Error('down')
      })
      await outcome(make(write, { random: () => random }).record([event(1)]))
      await jest.advanceTimersByTimeAsync(first - 1)
      expect(write).toHaveBeenCalledTimes(1)
      await jest.advanceTimersByTimeAsync(2)
      expect(write).toHaveBeenCalledTimes(2)
    }
  })

  it('holds a limited number of events, refuses the newest, and counts them', async () => {
    const reports: unknown[] = []
    const kept: string[] = []
    let down = true
    const recorder = make(
      (events) => {
        if (down) throw new Error('down')
        kept.push(...events.map(({ id }) => id))
      },
      { maxBacklog: 3, onError: (_error, backlog) => reports.push(backlog) },
    )
    expect(await outcome(recorder.record([event(1), event(2)]))).toBe('UNAVAILABLE')
    expect(await outcome(recorder.record([event(3), event(4)]))).toBe('UNAVAILABLE')
    expect(await outcome(recorder.record([event(5)]))).toBe('UNAVAILABLE')
    expect(recorder.lost).toBe(2)
    expect(reports).toContainEqual({ waiting: 3, lost: 2 })
    down = false
    await jest.advanceTimersByTimeAsync(1_000)
    expect([kept, recorder.failing, recorder.lost]).toEqual([['1', '2', '3'], false, 2])
  })

  it('has its full capacity again after the sink has stored the backlog, and counts each lost event', async () => {
    let down = true
    const recorder = make(
      () => {
        if (down) throw new Error('down')
      },
      { maxBacklog: 3 },
    )
    for (const round of [1, 2, 3]) {
      down = true
      expect(await outcome(recorder.record([event(1), event(2), event(3)]))).toBe('UNAVAILABLE')
      expect([recorder.failing, recorder.lost]).toEqual([true, 4 * (round - 1)])
      expect(await outcome(recorder.record([event(4), event(5), event(6), event(7)]))).toBe('UNAVAILABLE')
      expect(recorder.lost).toBe(4 * round)
      down = false
      await jest.advanceTimersByTimeAsync(10_000)
      expect(recorder.failing).toBe(false)
    }
  })

  it('sends a large backlog in batches of about 256 events', async () => {
    const sizes: number[] = []
    let down = true
    const recorder = make((events) => {
      if (down) throw new Error('down')
      sizes.push(events.length)
    })
    for (let index = 0; index < 10; index += 1)
      await outcome(recorder.record(Array.from({ length: 100 }, () => event(index))))
    await outcome(recorder.record(Array.from({ length: 400 }, () => event('large'))))
    down = false
    await jest.advanceTimersByTimeAsync(1_000)
    expect(sizes).toEqual([200, 200, 200, 200, 200, 400])
  })

  it('is not harmed by a listener that throws', async () => {
    const recorder = make(() => Promise.reject(new Error('down')), {
      maxBacklog: 0,
      onError: () => {
        throw new Error('listener')
      },
    })
    expect(await outcome(recorder.record([event(1)]))).toBe('UNAVAILABLE')
    expect([recorder.failing, recorder.lost]).toEqual([false, 1])
  })

  it('lets the process exit while it waits for a retry', async () => {
    const spy = jest.spyOn(globalThis, 'setTimeout')
    const recorder = make(() => {
      throw new Error('down')
    })
    await outcome(recorder.record([event(1)]))
    const timer = spy.mock.results[0]?.value as NodeJS.Timeout | undefined
    expect(timer?.hasRef()).toBe(false)
    spy.mockRestore()
    await recorder.close().catch(() => undefined)
  })

  describe('flush and close', () => {
    it('wait for writes in flight', async () => {
      const { write, writes } = manualSink()
      const recorder = make(write)
      const recorded = outcome(recorder.record([event(1)]))
      const flushed = outcome(recorder.flush())
      await settle()
      writes[0]?.keep()
      expect(await Promise.all([recorded, flushed])).toEqual(['kept', 'kept'])
    })

    it('wait for events recorded after others, in their order', async () => {
      for (const end of ['keep', 'fail'] as const) {
        const { write, writes } = manualSink()
        const recorder = make(write)
        const first = recorder.record([event(1)]) as Promise<void>
        const recorded = [outcome(first), outcome(recorder.record([event(2)], first))]
        const closed = outcome(recorder.close())
        await settle()
        expect(writes.map(({ ids }) => ids)).toEqual([['1']])
        writes[0]?.[end]()
        await settle()
        // Refused events are sent again, together with waiting ones.
        expect(writes[1]?.ids).toEqual(end === 'keep' ? ['2'] : ['1', '2'])
        writes[1]?.keep()
        const unkept = end === 'keep' ? 'kept' : 'UNAVAILABLE'
        expect(await Promise.all([...recorded, closed])).toEqual([unkept, unkept, 'kept'])
      }
    })

    it('send waiting events at once', async () => {
      const { write, writes } = manualSink()
      const recorder = make(write)
      const recorded = outcome(recorder.record([event(1)]))
      const closed = outcome(recorder.close())
      writes[0]?.fail()
      await settle()
      expect(writes[1]?.ids).toEqual(['1'])
      writes[1]?.keep()
      expect(await Promise.all([recorded, closed])).toEqual(['UNAVAILABLE', 'kept'])
      expect(recorder.failing).toBe(false)
    })

    it('reject if the sink refuses again; after close, nothing is sent or recorded', async () => {
      const write = jest.fn(() => {
        throw new Error('down')
      })
      const recorder = make(write)
      await outcome(recorder.record([event(1)]))
      expect(await outcome(recorder.flush())).toBe('UNAVAILABLE')
      expect(await outcome(recorder.close())).toBe('UNAVAILABLE')
      const calls = write.mock.calls.length
      await jest.advanceTimersByTimeAsync(10_000)
      expect(await outcome(recorder.record([event(2)]))).toBe('UNAVAILABLE')
      expect([write.mock.calls.length, recorder.lost]).toEqual([calls, 1])
    })
  })
})
