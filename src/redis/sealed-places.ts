import { isPortcullisError } from '../errors.ts'
import { isListName } from '../names.ts'
import type { SealedBatch, SealedChange, SealedEntry, SealedPlace } from '../vault/reseal.ts'
import { texts, type SendCommand } from './client.ts'
import { fields, type Documents } from './documents.ts'
import type { KeyClaims } from './key-claims.ts'
import type { Keyspace } from './keyspace.ts'
import { createListChunks } from './list-chunks.ts'
import { RESEAL_CHUNK, RESEAL_HISTORY, RESEAL_KEYS, RESEAL_LIST } from './scripts.ts'

interface Setting {
  readonly send: SendCommand
  readonly keyspace: Keyspace
  readonly documents: Documents
  readonly claims: KeyClaims
}

/** How many apps or parts of a list are read together. */
const APPS = 100
const CHUNKS = 8

/** A sealed string, and a function that replaces it if it is still stored. */
interface Stored extends SealedEntry {
  put(after: string): Promise<boolean>
}

/** The strings that `redisStore` has sealed: the keys of apps, the authors and notes of changes, the entries of lists. */
export function redisSealedPlaces(setting: Setting): readonly SealedPlace[] {
  return [
    { name: 'keys of apps', batches: () => keysOfApps(setting) },
    { name: 'change notes', batches: () => changeNotes(setting) },
    { name: 'named lists', batches: () => entriesOfLists(setting) },
  ]
}

function batchOf(entries: readonly Stored[]): SealedBatch {
  return {
    entries,
    async replace(changes: readonly SealedChange[]) {
      const put = await Promise.all(
        changes.map(({ entry, after }) => after !== undefined && (entry as Stored).put(after)),
      )
      return put.filter(Boolean).length
    },
  }
}

async function* appIds({ send, keyspace }: Setting): AsyncGenerator<readonly string[]> {
  for (let from = '-'; ;) {
    const ids = texts(await send('ZRANGEBYLEX', keyspace.apps, from, '+', 'LIMIT', 0, APPS))
    if (ids.length > 0) yield ids
    if (ids.length < APPS) return
    from = `(${ids.at(-1) ?? ''}`
  }
}

async function* keysOfApps(setting: Setting): AsyncGenerator<SealedBatch> {
  const { send, keyspace } = setting
  for await (const ids of appIds(setting)) {
    const found = await Promise.all(
      ids.map(async (appId): Promise<Stored[]> => {
        const [sealed] = fields(await send('HMGET', keyspace.secrets(appId), 'sealed'))
        if (typeof sealed !== 'string') return []
        return [
          {
            sealed,
            context: `app-keys:${appId}`,
            put: (after) => replaceKeys(setting, appId, sealed, after),
          },
        ]
      }),
    )
    yield batchOf(found.flat())
  }
}

/**
 * Replaces the keys of an app, and the fingerprints that claim them, because these depend on a key of the vault too. As in every
 * write of an app, the claim comes before the write and the release after it.
 */
async function replaceKeys(
  { send, keyspace, documents, claims }: Setting,
  appId: string,
  sealed: string,
  after: string,
): Promise<boolean> {
  const [revision, listed] = fields(await send('HMGET', keyspace.app(appId), 'revision', 'prints'))
  const before = typeof listed === 'string' && listed !== '' ? listed.split(' ') : []
  const prints = await claimAnew(claims, appId, Number(revision), documents.openKeys(appId, sealed))
  const at = [keyspace.app(appId), keyspace.secrets(appId)]
  const values = [sealed, after, String(revision), (prints ?? before).join(' ')]
  if (Number(await send('EVAL', RESEAL_KEYS, at.length, ...at, ...values)) !== 1) return false
  const dropped = prints === undefined ? [] : before.filter((print) => !prints.includes(print))
  await claims.release(appId, Number(revision), dropped)
  return true
}

/** `undefined` if another app has one of the keys, which was possible in the past: both apps keep their keys. */
async function claimAnew(
  claims: KeyClaims,
  ...claim: Parameters<KeyClaims['claim']>
): Promise<readonly string[] | undefined> {
  try {
    return await claims.claim(...claim)
  } catch (error) {
    if (isPortcullisError(error) && error.code === 'POLICY_INVALID') return undefined
    throw error
  }
}

async function* changeNotes(setting: Setting): AsyncGenerator<SealedBatch> {
  const { send, keyspace } = setting
  for await (const ids of appIds(setting)) {
    const found = await Promise.all(
      ids.map(async (appId) => {
        const key = keyspace.history(appId)
        return texts(await send('LRANGE', key, 0, -1)).flatMap((text) => noteIn(setting, appId, key, text))
      }),
    )
    yield batchOf(found.flat())
  }
  const names = await listNames(setting)
  const heads = await Promise.all(
    names.map(async (name): Promise<Stored[]> => {
      const key = keyspace.list(name)
      const [by] = fields(await send('HMGET', key, 'by'))
      if (typeof by !== 'string' || !isSealed(by)) return []
      const put = async (after: string): Promise<boolean> =>
        Number(await send('EVAL', RESEAL_LIST, 1, key, by, after)) === 1
      return [{ sealed: by, context: `change-note:${name}`, put }]
    }),
  )
  yield batchOf(heads.flat())
}

/** The note of one revision, in the format of `sealRevision`. */
function noteIn({ send }: Setting, appId: string, key: string, text: string): Stored[] {
  let entry: unknown
  try {
    entry = JSON.parse(text)
  } catch {
    return []
  }
  const by: unknown = Array.isArray(entry) ? entry[3] : undefined
  if (typeof by !== 'string' || !isSealed(by)) return []
  const put = async (after: string): Promise<boolean> => {
    const anew = JSON.stringify((entry as unknown[]).with(3, after))
    return Number(await send('EVAL', RESEAL_HISTORY, 1, key, text, anew)) === 1
  }
  return [{ sealed: by, context: `change-note:${appId}`, put }]
}

async function* entriesOfLists(setting: Setting): AsyncGenerator<SealedBatch> {
  const { send, keyspace, documents } = setting
  const lists = createListChunks(send, keyspace, documents)
  for (const name of await listNames(setting)) {
    const head = await lists.head(name)
    for (let from = 0; from < (head?.chunks ?? 0); from += CHUNKS) {
      const keys = Array.from({ length: Math.min(CHUNKS, (head?.chunks ?? 0) - from) }, (_, at) =>
        keyspace.chunk(name, head?.version ?? '', from + at),
      )
      const found = await Promise.all(
        keys.map(async (key): Promise<Stored[]> => {
          const sealed = await send('GET', key)
          if (typeof sealed !== 'string' || !isSealed(sealed)) return []
          const put = async (after: string): Promise<boolean> =>
            Number(await send('EVAL', RESEAL_CHUNK, 1, key, sealed, after)) === 1
          return [{ sealed, context: `list:${name}`, put }]
        }),
      )
      yield batchOf(found.flat())
    }
  }
}

async function listNames({ send, keyspace }: Setting): Promise<readonly string[]> {
  return texts(await send('ZRANGEBYLEX', keyspace.lists, '-', '+')).filter(isListName)
}

/** Whether it is sealed. Without a vault, notes are stored as JSON and entries as base64, which has no colon. */
function isSealed(text: string): boolean {
  return !text.startsWith('{') && text.includes(':')
}
