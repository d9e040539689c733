import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { createFeedReader, type Announcement, type Position } from '../../../src/redis/feed-reader.ts'
import { createKeyspace } from '../../../src/redis/keyspace.ts'

type Entry = [id: string, fields: string[]]

/** A feed in memory that answers the commands of a reader like Redis. */
function memoryFeed() {
  let entries: Entry[] = []
  let counter = 0
  let last = 0
  return {
    add(appId: string, revision: number): void {
      counter += 1
      last += 1
      entries.push([`${last}-0`, ['app', appId, 'revision', String(revision), 'number', String(counter)]])
    },
    trim: (keep: number) => void (entries = keep === 0 ? [] : entries.slice(-keep)),
    /** Simulates a server whose last entry has another number, because it lacks earlier ones. */
    renumber: (number: number) => entries.at(-1)?.[1].splice(5, 1, String(number)),
    loseCounter: () => void (counter = 0),
    async ask(...command: (string | number)[]): Promise<unknown> {
      const [name] = command
      if (name === 'GET') return counter === 0 ? null : String(counter)
      if (name === 'XREVRANGE') return entries.slice(-1)
      if (name === 'XRANGE') return entries.filter(([id]) => id === command[2])
      const after = Number(String(command.at(-1)).split('-')[0])
      const found = entries.filter(([id]) => Number(id.split('-')[0]) > after).slice(0, Number(command[2]))
      return found.length === 0 ? null : [['feed', found]]
    },
  }
}

async function readAll(feed: ReturnType<typeof memoryFeed>, from?: Position) {
  const heard: Announcement[] = []
  const reader = createFeedReader(feed.ask, createKeyspace(), (what) => heard.push(what))
  const position = from === undefined ? await reader.end() : await reader.resume(from)
  return { heard, position, reader }
}

describe('the reader of the feed', () => {
  it('starts at the end, and passes on later entries', async () => {
    const feed = memoryFeed()
    feed.add('before', 1)
    const { heard, position, reader } = await readAll(feed)
    feed.add('a', 2)
    feed.add('b', 3)
    expect(await reader.next(position, 2_000)).toEqual({ id: '3-0', number: 3 })
    expect(heard).toEqual([
      { kind: 'app', name: 'a', revision: 2 },
      { kind: 'app', name: 'b', revision: 3 },
    ])
  })

  it('reports missing entries if a failover server has another entry in the position of the last one', async () => {
    const feed = memoryFeed()
    for (const revision of [1, 2, 3]) feed.add('a', revision)
    const { position } = await readAll(feed)
    feed.renumber(2)
    await expect(readAll(feed, position)).rejects.toThrow('the change feed was trimmed or emptied')
  })

  it('passes on everything since its position, or reports missing entries', async () => {
    const losses = fc.constantFrom('none', 'trimmed', 'emptied', 'counter')
    const counts = fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 1_200 }), losses)
    await fc.assert(
      fc.asyncProperty(counts, async ([before, since, loss]) => {
        const feed = memoryFeed()
        for (let index = 0; index < before; index += 1) feed.add('old', index + 1)
        const { position } = await readAll(feed)
        for (let index = 0; index < since; index += 1) feed.add('new', index + 1)
        if (loss === 'trimmed') feed.trim(since - 1)
        if (loss === 'emptied') feed.trim(0)
        if (loss === 'counter') feed.loseCounter()
        const resumed = await readAll(feed, position).then(
          ({ heard }) => heard.length,
          (error: Error) => error.message,
        )
        expect(resumed).toBe(loss === 'none' ? since : 'the change feed was trimmed or emptied')
      }),
      { numRuns: 60 },
    )
  })
})
