import { afterAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { regionalStore, regions, UsageError, type PersonHandle, type PersonId } from 'portcullis/region'

// The lines after `@ts-expect-error` must not compile: otherwise `npm run typecheck` fails.

const clients = {
  london: new Redis({ lazyConnect: true }),
  frankfurt: new Redis({ lazyConnect: true }),
  dallas: new Redis({ lazyConnect: true }),
}
const places = regions()
const store = regionalStore({ regions: places, clients })
afterAll(() => store.close())

const europe = store.in('europe')
const world = store.in('world')
const european: PersonId<'europe'> = 'europe_1'
const texan: PersonId<'world'> = 'world_1'

interface User {
  readonly name: string
}

describe('code that does not compile', () => {
  it('includes a European identifier with the handle of another jurisdiction, which also refuses it', async () => {
    // @ts-expect-error -- reading
    await expect(world.get(european)).rejects.toThrow(UsageError)
    // @ts-expect-error -- writing
    await expect(world.put(european, { name: 'x' }, 0)).rejects.toThrow(UsageError)
    // @ts-expect-error -- removing
    await expect(world.delete(european, 1)).rejects.toThrow(UsageError)
    // @ts-expect-error -- the other way round
    await expect(europe.get(texan)).rejects.toThrow(UsageError)
  })

  it('includes an identifier that was not parsed', async () => {
    const text: string = 'somebody'
    // @ts-expect-error -- a text may be anything
    await expect(europe.get(text)).rejects.toThrow(UsageError)
    expect(europe.owns(text)).toBe(false)
    if (europe.owns(text)) void europe.get(text)
  })

  it('includes writing a European record elsewhere, unchanged, copied or changed', () => {
    const never = async (): Promise<void> => {
      const found = await europe.get<User>(european)
      if (found === undefined) return
      // @ts-expect-error -- as it was found
      await world.put(texan, found.value, 0)
      // @ts-expect-error -- a copy
      await world.put(texan, { ...found.value }, 0)
      // @ts-expect-error -- a changed copy
      await world.put(texan, { ...found.value, name: 'y' }, 0)
      // @ts-expect-error -- under its own identifier
      await world.put(found.id, { name: 'y' }, 0)
      await europe.put(found.id, { ...found.value, name: 'y' }, found.revision)
    }
    expect(never).toBeInstanceOf(Function)
  })

  it('includes a handle instead of another one', () => {
    const serve = (handle: PersonHandle<'world'>): string => handle.jurisdiction
    // @ts-expect-error -- Europe where the world is expected
    expect(serve(europe)).toBe('europe')
    expect(serve(world)).toBe('world')
  })

  it('includes a jurisdiction, a location or a move that does not exist', async () => {
    // @ts-expect-error -- no such jurisdiction
    expect(() => store.in('asia')).toThrow(UsageError)
    // @ts-expect-error -- no such jurisdiction
    expect(() => places.newPersonId('asia')).toThrow(
      /`newPersonId jurisdiction` must be one of europe, world/,
    )
    // @ts-expect-error -- no such jurisdiction
    await expect(store.move(european, 'asia')).rejects.toThrow(UsageError)
    const more = { ...clients, paris: new Redis({ lazyConnect: true }) }
    const make = () =>
      regionalStore({
        regions: places,
        // @ts-expect-error -- no such location
        clients: { ...clients, paris: more.paris },
      })
    expect(make).toThrow(/`regionalStore.clients.paris` must be left out/)
    // @ts-expect-error -- no such location
    expect(() => regions({ here: 'paris' })).toThrow(/`regions.here` must be a location/)
  })
})
