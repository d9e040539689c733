import { rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { UnavailableError, isPortcullisError } from '../errors.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber, type Expectation } from '../options.ts'
import type { SealedBatch, SealedHolder, SealedPlace } from '../vault/reseal.ts'
import type { Vault } from '../vault/vault.ts'
import { SnapshotFiles } from './snapshot-files.ts'
import type { PolicySnapshot, SnapshotEntry } from './snapshot.ts'

export interface DiskSnapshotOptions {
  /**
   * The directory of the files, one file for each app. It is created with mode 0700 if it does not exist. No other account should
   * be able to write to it: such an account cannot forge an entry, but it can restore one that was forgotten and is not too old
   * yet.
   */
  readonly directory: string
  /** Seals the files, because they contain the keys of apps. */
  readonly vault: Vault
  /**
   * How long files are kept, in milliseconds. Old files are removed at the start and at intervals. Choose at least the largest
   * `maxAge` that is used. Default 600 000.
   */
  readonly retention?: number | undefined
  /**
   * How many apps may wait for the disk. Beyond that, an app is not kept. If an app to be forgotten does not fit, all apps read
   * so far are forgotten. Both cases are reported. Default 10 000.
   */
  readonly maxPending?: number | undefined
  /** Called with every failure of the disk or the vault, and with the app id if it concerns one app. Default: not reported. */
  readonly onError?: ((error: UnavailableError, appId: string | undefined) => void) | undefined
}

const A_DIRECTORY: Expectation = {
  expected: 'the path of a directory',
  accepts: (value) => typeof value === 'string' && value !== '' && !value.includes('\0'),
}

const LONGEST_PAUSE = 3_600_000

/** A pending change of the file of one app. */
interface Change {
  /** `undefined`: the file is to be removed. */
  readonly entry: SnapshotEntry | undefined
  /** Whether the current content of the file must not be found again. */
  readonly forgotten: boolean
}

/**
 * Keeps the last read of each app in sealed files (AES-256-GCM), so that a process can start while the store is down. Processes
 * may share a directory.
 *
 * Files are replaced as a whole, so a crash leaves the old file or the new one. Changes that were still pending are lost: an app
 * that was forgotten just before the crash can be found again, until it is older than `maxAge`.
 *
 * @throws ConfigError
 */
export function diskSnapshot(options: DiskSnapshotOptions): PolicySnapshot & SealedHolder {
  const checked = checkOptions<DiskSnapshotOptions>('diskSnapshot', options, {
    directory: required(A_DIRECTORY),
    vault: { ...required(objectWith('a vault made by createVault()', 'seal', 'open')), secret: true },
    retention: wholeNumber('milliseconds', 1),
    maxPending: wholeNumber('apps', 1),
    onError: aFunction,
  })
  return new DiskSnapshot(checked)
}

class DiskSnapshot implements PolicySnapshot, SealedHolder {
  readonly #files: SnapshotFiles
  readonly #retention: number
  readonly #maxPending: number
  readonly #onError: DiskSnapshotOptions['onError']
  readonly #changes = new Map<string, Change>()
  readonly #reads = new Set<{ readonly appId: string; forgotten: boolean }>()
  #underway: Change | undefined
  #last: Promise<void> = Promise.resolve()
  /** Everything read until this time is forgotten, for all apps; in milliseconds since the epoch. */
  #forgottenUntil = -Infinity
  #sweepIsDue = false
  #timer: NodeJS.Timeout | undefined

  constructor({ directory, vault, retention = 600_000, maxPending = 10_000, onError }: DiskSnapshotOptions) {
    this.#files = new SnapshotFiles(resolve(directory), vault)
    this.#retention = retention
    this.#maxPending = maxPending
    this.#onError = onError
    // At construction, so that an unusable directory is reported before it is needed.
    void this.#enqueue(async () => {
      const created = await this.#reporting('the directory could not be created', undefined, () =>
        this.#files.create(),
      )
      if (created) await this.#sweep()
    })
  }

  keep(appId: string, entry: SnapshotEntry): void {
    if (!this.#change(appId, entry))
      this.#report('the app was not kept: too many apps wait for the disk', appId)
  }

  forget(appId: string): void {
    for (const reading of this.#reads) if (reading.appId === appId) reading.forgotten = true
    if (this.#change(appId, undefined)) return
    this.#forgetAll()
    this.#report('everything was forgotten: too many apps wait for the disk', appId)
  }

  async find(appId: string, maxAge: number): Promise<SnapshotEntry | undefined> {
    const reading = { appId, forgotten: false }
    this.#reads.add(reading)
    const stored = this.#changes.has(appId) ? undefined : await this.#read(appId)
    this.#reads.delete(reading)
    const waiting = this.#changes.get(appId)
    const entry = waiting === undefined ? stored : waiting.entry
    if (entry === undefined || (waiting === undefined && reading.forgotten)) return undefined
    const age = Date.now() - entry.readAt
    return age >= 0 && age <= maxAge && entry.readAt > this.#forgottenUntil ? entry : undefined
  }

  flush(): Promise<void> {
    return this.#enqueue(async () => {})
  }

  /**
   * The files are copies, and a file does not name its app. So `reseal` removes a file sealed with another key, and the next read
   * of the app writes it again.
   */
  sealedPlaces(): readonly SealedPlace[] {
    return [{ name: 'snapshots', batches: () => this.#sealedFiles() }]
  }

  async *#sealedFiles(): AsyncGenerator<SealedBatch> {
    for await (const [path, sealed] of this.#files.sealed()) {
      yield {
        entries: [{ sealed }],
        replace: async () => {
          await rm(path, { force: true })
          return 1
        },
      }
    }
  }

  /** Runs jobs one after another. Each reports its own failures. */
  #enqueue(job: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(job)
    return this.#last
  }

  async #reporting(
    failed: string,
    appId: string | undefined,
    work: () => Promise<unknown>,
  ): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      this.#report(`${failed}: ${reasonOf(error)}`, appId)
      return false
    }
  }

  #report(message: string, appId: string | undefined): void {
    const onError = this.#onError
    try {
      onError?.(new UnavailableError(message), appId)
    } catch {
      // An error of the callback must not stop the queue.
    }
  }

  #change(appId: string, entry: SnapshotEntry | undefined): boolean {
    const present = this.#changes.get(appId)
    if (present === undefined && this.#changes.size >= this.#maxPending) return false
    this.#changes.set(appId, { entry, forgotten: entry === undefined || present?.forgotten === true })
    if (present === undefined || present === this.#underway) void this.#enqueue(() => this.#carryOut(appId))
    return true
  }

  async #carryOut(appId: string): Promise<void> {
    const doing = this.#changes.get(appId) as Change
    this.#underway = doing
    const { entry, forgotten } = doing
    const written =
      entry !== undefined &&
      (await this.#reporting('the app was not kept', appId, () => this.#write(appId, entry)))
    if (!written && forgotten) {
      const removed = await this.#reporting('the app was not removed', appId, () => this.#files.remove(appId))
      if (!removed) this.#forgetAll()
    }
    this.#underway = undefined
    // Unless it changed again in the meantime. Until here, `find` must not read the file.
    if (this.#changes.get(appId) === doing) this.#changes.delete(appId)
  }

  async #write(appId: string, entry: SnapshotEntry): Promise<void> {
    await this.#files.create()
    this.#sweepLater()
    await this.#files.write(appId, entry)
  }

  async #read(appId: string): Promise<SnapshotEntry | undefined> {
    try {
      return await this.#files.read(appId)
    } catch (error) {
      this.#report(`what was kept of the app is unreadable: ${reasonOf(error)}`, appId)
      return undefined
    }
  }

  /** If it is no longer known which apps were forgotten, all are. */
  #forgetAll(): void {
    this.#forgottenUntil = Date.now()
    this.#sweepSoon()
  }

  #sweepLater(): void {
    this.#timer ??= setTimeout(() => this.#sweepSoon(), Math.min(this.#retention, LONGEST_PAUSE)).unref()
  }

  #sweepSoon(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (!this.#sweepIsDue) void this.#enqueue(() => this.#sweep())
    this.#sweepIsDue = true
  }

  async #sweep(): Promise<void> {
    this.#sweepIsDue = false
    await this.#reporting('the directory could not be swept', undefined, () => this.#removeOld())
  }

  async #removeOld(): Promise<void> {
    for await (const [path, writtenAt] of this.#files.dated()) {
      const isOld = Math.abs(Date.now() - writtenAt) > this.#retention || writtenAt <= this.#forgottenUntil
      const removed =
        isOld &&
        (await this.#reporting('an old file was not removed', undefined, () => rm(path, { force: true })))
      if (!removed) this.#sweepLater()
    }
  }
}

/** Leaves out the message of a foreign error, because it may quote the content. */
function reasonOf(error: unknown): string {
  if (isPortcullisError(error)) return error.message
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown }
  return String(code ?? name)
}
