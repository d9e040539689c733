import type { PeopleStore } from './people-store.ts'
import type { SealedBatch, SealedChange, SealedEntry, SealedPlace } from './reseal.ts'

/** The secrets of people, as a place for `reseal`. `contextOf` returns the context that the secret of a person is sealed in. */
export function peoplePlace(
  name: string,
  store: PeopleStore,
  contextOf: (name: string) => string,
): SealedPlace {
  return {
    name,
    async *batches(): AsyncGenerator<SealedBatch> {
      for await (const names of store.names()) {
        const owners = new Map<SealedEntry, string>()
        const secrets = await Promise.all(names.map((person) => store.read(person)))
        for (const [index, person] of names.entries()) {
          for (const sealed of secrets[index] ?? [])
            owners.set({ sealed, context: contextOf(person) }, person)
        }
        yield {
          entries: [...owners.keys()],
          replace: async (changes) => {
            const put = await Promise.all(changes.map((change) => replaceOne(store, owners, change)))
            return put.filter(Boolean).length
          },
        }
      }
    },
  }
}

async function replaceOne(
  store: PeopleStore,
  owners: ReadonlyMap<SealedEntry, string>,
  { entry, after }: SealedChange,
): Promise<boolean> {
  const person = owners.get(entry)
  return person !== undefined && after !== undefined && store.replace(person, entry.sealed, after)
}
