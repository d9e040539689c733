import { ConfigError, UnreadableError } from '../errors.ts'
import { parsePolicy } from '../policy/parse.ts'
import type { AppKey } from '../signature/keys.ts'
import type { Vault } from '../vault/vault.ts'
import type { AppRevision, ChangeNote } from '../store/contract.ts'

/** How keys and notes stand in Redis: sealed, each in the context of its app. */
export interface Documents {
  /** `=` to leave the keys as they are, empty for none. */
  sealKeys(appId: string, keys: readonly AppKey[] | undefined): string
  openKeys(appId: string, sealed: unknown): readonly AppKey[]
  sealNote(appId: string, note: ChangeNote): string
  openNote(name: string, text: string): ChangeNote
  /** An entry of the history as text, which begins with its revision. `policy` and `keys` are as in `REPLACE`. */
  sealRevision(
    appId: string,
    revision: number,
    entry: { policy: string; keys: string; note: ChangeNote },
  ): string
  openRevision(appId: string, text: string): AppRevision
  /** A part of a list, as text; sealed where there is a vault. */
  sealBytes(list: string, bytes: Uint8Array): string
  openBytes(list: string, text: unknown): Uint8Array
}

export function createDocuments(vault: Vault | undefined): Documents {
  function openBytes(sealed: string, context: string): Uint8Array {
    if (vault === undefined) throw new UnreadableError('it is sealed, and the store has no vault to open it')
    try {
      return vault.openBytes(sealed, context)
    } catch (error) {
      throw new UnreadableError((error as Error).message)
    }
  }

  function open(sealed: string, context: string): unknown {
    return parseJson(Buffer.from(openBytes(sealed, context)).toString())
  }

  function openNote(name: string, text: string): ChangeNote {
    return (text.startsWith('{') ? parseJson(text) : open(text, noteContext(name))) as ChangeNote
  }

  function sealNote(name: string, note: ChangeNote): string {
    const text = JSON.stringify(note)
    return vault === undefined || text === '{}' ? text : vault.seal(text, noteContext(name))
  }

  return {
    sealKeys(appId, keys) {
      if (keys === undefined) return '='
      if (keys.length === 0) return ''
      if (vault === undefined)
        throw new ConfigError('redisStore.vault', 'given, to store the keys of an app', vault)
      return vault.seal(JSON.stringify(keys), keysContext(appId))
    },
    openKeys(appId, sealed) {
      if (sealed === null) return []
      if (typeof sealed !== 'string') throw damaged()
      return open(sealed, keysContext(appId)) as readonly AppKey[]
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
    sealBytes: (list, bytes) =>
      vault === undefined ? Buffer.from(bytes).toString('base64') : vault.seal(bytes, listContext(list)),
    openBytes(list, text) {
      if (typeof text !== 'string') throw damaged()
      return text.includes(':') ? openBytes(text, listContext(list)) : Buffer.from(text, 'base64')
    },
  }
}

/** A revision as it is written. */
export const REVISION = /^[1-9][0-9]{0,15}$/

/** @throws UnreadableError when it is not what we have written, for this app. */
export function parseStored(
  appId: string,
  policy: unknown,
  revision: unknown,
): { readonly policy: unknown; readonly revision: number } {
  if (typeof policy !== 'string' || typeof revision !== 'string' || !REVISION.test(revision)) throw damaged()
  const document = parseJson(policy)
  if (appIdOf(document) !== appId) throw new UnreadableError('a stored document is of another app')
  return { policy: document, revision: Number(revision) }
}

/** The domains that a stored policy names. A damaged one names none we could know, and can be replaced like any other. */
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

function keysContext(appId: string): string {
  return `app-keys:${appId}`
}

function listContext(list: string): string {
  return `list:${list}`
}

function noteContext(appId: string): string {
  return `change-note:${appId}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new UnreadableError('a stored document is not JSON')
  }
}

/** The revision with which an entry of the history begins; 0 without one. */
export function revisionOf(entry: string | undefined): number {
  return Number.parseInt(entry?.slice(1) ?? '0', 10)
}
