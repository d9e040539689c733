import type { SealedBatch, SealedChange, SealedEntry, SealedPlace } from '../../vault/reseal.ts'
import type { FileRecord, FileRecords } from './content.ts'
import type { FileLists } from './lists.ts'
import type { FileView } from './view.ts'

type Rewrite = (update: (records: FileRecords) => FileRecords) => Promise<void>

/** The strings that `fileStore` has sealed. `reseal` rewrites the policy file once for each kind, and the file of each list. */
export function fileSealedPlaces(view: FileView, rewrite: Rewrite, lists: FileLists): readonly SealedPlace[] {
  const keys = inFile('keys of apps', view, rewrite, (appId, record, see) => {
    const { sealedKeys } = record
    return sealedKeys === undefined ? record : { ...record, sealedKeys: see(sealedKeys, `app-keys:${appId}`) }
  })
  const notes = inFile('change notes', view, rewrite, (appId, record, see) => ({
    ...record,
    history: record.history.map((entry) =>
      entry.by === undefined ? entry : { ...entry, by: see(entry.by, `change-note:${appId}`) },
    ),
  }))
  return [keys, notes, { name: 'change notes of lists', batches: () => lists.sealedNotes() }]
}

/** Receives each sealed string of a record with its context, and returns the string to store in its place. */
type See = (sealed: string, context: string) => string

function inFile(
  name: string,
  view: FileView,
  rewrite: Rewrite,
  walk: (appId: string, record: FileRecord, see: See) => FileRecord,
): SealedPlace {
  async function* batches(): AsyncGenerator<SealedBatch> {
    const entries: SealedEntry[] = []
    const collect: See = (sealed, context) => {
      entries.push({ sealed, context })
      return sealed
    }
    for (const [appId, record] of await view.current()) walk(appId, record, collect)
    yield { entries, replace: (changes) => replaceAll(changes) }
  }

  async function replaceAll(changes: readonly SealedChange[]): Promise<number> {
    const afters = new Map(changes.map(({ entry, after }) => [entry.sealed, after]))
    let put = 0
    await rewrite((records) => {
      put = 0
      const see: See = (sealed) => {
        const after = afters.get(sealed)
        if (after !== undefined) put += 1
        return after ?? sealed
      }
      return new Map([...records].map(([appId, record]) => [appId, walk(appId, record, see)]))
    })
    return put
  }

  return { name, batches }
}
