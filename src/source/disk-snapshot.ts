import { createHash, randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { UnavailableError, isPortcullisError } from '../errors.ts'
import { aFunction, checkOptions, objectWith, required, wholeNumber, type Expectation } from '../options.ts'
import type { StoredApp } from '../store/contract.ts'
import type { Vault } from '../vault/vault.ts'

/** What was read of one app, and when. */
export interface SnapshotEntry {
  readonly app: StoredApp
  /** When it was read, in milliseconds since the epoch. */
  readonly readAt: number
}

/** What was last read of each app, to start from while the store cannot be asked. Made by `diskSnapshot`. */
export interface PolicySnapshot {
  /** Keeps what was read, soon. The last call for an app counts, be it `keep` or `forget`. Never throws. */
  keep(appId: string, entry: SnapshotEntry): void
  /** Forgets the app: it changed, or is gone. `find` does not find it from now on; its file goes soon. Never throws. */
  forget(appId: string): void
  /**
   * What was kept of the app, if it was read at most `maxAge` milliseconds ago. `undefined`: it was not kept or was
   * forgotten, or its file is damaged, of another app or sealed by a key that the vault lacks. Never rejects.
   */
  find(appId: string, maxAge: number): Promise<SnapshotEntry | undefined>
  /** Resolves when every call before this one is carried out on disk, or its failure was reported. Never rejects. */
  flush(): Promise<void>
}

export interface DiskSnapshotOptions {
  /**
   * Where the files lie, one for each app. Created with mode 0700 if it is not there. Nobody else should be able to write
   * there: who can, cannot forge an entry, but can put back one that was forgotten and is not too old yet.
   */
  readonly directory: string
  /** Seals the files, for the keys of apps stand in them. */
  readonly vault: Vault
  /**
   * How long files are left there, in milliseconds; they are swept at the start and from time to time. Choose at least the
   * greatest `maxAge` that you ask for. Default 600 000.
   */
  readonly retention?: number | undefined
  /**
   * How many apps may wait for the disk. An app that comes when they do is not kept; where it was to be forgotten, all
   * that was read until then is. Both are reported. Default 10 000.
   */
  readonly maxPending?: number | undefined
  /** Told of everything that the disk or the vault refused, with the app id where it is about one. Default: nobody. */
  readonly onError?: ((error: UnavailableError, appId: string | undefined) => void) | undefined
}

const A_DIRECTORY: Expectation = {
  expected: 'the path of a directory',
  accepts: (value) => typeof value === 'string' && value !== '' && !value.includes('\0'),
}

/** The files of apps, and the temporary ones that become them. */
const OURS = /^[0-9a-f]{64}(\.[0-9a-f]{16}\.tmp)?$/
const FORM = 1
const LONGEST_PAUSE = 3_600_000
// A pipe in the place of a file would hold the read up for ever. Windows has neither flag.
const READ_ONLY = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

/** What is to become of the file of one app. */
interface Change {
  /** `undefined`: the file is to go. */
  readonly entry: SnapshotEntry | undefined
  /** Whether what the file holds must not be found any more. */
  readonly forgotten: boolean
}

/**
 * Keeps what was last read of each app in sealed files (AES-256-GCM), so that a process that starts while the store is
 * down has something to start from. Processes may share a directory.
 *
 * Files are replaced whole, so a crash leaves the old one or the new one. What it could not carry out any more is lost: an
 * app that was forgotten in the last moment can be found again, until it is older than `maxAge`.
 *
 * @throws ConfigError
 */
export function diskSnapshot(options: DiskSnapshotOptions): PolicySnapshot {
  const checked = checkOptions<DiskSnapshotOptions>('diskSnapshot', options, {
    directory: required(A_DIRECTORY),
    vault: { ...required(objectWith('a vault made by createVault()', 'seal', 'open')), secret: true },
    retention: wholeNumber('milliseconds', 1),
    maxPending: wholeNumber('apps', 1),
    onError: aFunction,
  })
  const { vault, retention = 600_000, maxPending = 10_000, onError } = checked
  const directory = resolve(checked.directory)

  const changes = new Map<string, Change>()
  const reads = new Set<{ readonly appId: string; forgotten: boolean }>()
  let underway: Change | undefined
  let last: Promise<void> = Promise.resolve()
  /** What was read until then is forgotten, of whatever app: milliseconds since the epoch. */
  let forgottenUntil = -Infinity
  let sweepIsDue = false
  let timer: NodeJS.Timeout | undefined

  /** One job after another, each reporting its own failures. */
  function enqueue(job: () => Promise<void>): Promise<void> {
    last = last.then(job)
    return last
  }

  async function reporting(
    failed: string,
    appId: string | undefined,
    work: () => Promise<unknown>,
  ): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      report(`${failed}: ${reasonOf(error)}`, appId)
      return false
    }
  }

  function report(message: string, appId: string | undefined): void {
    try {
      onError?.(new UnavailableError(message), appId)
    } catch {
      // A listener must not end the queue.
    }
  }

  function change(appId: string, entry: SnapshotEntry | undefined): boolean {
    const present = changes.get(appId)
    if (present === undefined && changes.size >= maxPending) return false
    changes.set(appId, { entry, forgotten: entry === undefined || present?.forgotten === true })
    if (present === undefined || present === underway) void enqueue(() => carryOut(appId))
    return true
  }

  async function carryOut(appId: string): Promise<void> {
    const doing = changes.get(appId) as Change
    underway = doing
    const { entry, forgotten } = doing
    const written =
      entry !== undefined && (await reporting('the app was not kept', appId, () => write(appId, entry)))
    if (!written && forgotten) {
      const removed = await reporting('the app was not removed', appId, () =>
        rm(pathOf(appId), { force: true }),
      )
      if (!removed) forgetAll()
    }
    underway = undefined
    // Not when it changed again meanwhile. Until here, `find` must not look at the file.
    if (changes.get(appId) === doing) changes.delete(appId)
  }

  async function write(appId: string, { app, readAt }: SnapshotEntry): Promise<void> {
    const text = JSON.stringify({ form: FORM, readAt, app })
    const sealed = vault.seal(text, contextOf(appId))
    const path = pathOf(appId)
    const temporary = `${path}.${randomBytes(8).toString('hex')}.tmp`
    await createDirectory()
    sweepLater()
    try {
      await writeFile(temporary, sealed, { flag: 'wx', mode: 0o600 })
      await rename(temporary, path)
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined)
      throw error
    }
  }

  async function read(appId: string): Promise<SnapshotEntry | undefined> {
    try {
      const sealed = await readFile(pathOf(appId), { encoding: 'utf8', flag: READ_ONLY })
      return parseEntry(vault.open(sealed, contextOf(appId)))
    } catch (error) {
      if (!isMissing(error)) report(`what was kept of the app is unreadable: ${reasonOf(error)}`, appId)
      return undefined
    }
  }

  async function find(appId: string, maxAge: number): Promise<SnapshotEntry | undefined> {
    const reading = { appId, forgotten: false }
    reads.add(reading)
    const stored = changes.has(appId) ? undefined : await read(appId)
    reads.delete(reading)
    const waiting = changes.get(appId)
    const entry = waiting === undefined ? stored : waiting.entry
    if (entry === undefined || (waiting === undefined && reading.forgotten)) return undefined
    const age = Date.now() - entry.readAt
    return age >= 0 && age <= maxAge && entry.readAt > forgottenUntil ? entry : undefined
  }

  /** Where it cannot be told any more which app was forgotten, all are. */
  function forgetAll(): void {
    forgottenUntil = Date.now()
    sweepSoon()
  }

  function sweepLater(): void {
    timer ??= setTimeout(sweepSoon, Math.min(retention, LONGEST_PAUSE)).unref()
  }

  function sweepSoon(): void {
    clearTimeout(timer)
    timer = undefined
    if (!sweepIsDue) void enqueue(sweep)
    sweepIsDue = true
  }

  async function sweep(): Promise<void> {
    sweepIsDue = false
    await reporting('the directory could not be swept', undefined, removeOld)
  }

  async function removeOld(): Promise<void> {
    for (const name of await readdir(directory)) {
      if (!OURS.test(name)) continue
      const path = join(directory, name)
      // Another process that shares the directory may have removed it.
      const file = await lstat(path).catch(() => undefined)
      if (file?.isFile() !== true) continue
      // Whole milliseconds, as those of the clock that it is compared with.
      const writtenAt = Math.floor(file.mtimeMs)
      const isOld = Math.abs(Date.now() - writtenAt) > retention || writtenAt <= forgottenUntil
      const removed =
        isOld && (await reporting('an old file was not removed', undefined, () => rm(path, { force: true })))
      if (!removed) sweepLater()
    }
  }

  async function createDirectory(): Promise<void> {
    await mkdir(directory, { recursive: true, mode: 0o700 })
  }

  // The hash of an id: it tells no app, and differs also where upper and lower case are the same.
  function pathOf(appId: string): string {
    return join(directory, createHash('sha256').update(appId).digest('hex'))
  }

  // At once, so that a directory that cannot be used is known before it is needed.
  void enqueue(async () => {
    if (await reporting('the directory could not be created', undefined, createDirectory)) await sweep()
  })

  return {
    keep(appId, entry) {
      if (!change(appId, entry)) report('the app was not kept: too many wait for the disk', appId)
    },
    forget(appId) {
      for (const reading of reads) if (reading.appId === appId) reading.forgotten = true
      if (change(appId, undefined)) return
      forgetAll()
      report('everything was forgotten: too many apps wait for the disk', appId)
    },
    find,
    flush: () => enqueue(async () => {}),
  }
}

function contextOf(appId: string): string {
  return `snapshot:${appId}`
}

/** A sealed text is one that we wrote; only its form may be that of another version. */
function parseEntry(text: string): SnapshotEntry {
  const { form, app, readAt } = JSON.parse(text) as {
    form: unknown
    app: StoredApp
    readAt: unknown
  }
  if (form !== FORM || typeof readAt !== 'number')
    throw new UnavailableError('it has a form that this version does not know')
  return { app, readAt }
}

function isMissing(error: unknown): boolean {
  return (error as { code?: unknown } | undefined)?.code === 'ENOENT'
}

/** Without the message of a foreign error, in which contents may stand. */
function reasonOf(error: unknown): string {
  if (isPortcullisError(error)) return error.message
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown }
  return String(code ?? name)
}
