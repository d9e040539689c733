import { realpath } from 'node:fs/promises'
import { isPortcullisError, isUnreadable, UnavailableError } from '../../errors.ts'
import { KeyOwners } from '../key-owners.ts'
import { changedRecord, type Change } from '../records.ts'
import type { Sealing } from '../sealing.ts'
import { formatFile, noteInFile, type FileRecord, type FileRecords } from './content.ts'
import { lockFile, sweepBeside } from './lock.ts'
import type { FileView } from './view.ts'

/** How often a write is tried again if the file changes meanwhile. */
const MAX_WRITES = 5

export interface FileWriting {
  /** Writes a change. Returns the new revision; rejects as `ManagedPolicyStore.write` does. */
  write(change: Change): Promise<number>
  /** Replaces the content of the file with the result of `update`, which is called again if the file changed meanwhile. */
  rewrite(update: (records: FileRecords) => FileRecords): Promise<void>
}

/** Writes changes into the file, one after another. */
export function createFileWriting(file: string, view: FileView, sealing: Sealing): FileWriting {
  let swept: Promise<void> | undefined
  let last: Promise<unknown> = Promise.resolve()

  /** Writes of this process run one after another; the lock is for other processes. */
  function write(change: Change): Promise<number> {
    const { appId } = change
    const keys = change.keys && { sealed: sealing.sealKeys(appId, change.keys) }
    const sealed = { ...change, note: noteInFile(sealing, appId, change.note) }
    return inTurn(async () => {
      let revision = 0
      await replaceLocked((records) => {
        const before = records.get(appId)
        const after: FileRecord = {
          ...changedRecord(before, sealed),
          sealedKeys: sealed.policy && (keys ?? { sealed: before?.app && before.sealedKeys }).sealed,
        }
        if (sealed.keys !== undefined) ownersBeside(records, appId).check(appId, sealed.keys)
        revision = after.revision
        return new Map(records).set(appId, after)
      })
      return revision
    })
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const written = last.then(() => replaceFile(work))
    last = written.catch(() => undefined)
    return written
  }

  async function replaceFile<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (isPortcullisError(error)) throw error
      throw new UnavailableError(`the policy file \`${file}\` cannot be written: ${reasonOf(error)}`)
    } finally {
      // Listeners are informed before the write returns.
      await view.current().catch(() => undefined)
    }
  }

  async function replaceLocked(update: (records: FileRecords) => FileRecords): Promise<void> {
    const target = await realpath(file)
    await (swept ??= sweepBeside(target))
    const lock = await lockFile(target)
    try {
      for (let writes = 0; writes < MAX_WRITES; writes += 1) {
        const records = await view.current()
        await lock.prepare(formatFile(update(records)))
        // Editors do not use the lock.
        if ((await view.current()) !== records || (await realpath(file)) !== target) continue
        await lock.commit()
        return
      }
      throw new UnavailableError(`the policy file \`${file}\` changes faster than it can be written`)
    } finally {
      await lock.release()
    }
  }

  /** The keys of all other apps. Keys that cannot be opened are left out, because they cannot be compared. */
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

  return { write, rewrite: (update) => inTurn(() => replaceLocked(update)) }
}

/** Leaves out the message of a foreign error, because it may quote the content. */
export function reasonOf(error: unknown): string {
  const { code, name, path } = error as NodeJS.ErrnoException
  return path === undefined ? (code ?? name) : `${code} at \`${path}\``
}
