import { realpath } from 'node:fs/promises'
import { isPortcullisError, isUnreadable, UnavailableError } from '../../errors.ts'
import { KeyOwners } from '../key-owners.ts'
import { changedRecord, type Change } from '../records.ts'
import type { Sealing } from '../sealing.ts'
import { formatFile, noteInFile, type FileRecord, type FileRecords } from './content.ts'
import { lockFile, sweepBeside } from './lock.ts'
import type { FileView } from './view.ts'

/** How often a write begins anew because the file changes under its hands. */
const MAX_WRITES = 5

/** Writes changes into the file, one after another. Answers with the new revision; rejects as `ManagedPolicyStore.write` does. */
export function createFileWriting(
  file: string,
  view: FileView,
  sealing: Sealing,
): (change: Change) => Promise<number> {
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

  return write
}

/** Without the message of a foreign error, in which contents may stand. */
export function reasonOf(error: unknown): string {
  const { code, name, path } = error as NodeJS.ErrnoException
  return path === undefined ? (code ?? name) : `${code} at \`${path}\``
}
