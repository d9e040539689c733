import { linkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError, isPortcullisError, isUnreadable, UnavailableError } from '../../errors.ts'
import { parseNote } from '../change-note.ts'
import { aFunction, checkOptions, objectWith } from '../../options.ts'
import type { Vault } from '../../vault/vault.ts'
import type { ManagedPolicyStore } from '../contract.ts'
import { formatFile, noteInFile, revisionFromFile, type FileRecord, type FileRecords } from './content.ts'
import { createFileLists } from './lists.ts'
import { lockFile, sweepBeside, temporaryName } from './lock.ts'
import { createFileUses } from './uses.ts'
import { createFileView } from './view.ts'
import { KeyOwners } from '../key-owners.ts'
import { isUse, listKeys } from '../key-uses.ts'
import type { ListStore } from '../list-contract.ts'
import {
  changedRecord,
  checkRemoval,
  historyOf,
  listRecords,
  parseDocument,
  type Change,
} from '../records.ts'
import { createSealing } from '../sealing.ts'

export interface FileStoreOptions {
  /**
   * Encrypts the keys of apps, and who wrote what and why. Without it an app with keys can be neither written nor read, and
   * authors and notes are stored as they are.
   */
  readonly vault?: Vault | undefined
  /**
   * Whether a file that is not there is created now, with no apps, for its owner only. Otherwise, and when it goes later,
   * the store cannot look. Default false.
   */
  readonly create?: boolean | undefined
  /** Told when the file cannot be read, with the place of the fault and nothing of what stands there. Default: nobody. */
  readonly onError?: ((error: Error) => void) | undefined
}

export interface FileStore extends ManagedPolicyStore, ListStore {
  readList: ListStore['readList']
  /** Stops watching the file and the lists. Reads and writes go on. */
  close(): void
}

/** How often a write begins anew because the file changes under its hands. */
const MAX_WRITES = 5

/**
 * Policies in one JSON file, for small deployments and for policies that are kept in git:
 * `{ "apps": { "<appId>": { "policy": { "appId": … } } } }`. The store adds `revision` (1 when it is left out), `keys` (sealed)
 * and `history`, and writes apps in the order of their ids.
 *
 * People may edit the file, in place or by putting another in its place; while it is watched a change is announced at once or
 * within a second, and no read gives what is older than the file was when the read began. A policy that is not good is the
 * fault of its app; where the file as a whole is not good, nothing can be read until it is. Who edits a policy by hand
 * raises its `revision`, or a writer that has read it before does not notice. An earlier file that is put back brings the
 * keys back that were in it.
 *
 * Named lists lie beside it in `<path>.lists`, a file for each, `<name>.txt` (with `=` for `:`), in the text format of
 * `parseList`, which people may edit, too; a change is noticed and a revision is raised as those of policies are. The store
 * keeps revision, author and note in the first line, a comment. Where a line is no entry, or the first line is damaged, the
 * list cannot be read. Where the file system ignores case, the names of two lists must not differ in nothing else.
 *
 * Any number of processes of one machine may write. Each write replaces the file in one step, so a crash leaves the old one
 * or the new one; it waits up to 2 seconds for the lock `<path>.lock`, which is taken over when it is older than 10. A
 * symbolic link stays one: what it leads to is replaced. When keys were last used stands in `<path>.used`.
 *
 * @throws ConfigError
 */
