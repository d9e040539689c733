import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { Place } from '../../../src/region/place.ts'
import { bringBack, copyOwed } from '../../../src/region/repair.ts'
import { Settling } from '../../../src/region/settling.ts'

// Uses a fake clock, because settling takes seconds. The commands themselves are tested in `integration/region`.

beforeEach(() => void jest.useFakeTimers())
afterEach(() => void jest.useRealTimers())

/** Two locations. London owes both records to Frankfurt, which already has the first. */
function twoPlaces(): { london: Place; frankfurt: Place; settled: string[]; whenTaking: { does(): void } } {
  const settled: string[] = []
  const there = new Map([['europe_1', 'first']])
  const whenTaking = { does: () => {} }
  const stamps: Readonly<Record<string, string>> = { europe_1: 'first', europe_2: 'second' }
  const london = {
    name: 'london',
    losses: 0,
    isCurrent: true,
    isReached: true,
    location: {
      behind: async () => new Map(),
      owedTo: async (_: string, bucket: string) => (bucket === '0' ? Object.keys(stamps) : []),
      heads: async (_: string, ids: string[]) => ids.map((id) => `${stamps[id]}\0`),
      read: async (id: string) => ({ revision: 1, stamp: stamps[id] }),
      settle: async (_: string, __: string, writes: Map<string, string>) =>
        void settled.push(...writes.keys()),
    },
  }
  const frankfurt = {
    name: 'frankfurt',
    losses: 0,
    isCurrent: true,
    isReached: true,
    isNew: false,
    lacksOf: new Set<string>(),
    location: {
      heads: async (_: string, ids: string[]) => ids.map((id) => (there.has(id) ? `${there.get(id)}\0` : '')),
      take: async (id: string, { stamp }: { stamp: string }) => {
        whenTaking.does()
        there.set(id, stamp)
        return { outcome: 'taken', revision: 1 }
      },
    },
  }
  return { london: london as unknown as Place, frankfurt: frankfurt as unknown as Place, settled, whenTaking }
}

describe('a write that a location has accepted', () => {
  it('is settled after five seconds, and not before', async () => {
    const { london, frankfurt, settled } = twoPlaces()
    await copyOwed(london, frankfurt, '0', new Settling())
    await jest.advanceTimersByTimeAsync(4_900)
    expect(settled).toEqual([])
    await jest.advanceTimersByTimeAsync(2_000)
    expect(settled).toEqual(['europe_1', 'europe_2'])
  })

  it('remains owed if the location was lost during the check', async () => {
    const { london, frankfurt, settled, whenTaking } = twoPlaces()
    whenTaking.does = () => void (frankfurt.losses += 1)
    await copyOwed(london, frankfurt, '0', new Settling())
    await jest.advanceTimersByTimeAsync(20_000)
    expect(settled).toEqual([])
  })
})

describe('a repair with a failing bucket', () => {
  it('has ended everywhere when it is reported', async () => {
    const { london, frankfurt, settled } = twoPlaces()
    const { location } = london as unknown as {
      location: { owedTo(to: string, bucket: string): Promise<string[]> }
    }
    const { owedTo } = location
    let slow = false
    location.owedTo = async (to, bucket) => {
      if (bucket === '1') throw new Error('Redis did not answer')
      if (bucket === '2') {
        await new Promise((resolve) => setTimeout(resolve, 1_000))
        slow = true
      }
      return owedTo(to, bucket)
    }
    const repair = bringBack(frankfurt, [london], new Settling()).catch(String)
    await jest.advanceTimersByTimeAsync(1_000)
    expect([await repair, slow, settled]).toEqual(['Error: Redis did not answer', true, []])
  })
})
