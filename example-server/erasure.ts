import { RevisionConflict, type PersonId } from 'portcullis/region'
import type { Home } from './homes.ts'

/** The marker that replaces the record of a person who is being deleted. It contains only where the email address is indexed. */
export interface ErasedPerson {
  readonly id: string
  readonly erased: readonly PersonId[]
}

/** An entry of the index of email addresses. */
export interface StoredEmail {
  readonly id: string
  /** Set if the person is being deleted. The record may no longer exist. */
  readonly erased?: true
}

type Records = Home['records']

export function isErased(stored: object): stored is ErasedPerson {
  return 'erased' in stored
}

/** Marks the index entries of a person. Call it before the marker of the record is removed. */
export async function markEmails(records: Records, { id, erased }: ErasedPerson): Promise<void> {
  await changeEmails(records, erased, async (name, found) => {
    if (found.value.id === id && found.value.erased !== true)
      await records.put<StoredEmail>(name, { id, erased: true }, found.revision)
  })
}

/** Removes the marked index entries of a person. The entry of a new person with the same address remains. */
export async function dropEmails(records: Records, { id, erased }: ErasedPerson): Promise<void> {
  await changeEmails(records, erased, async (name, found) => {
    if (found.value.id === id && found.value.erased === true) await records.delete(name, found.revision)
  })
}

type FoundEmail = NonNullable<Awaited<ReturnType<typeof read>>>
const read = (records: Records, name: PersonId) => records.get<StoredEmail>(name)

async function changeEmails(
  records: Records,
  names: readonly PersonId[],
  change: (name: PersonId, found: FoundEmail) => Promise<void>,
): Promise<void> {
  for (const name of names) {
    const found = await read(records, name)
    try {
      if (found !== undefined) await change(name, found)
    } catch (error) {
      // The same person is being erased concurrently.
      if (!(error instanceof RevisionConflict)) throw error
    }
  }
}