export function fileStore(path: string, options: FileStoreOptions = {}): FileStore {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new ConfigError('fileStore path', 'the path of a file', path)
  checkOptions('fileStore', options, {
    vault: objectWith('a vault made by createVault()', 'seal', 'open'),
    create: { expected: 'true or false', accepts: (value) => typeof value === 'boolean' },
    onError: aFunction,
  })
  const { vault, create = false, onError } = options
  const file = resolve(path)
  if (statSync(dirname(file), { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new ConfigError('fileStore path', 'the path of a file in a directory that exists', path)
  if (create) createEmpty(file, path)
  const view = createFileView(file, onError)
  const sealing = createSealing(vault, 'fileStore')
  const { watch: watchLists, close: closeLists, ...lists } = createFileLists(file, sealing)
  const uses = createFileUses(file)
  let swept: Promise<void> | undefined
  let last: Promise<unknown> = Promise.resolve()

  /** One write after another; the lock is for other processes. */
  function write(change: Change): Promise<number> {
    const { appId } = change
    const keys = change.keys && { sealed: sealing.sealKeys(appId, change.keys) }
    const sealed = { ...change, note: noteInFile(sealing, appId, change.note) }
    const written = last.then(() => replaceFile(sealed, keys))
    last = written.catch(() => undefined)
    return written
  }

  async function replaceFile(
    change: Change,
    keys: { readonly sealed: string | undefined } | undefined,
  ): Promise<number> {
    try {
      return await replaceLocked(change, keys)
    } catch (error) {
      if (isPortcullisError(error)) throw error
      throw new UnavailableError(`the policy file \`${file}\` cannot be written: ${reasonOf(error)}`)
    } finally {
      // Before the write returns, listeners know.
      await view.current().catch(() => undefined)
    }
  }

  async function replaceLocked(
    change: Change,
    keys: { readonly sealed: string | undefined } | undefined,
  ): Promise<number> {
    const target = await realpath(file)
    await (swept ??= sweepBeside(target))
    const lock = await lockFile(target)
    try {
      for (let writes = 0; writes < MAX_WRITES; writes += 1) {
        const records = await view.current()
        const before = records.get(change.appId)
        const after: FileRecord = {
          ...changedRecord(before, change),
          sealedKeys: change.policy && (keys ?? { sealed: before?.app && before.sealedKeys }).sealed,
        }
        if (change.keys !== undefined) ownersBeside(records, change.appId).check(change.appId, change.keys)
        await lock.prepare(formatFile(new Map(records).set(change.appId, after)))
        // Who edits by hand does not know of the lock.
        if ((await view.current()) !== records || (await realpath(file)) !== target) continue
        await lock.commit()
        return after.revision
      }
      throw new UnavailableError(`the policy file \`${file}\` changes faster than it can be written`)
    } finally {
      await lock.release()
    }
  }

  /** Which of the other apps has which key. One whose keys cannot be opened could not be compared. */
  function ownersBeside(records: FileRecords, appId: string): KeyOwners {
    const owners = new KeyOwners()
    for (const [other, { app, sealedKeys }] of records) {
      if (other === appId || app === undefined || sealedKeys === undefined) continue
      try {
        owners.replace(other, [], sealing.openKeys(other, sealedKeys))
      } catch (error) {
        if (!isUnreadable(error)) throw error
      }
    }
    return owners
  }

  return {
    ...lists,
    async read(appId) {
      const record = (await view.current()).get(appId)
      if (record?.app === undefined) return undefined
      const { revision, app, sealedKeys } = record
      return { policy: app.policy, revision, keys: sealing.openKeys(appId, sealedKeys) }
    },
    watch(listener) {
      const leaves = [view.watch(listener), watchLists(listener)]
      return () => leaves.forEach((leave) => leave())
    },
    appsByOrigin: (origin) => view.find(origin),
    async write(document, replaces, note) {
      const { policy, keys } = parseDocument(document)
      return write({ appId: policy.appId, replaces, policy, keys, note: parseNote(note) })
    },
    async remove(appId, replaces, note) {
      checkRemoval(appId, replaces)
      // Nothing is there and nothing was expected: nothing happens.
      if (replaces === 0 && (await view.current()).get(appId)?.app === undefined) return
      await write({ appId, replaces, note: parseNote(note) })
    },
    async list(page) {
      return listRecords(await view.current(), page)
    },
    async history(appId, page) {
      const revisions = historyOf((await view.current()).get(appId), page)
      return revisions.map((revision) => revisionFromFile(sealing, appId, revision))
    },
    async keys(appId) {
      const record = (await view.current()).get(appId)
      if (record?.app === undefined) return undefined
      return listKeys(sealing.openKeys(appId, record.sealedKeys), await uses.of(appId))
    },
    async noteKeyUse(appId, keyId, at) {
      if (isUse(at)) await uses.note(appId, keyId, at)
    },
    close() {
      view.close()
      closeLists()
    },
  }
}

/** Never in the place of a file that is there, and never half of one. */
function createEmpty(file: string, given: string): void {
  const temporary = temporaryName(file)
  try {
    writeFileSync(temporary, formatFile(new Map()), { flag: 'wx', mode: 0o600, flush: true })
    linkSync(temporary, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new ConfigError('fileStore path', `where a file can be created (${reasonOf(error)})`, given)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Without the message of a foreign error, in which contents may stand. */
function reasonOf(error: unknown): string {
  const { code, name, path } = error as NodeJS.ErrnoException
  return path === undefined ? (code ?? name) : `${code} at \`${path}\``
}
