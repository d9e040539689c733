import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { UnavailableError } from '../errors.ts'
import type { StoredApp } from '../store/contract.ts'
import type { Vault } from '../vault/vault.ts'
import type { SnapshotEntry } from './snapshot.ts'

/** The names of our files, final and temporary. */
const OURS = /^[0-9a-f]{64}(\.[0-9a-f]{16}\.tmp)?$/
const FORM = 1
// Without O_NONBLOCK, a named pipe in place of the file would block the read forever. Windows has neither flag.
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** The sealed files of a snapshot, one for each app. Every method may reject with an error of the disk or of the vault. */
export class SnapshotFiles {
  readonly #directory: string
  readonly #vault: Vault

  constructor(directory: string, vault: Vault) {
    this.#directory = directory
    this.#vault = vault
  }

  async create(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 })
  }

  /** Replaces the file of the app in one step. */
  async write(appId: string, { app, readAt }: SnapshotEntry): Promise<void> {
    const text = JSON.stringify({ form: FORM, readAt, app })
    const sealed = this.#vault.seal(text, contextOf(appId))
    const path = this.#pathOf(appId)
    const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`
    await this.create()
    try {
      await writeFile(temporary, sealed, { flag: 'wx', mode: 0o600 })
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      throw error
    }
  }

  /** The stored entry of the app; `undefined` if there is no file. */
  async read(appId: string): Promise<SnapshotEntry | undefined> {
    try {
      const sealed = await readFile(this.#pathOf(appId), { encoding: 'utf8', flag: READ_ONLY })
      return parseEntry(this.#vault.open(sealed, contextOf(appId)))
    } catch (error) {
      if ((error as { code?: unknown } | undefined)?.code === 'ENOENT') return undefined
      throw error
    }
  }

  async remove(appId: string): Promise<void> {
    await rm(this.#pathOf(appId), { force: true })
  }

  /** The paths of our files and their modification times, in whole milliseconds since the epoch. */
  async *dated(): AsyncGenerator<readonly [path: string, writtenAt: number]> {
    for (const name of await readdir(this.#directory)) {
      if (!OURS.test(name)) continue
      const path = join(this.#directory, name)
      // Another process that shares the directory may have removed it.
      const file = await lstat(path).catch(() => undefined)
      // Rounded down, because the clock it is compared with has whole milliseconds.
      if (file?.isFile() === true) yield [path, Math.floor(file.mtimeMs)]
    }
  }

  /** The sealed contents of the files. */
  async *sealed(): AsyncGenerator<readonly [path: string, sealed: string]> {
    for await (const [path] of this.dated()) {
      const sealed = await readFile(path, { encoding: 'utf8', flag: READ_ONLY }).catch(() => undefined)
      if (sealed !== undefined) yield [path, sealed]
    }
  }

  // A hash, because it does not reveal the app id and also works on file systems that ignore case.
  #pathOf(appId: string): string {
    return join(this.#directory, createHash('sha256').update(appId).digest('hex'))
  }
}

function contextOf(appId: string): string {
  return `snapshot:${appId}`
}

/** The content is sealed, so this package wrote it. Only its format may be of another version. */
function parseEntry(text: string): SnapshotEntry {
  const { form, app, readAt } = JSON.parse(text) as {
    form: unknown
    app: StoredApp
    readAt: unknown
  }
  if (form !== FORM || typeof readAt !== 'number')
    throw new UnavailableError('its format is unknown to this version')
  return { app, readAt }
}
