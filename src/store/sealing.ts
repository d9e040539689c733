import { ConfigError, UnavailableError, UnreadableError } from '../errors.ts'
import type { AppKey } from '../signature/keys.ts'
import type { Vault } from '../vault/vault.ts'
import type { ChangeNote } from './change-note.ts'

/**
 * What a store seals: always the keys of an app, and, if there is a vault, notes and the entries of lists. Each is sealed in its
 * own context, so that it cannot be moved to another app or list. All stores use the same contexts.
 */
export interface Sealing {
  /**
   * The keys of an app as a sealed string; `undefined` if there are no keys.
   *
   * @throws ConfigError if there are keys and the store has no vault.
   */
  sealKeys(appId: string, keys: readonly AppKey[]): string | undefined
  /** @throws UnreadableError if they were changed, belong to another app, or were sealed by a key that the vault lacks. */
  openKeys(appId: string, sealed: string | undefined): readonly AppKey[]
  /** Author and note as a sealed string; `undefined` if both are missing or there is no vault. */
  sealNote(name: string, note: ChangeNote): string | undefined
  /** @throws UnreadableError as `openKeys` does. */
  openNote(name: string, sealed: string): ChangeNote
  /** Entries of a list as a sealed string; `undefined` if there is no vault. */
  sealEntries(list: string, bytes: Uint8Array): string | undefined
  /** @throws UnreadableError as `openKeys` does. */
  openEntries(list: string, sealed: string): Uint8Array
}

/** @param factory named in the error for keys that cannot be sealed, such as `redisStore` */
export function createSealing(vault: Vault | undefined, factory: string): Sealing {
  function openBytes(sealed: string, context: string): Uint8Array {
    if (vault === undefined)
      throw new UnreadableError('the stored data is sealed, and the store has no `vault` to open it')
    try {
      return vault.openBytes(sealed, context)
    } catch (error) {
      throw new UnreadableError(
        error instanceof UnavailableError ? error.message : 'the sealed data cannot be opened',
      )
    }
  }

  function openJson(sealed: string, context: string): unknown {
    const text = Buffer.from(openBytes(sealed, context)).toString()
    try {
      return JSON.parse(text) as unknown
    } catch {
      throw new UnreadableError('the sealed data is not JSON')
    }
  }

  return {
    sealKeys(appId, keys) {
      if (keys.length === 0) return undefined
      if (vault === undefined)
        throw new ConfigError(
          `${factory}.vault`,
          'a vault made by createVault(), to store the keys of an app',
          vault,
        )
      return vault.seal(JSON.stringify(keys), `app-keys:${appId}`)
    },
    openKeys: (appId, sealed) =>
      sealed === undefined ? [] : (openJson(sealed, `app-keys:${appId}`) as readonly AppKey[]),
    sealNote: (name, note) =>
      Object.keys(note).length === 0 ? undefined : vault?.seal(JSON.stringify(note), `change-note:${name}`),
    openNote: (name, sealed) => openJson(sealed, `change-note:${name}`) as ChangeNote,
    sealEntries: (list, bytes) => vault?.seal(bytes, `list:${list}`),
    openEntries: (list, sealed) => openBytes(sealed, `list:${list}`),
  }
}
