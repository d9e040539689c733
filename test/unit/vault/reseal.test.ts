import { randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import {
  createFieldVault,
  createVault,
  keysInUse,
  memoryPeople,
  reseal,
  type PeopleStore,
  type SealedHolder,
} from 'portcullis/vault'
import { people as auditPeople } from 'portcullis/audit'

const a = { id: 'a', key: randomBytes(32) }
const b = { id: 'b', key: randomBytes(32) }
const before = createVault({ keys: [a] })
const both = createVault({ keys: [b, a] })
const after = createVault({ keys: [b, { id: 'a', state: 'destroyed' }] })

const fieldsOf = (vault: typeof before, people: PeopleStore) =>
  createFieldVault({ vault, people, region: 'europe', maxAge: 1 })

/** Creates people with a sealed field each. */
async function madePeople(people: PeopleStore, count: number): Promise<Map<string, string>> {
  const fields = fieldsOf(before, people)
  const sealed = new Map<string, string>()
  for (let at = 0; at < count; at += 1)
    sealed.set(`p${at}`, await fields.seal(`p${at}`, 'email', `${at}@x.y`))
  return sealed
}

async function expectAllToOpen(people: PeopleStore, sealed: Map<string, string>): Promise<void> {
  const fields = fieldsOf(after, people)
  for (const [person, text] of sealed)
    expect(await fields.open(person, 'email', text)).toBe(`${person.slice(1)}@x.y`)
}

describe('reseal', () => {
  it('moves people to the new key, and reports what still needs the old one meanwhile', async () => {
    const people = memoryPeople()
    const sealed = await madePeople(people, 1_200)
    const holders = [fieldsOf(both, people)]
    expect(await keysInUse({ vault: both, holders })).toMatchObject({ sealedBy: { a: 1_200 }, done: false })
    const progress: (readonly [number, number])[] = []
    const report = await reseal({
      vault: both,
      holders,
      onProgress: ({ looked, sealedBy }) => progress.push([looked, sealedBy['b'] ?? 0]),
    })
    expect(report).toEqual({
      places: [
        { name: 'keys of people', looked: 1_200, resealed: 1_200, unreadable: {}, sealedBy: { b: 1_200 } },
      ],
      sealedBy: { b: 1_200 },
      done: true,
    })
    expect(progress).toEqual([
      [500, 500],
      [1_000, 1_000],
      [1_200, 1_200],
    ])
    await expectAllToOpen(people, sealed)
    expect(await keysInUse({ vault: after, holders: [fieldsOf(after, people)] })).toMatchObject({
      done: true,
    })
  })

  it('continues where it was stopped', async () => {
    const people = memoryPeople()
    const sealed = await madePeople(people, 1_200)
    const ending = new AbortController()
    const holders = [fieldsOf(both, people)]
    const half = await reseal({
      vault: both,
      holders,
      signal: ending.signal,
      onProgress: ({ looked }) => looked >= 500 && ending.abort(),
    })
    expect([half.done, half.sealedBy]).toEqual([false, { b: 500 }])
    const rest = await reseal({ vault: both, holders })
    expect([rest.done, rest.places[0]?.resealed]).toEqual([true, 700])
    await expectAllToOpen(people, sealed)
  })

  it('keeps concurrent changes, restores nobody who was erased, and checks again', async () => {
    const people = memoryPeople()
    const sealed = await madePeople(people, 20)
    const erased = fieldsOf(before, people)
    let pass = 0
    const meddling: PeopleStore = {
      ...people,
      async *names() {
        pass += 1
        if (pass === 2) await fieldsOf(before, people).seal('p20', 'email', '20@x.y')
        yield* people.names()
      },
      async replace(name, from, to) {
        // Ada is erased between the read and the write of the first pass.
        if (pass === 1 && !sealed.has('gone')) {
          sealed.set('gone', '')
          await erased.erase('p7')
        }
        return people.replace(name, from, to)
      },
    }
    const report = await reseal({ vault: both, holders: [fieldsOf(both, meddling)] })
    sealed.delete('gone')
    sealed.delete('p7')
    expect([report.done, report.sealedBy]).toEqual([true, { b: 20 }])
    // 19 in the first pass, without Ada, and the new person in the second.
    expect([pass, report.places[0]?.resealed]).toEqual([2, 20])
    await expectAllToOpen(people, sealed)
    await expect(fieldsOf(after, people).open('p7', 'email', 'AQ')).rejects.toMatchObject({
      reason: 'SEALED_PERSON_ERASED',
    })
  })

  it('is not done while something cannot be opened, and reports what and why', async () => {
    const people = memoryPeople()
    await madePeople(people, 2)
    const stranger = createVault({ keys: [{ id: 'x', key: randomBytes(32) }] })
    await people.add('strange', stranger.seal('s', 'c'), 1)
    await people.add('moved', before.seal('s', 'elsewhere'), 1)
    await people.add('plain', 'plain', 1)
    const report = await reseal({ vault: both, holders: [fieldsOf(both, people)] })
    expect(report.done).toBe(false)
    expect(report.sealedBy).toEqual({ b: 2, x: 1, a: 1, unknown: 1 })
    expect(report.places[0]?.unreadable).toEqual({
      SEALED_KEY_UNKNOWN: 1,
      SEALED_CHANGED: 1,
      SEALED_DAMAGED: 1,
    })
  })

  it('moves each of several secrets of a person', async () => {
    const store = memoryPeople()
    for (const secret of ['1', '2']) await store.add('p', before.seal(secret, 'audit person p'), 64)
    const report = await reseal({ vault: both, holders: [auditPeople({ store, vault: both })] })
    expect([report.done, report.places[0]?.resealed]).toEqual([true, 2])
    expect((await store.read('p')).map((sealed) => after.open(sealed, 'audit person p'))).toEqual(['1', '2'])
  })

  it('rejects with an error that is not about the sealed string, and changes nothing', async () => {
    const people = memoryPeople()
    await madePeople(people, 2)
    const broken = {
      ...both,
      reseal: () => {
        throw new TypeError('broken')
      },
    }
    await expect(reseal({ vault: broken, holders: [fieldsOf(both, people)] })).rejects.toThrow('broken')
    expect(await keysInUse({ vault: both, holders: [fieldsOf(both, people)] })).toMatchObject({
      sealedBy: { a: 2 },
    })
  })

  it('is not done if others change everything repeatedly', async () => {
    const people = memoryPeople()
    await madePeople(people, 3)
    const busy = { ...people, replace: async () => false }
    const report = await reseal({ vault: both, holders: [fieldsOf(both, busy)] })
    expect([report.done, report.sealedBy]).toEqual([false, { unknown: 3 }])
  })

  it('includes the people of the audit, whose pseudonyms do not change', async () => {
    const store = memoryPeople()
    const old = auditPeople({ store, vault: before })
    await old.named([{ kind: 'field', person: 'name-of-ada' } as never])
    const pseudonyms = await old.pseudonymsOf('name-of-ada')
    expect(pseudonyms).toHaveLength(1)
    const report = await reseal({ vault: both, holders: [auditPeople({ store, vault: both })] })
    expect(report.places).toMatchObject([{ name: 'people of the audit', resealed: 1 }])
    expect(await auditPeople({ store, vault: after }).pseudonymsOf('name-of-ada')).toEqual(pseudonyms)
  })

  it('removes a copy with an unknown context', async () => {
    const copies = new Set([before.seal('1', 'c'), both.seal('2', 'c')])
    const holder: SealedHolder = {
      sealedPlaces: () => [
        {
          name: 'copies',
          async *batches() {
            yield {
              entries: [...copies].map((sealed) => ({ sealed })),
              replace: async (changes) =>
                changes.filter(({ entry, after: put }) => put === undefined && copies.delete(entry.sealed))
                  .length,
            }
          },
        },
      ],
    }
    const report = await reseal({ vault: both, holders: [holder] })
    expect([report.done, report.sealedBy, copies.size]).toEqual([true, { b: 1 }, 1])
  })

  it.each([
    [{}, /`reseal.vault` is missing/],
    [{ vault: both }, /`reseal.holders` is missing/],
    [{ vault: both, holders: [{}] }, /`reseal.holders` must be an array of stores, snapshots, people/],
    [{ vault: both, holders: [], onProgres: () => 1 }, /did you mean `onProgress`/],
  ])('refuses options %#', async (options, message) => {
    await expect(reseal(options as never)).rejects.toThrow(message)
  })
})
