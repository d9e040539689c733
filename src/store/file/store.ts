import { linkSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../errors.ts'
import { parseNote } from '../change-note.ts'
import { aFunction, checkOptions, objectWith } from '../../options.ts'
import type { SealedHolder } from '../../vault/reseal.ts'
import type { Vault } from '../../vault/vault.ts'
import type { ManagedPolicyStore } from '../contract.ts'
import { formatFile, revisionFromFile } from './content.ts'
import { FileLists } from './lists.ts'
import { temporaryName } from './lock.ts'
import { createFileUses } from './uses.ts'
import { fileSealedPlaces } from './sealed-places.ts'
import { FileView } from './view.ts'
import { createFileWriting, reasonOf } from './writing.ts'
import { isUse, listKeys } from '../key-uses.ts'
import type { ListStore } from '../list-contract.ts'
import { askCheck, checkRemoval, historyOf, listRecords, parseDocument } from '../records.ts'
import { createSealing } from '../sealing.ts'

export interface FileStoreOptions {
  /**
   * Encrypts the keys of apps, and the author and note of each change. Without it, an app with keys can be neither written nor
   * read, and authors and notes are stored in plain text.
   */
  readonly vault?: Vault | undefined
  /**
   * Whether to create the file now if it does not exist: without apps, and accessible only to its owner. Otherwise, and if the
   * file is removed later, reads and writes reject. Default false.
   */
  readonly create?: boolean | undefined
  /**
   * Called when the file cannot be read. The error says where the fault is, and quotes none of the content. Default: not
   * reported.
   */
  readonly onError?: ((error: Error) => void) | undefined
}

export interface FileStore extends ManagedPolicyStore, ListStore, SealedHolder {
  readList: ListStore['readList']
  /** Stops watching the file and the lists. Reads and writes still work. */
  close(): void
}

/**
 * Keeps policies in one JSON file, for small deployments and for policies in git: `{ "apps": { "<appId>": { "policy": { "appId":
 * … } } } }`. The store adds `revision` (1 if it is left out), `keys` (sealed) and `history`, and sorts apps by id.
 *
 * People may edit the file, in place or by replacing it. While the file is watched, a change is announced within a second. A read
 * never returns a state older than the start of the read. An invalid policy affects only its app; if the file as a whole is
 * invalid, nothing can be read until it is corrected. If you edit a policy by hand, raise its `revision`; otherwise a writer that
 * read the policy before does not notice the edit. If you restore an earlier file, you also restore the keys in it.
 *
 * Named lists are in the directory `<path>.lists`, one file `<name>.txt` for each (with `=` for `:`), in the text format of
 * `parseList`. People may edit them too; changes are noticed and revisions are raised as for policies. The store keeps the
 * revision, author and note in the first line, which is a comment. If a line is not an entry, or the first line is damaged, the
 * list cannot be read. On a file system that ignores case, the names of two lists must differ in more than case.
 *
 * Any number of processes on one machine may write. Each write replaces the file in one step, so a crash leaves the old file or
 * the new one. A write waits up to 2 seconds for the lock `<path>.lock`; a lock older than 10 seconds is taken over. A symbolic
 * link is kept, and its target is replaced. The file `<path>.used` records when keys were last used.
 *
 * @throws ConfigError
 */
export function fileStore(path: string, options: FileStoreOptions = {}): FileStore {
  if (typeof path !== 'string' || path === '' || path.includes('\0'))
    throw new ConfigError('fileStore path', 'the path of a file', path)
  const checked = checkOptions<FileStoreOptions>('fileStore', options, {
    vault: objectWith('a vault made by createVault()', 'seal', 'open'),
    create: { expected: 'true or false', accepts: (value) => typeof value === 'boolean' },
    onError: aFunction,
  })
  const { vault, create = false, onError } = checked
  const file = resolve(path)
  if (statSync(dirname(file), { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new ConfigError('fileStore path', 'the path of a file in a directory that exists', path)
  if (create) createEmpty(file, path)
  const view = new FileView(file, onError)
  const sealing = createSealing(vault, 'fileStore')
  const lists = new FileLists(file, sealing)
  const uses = createFileUses(file)
  const { write, rewrite } = createFileWriting(file, view, sealing)

  return {
    readList: (name) => lists.readList(name),
    writeList: (name, entries, replaces, note) => lists.writeList(name, entries, replaces, note),
    removeList: (name, replaces) => lists.removeList(name, replaces),
    lists: () => lists.lists(),
    async read(appId) {
      const record = (await view.current()).get(appId)
      if (record?.app === undefined) return undefined
      const { revision, app, sealedKeys } = record
      return { policy: app.policy, revision, keys: sealing.openKeys(appId, sealedKeys) }
    },
    watch(listener) {
      const leaves = [view.watch(listener), lists.watch(listener)]
      return () => leaves.forEach((leave) => leave())
    },
    appsByOrigin: (origin) => view.find(origin),
    async write(document, replaces, note, options) {
      const { policy, keys } = parseDocument(document)
      if (options !== undefined) await askCheck(policy, options)
      return write({ appId: policy.appId, replaces, policy, keys, note: parseNote(note) })
    },
    async remove(appId, replaces, note) {
      checkRemoval(appId, replaces)
      // There is no app, and the caller expected none.
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
    sealedPlaces: () => fileSealedPlaces(view, rewrite, lists),
    close() {
      view.close()
      lists.close()
    },
  }
}

/** Never replaces an existing file, and never leaves a partial one. */
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
