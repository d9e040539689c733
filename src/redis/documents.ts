import { UnreadableError } from '../errors.ts'
import { parsePolicy } from '../policy/parse.ts'
import type { AppKey } from '../signature/keys.ts'
import type { AppRevision, ChangeNote } from '../store/contract.ts'
import type { Sealing } from '../store/sealing.ts'

/** The form of keys and notes in Redis: sealed, each in the context of its app. */
export interface Documents {
  /** `=` leaves the keys unchanged; an empty string means none. */
  sealKeys(appId: string, keys: readonly AppKey[] | undefined): string
  openKeys(appId: string, sealed: unknown): readonly AppKey[]
  sealNote(appId: string, note: ChangeNote): string
  openNote(name: string, text: string): ChangeNote
  /** A history entry as text, which begins with its revision. `policy` and `keys` are as in `REPLACE`. */
  sealRevision(
    appId: string,
    revision: number,
    entry: { policy: string; keys: string; note: ChangeNote },
  ): string
  openRevision(appId: string, text: string): AppRevision
  /** A part of a list, as text; sealed if there is a vault. */
  sealBytes(list: string, bytes: Uint8Array): string
  openBytes(list: string, text: unknown): Uint8Array
}

export function createDocuments(sealing: Sealing): Documents {
  function sealNote(name: string, note: ChangeNote): string {
    return sealing.sealNote(name, note) ?? JSON.stringify(note)
  }

  function openNote(name: string, text: string): ChangeNote {
    return text.startsWith('{') ? (parseJson(text) as ChangeNote) : sealing.openNote(name, text)
  }

  return {
    sealKeys: (appId, keys) => (keys === undefined ? '=' : (sealing.sealKeys(appId, keys) ?? '')),
    openKeys(appId, sealed) {
      if (sealed !== null && typeof sealed !== 'string') throw damaged()
      return sealing.openKeys(appId, sealed ?? undefined)
    },
    sealNote,
    openNote,
    sealRevision: (appId, revision, { policy, keys, note }) =>
      JSON.stringify([revision, new Date().toISOString(), keys !== '=', sealNote(appId, note), policy]),
    openRevision(appId, text) {
      const [revision, at, keysChanged, by, policy] = parseJson(text) as [
        number,
        string,
        boolean,
        string,
        string,
      ]
      return {
        revision,
        at,
        ...openNote(appId, by),
        policy: policy === '' ? undefined : parseJson(policy),
        keysChanged,
      }
    },
    sealBytes: (list, bytes) => sealing.sealEntries(list, bytes) ?? Buffer.from(bytes).toString('base64'),
    openBytes(list, text) {
      if (typeof text !== 'string') throw damaged()
      return text.includes(':') ? sealing.openEntries(list, text) : Buffer.from(text, 'base64')
    },
  }
}

/** The text of a revision. */
export const REVISION = /^[1-9][0-9]{0,15}$/

/** @throws UnreadableError if it is not in our format, or belongs to another app. */
export function parseStored(
  appId: string,
  policy: unknown,
  revision: unknown,
): { readonly policy: unknown; readonly revision: number } {
  if (typeof policy !== 'string' || typeof revision !== 'string' || !REVISION.test(revision)) throw damaged()
  const document = parseJson(policy)
  if (appIdOf(document) !== appId) throw new UnreadableError('a stored document belongs to another app')
  return { policy: document, revision: Number(revision) }
}

/** The domains that a stored policy names. A damaged policy counts as naming none, so that it can be replaced like any other. */
export function domainsIn(policy: string): readonly string[] {
  try {
    return parsePolicy(parseJson(policy)).domainProtect?.domains ?? []
  } catch {
    return []
  }
}

/** The values in a reply to HMGET. */
export function fields(reply: unknown): readonly unknown[] {
  return Array.isArray(reply) ? (reply as unknown[]) : []
}

function damaged(): UnreadableError {
  return new UnreadableError('a stored app is damaged')
}

function appIdOf(document: unknown): unknown {
  return typeof document === 'object' && document !== null && 'appId' in document ? document.appId : undefined
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new UnreadableError('a stored document is not JSON')
  }
}

/** The revision at the beginning of a history entry; 0 if there is no entry. */
export function revisionOf(entry: string | undefined): number {
  return Number.parseInt(entry?.slice(1) ?? '0', 10)
}
