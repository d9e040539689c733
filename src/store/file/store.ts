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
   * Encrypts the keys of apps, and who wrote what and why. Without it an app with keys can be neither written nor read, and
   * authors and notes are stored as they are.
   */
  readonly vault?: Vault | undefined
  /**
   * Whether a file that is not there is created now, with no apps, for its owner only. Otherwise, and when it goes later,
   * the store cannot look. Default false.
   */
  readonly create?: boolean | undefined
  /** Told when the file cannot be read, with the place of the fault and none of the content. Default: not reported. */
  readonly onError?: ((error: Error) => void) | undefined
}

export interface FileStore extends ManagedPolicyStore, ListStore, SealedHolder {
  readList: ListStore['readList']
  /** Stops watching the file and the lists. Reads and writes go on. */
  close(): void
}

/**
 * Keeps policies in one JSON file, for small deployments and for policies in git: `{ "apps": { "<appId>": { "policy": { "appId": …
 * } } } }`. The store adds `revision` (1 when it is left out), `keys` (sealed) and `history`, and writes apps in the order of their
 * ids.
 *
 * People may edit the file, in place or by putting another in its place; while it is watched a change is announced at once or
 * within a second, and no read gives what is older than the file was when the read began. A policy that is not good is the fault of
 * its app; where the file as a whole is not good, nothing can be read until it is. When you edit a policy by hand, raise its
 * `revision`; otherwise a writer that has read it before does not notice. An earlier file that is put back brings the keys back
 * that were in it.
 *
 * Named lists lie beside it in `<path>.lists`, a file for each, `<name>.txt` (with `=` for `:`), in the text format of `parseList`,
 * which people may edit, too; a change is noticed and a revision is raised as those of policies are. The store keeps revision,
 * author and note in the first line, a comment. Where a line is no entry, or the first line is damaged, the list cannot be read.
 * Where the file system ignores case, the names of two lists must not differ in nothing else.
 *
 * Any number of processes of one machine may write. Each write replaces the file in one step, so a crash leaves the old one or the
 * new one; it waits up to 2 seconds for the lock `<path>.lock`, which is taken over when it is older than 10. A symbolic link stays
 * one: what it leads to is replaced. When keys were last used stands in `<path>.used`.
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
    sealedPlaces: () => fileSealedPlaces(view, rewrite, lists),
    close() {
      view.close()
      lists.close()
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
