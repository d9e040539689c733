import { constants, watch, type FSWatcher } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import { isPortcullisError, UnavailableError } from '../../errors.ts'
import { parsePolicy } from '../../policy/parse.ts'
import type { Policy } from '../../policy/policy.ts'
import type { StoreListener } from '../contract.ts'
import { createDomainIndex } from '../domains.ts'
import { parseFile, type FileRecord, type FileRecords } from './content.ts'
import { createListeners } from '../listeners.ts'

/** How often the file is checked even without a watch event, in milliseconds. */
const POLL = 1_000
/**
 * Two changes within this time may leave the file with the same modification time, in milliseconds. Some file systems count in
 * seconds.
 */
const GRAIN = 2_000
/** How often, and after how many milliseconds, a valid file that became invalid is read again before it counts as broken. */
const SECOND_LOOKS = 5
const SECOND_LOOK_AFTER = 20
// Without O_NONBLOCK, a named pipe in place of the file would block the read forever. Windows lacks the flag.
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK

/** The file as last read, valid or not. */
interface Seen {
  /** Equal for two reads of the same, unchanged file; `undefined` if the next check must read the file again. */
  readonly signature: string | undefined
  readonly bytes: Buffer | undefined
  readonly content: FileRecords | UnavailableError
}

/** Follows the file while there are listeners. */
interface Feed {
  whole: boolean
  complete: boolean
  stop(): void
}

/** The content of a file, and a feed of its changes. */
export class FileView {
  readonly #path: string
  readonly #onError: ((error: Error) => void) | undefined
  readonly #listeners = createListeners()
  readonly #domains = createDomainIndex()
  readonly #policies = new Map<string, Policy>()
  #seen: Seen | undefined
  /** The records of the last valid file. */
  #records: FileRecords | undefined
  /** A check that has not begun. */
  #waiting: Promise<void> | undefined
  #last: Promise<void> = Promise.resolve()
  #feed: Feed | undefined

  constructor(path: string, onError: ((error: Error) => void) | undefined) {
    this.#path = path
    this.#onError = onError
  }

  /**
   * The content of the file, at least as recent as the call; the same object as before if the file has not changed. Changes are
   * announced to listeners first. Rejects with `UnavailableError`.
   */
  async current(): Promise<FileRecords> {
    await this.#check()
    const { content } = this.#seen as Seen
    if (content instanceof UnavailableError) throw new UnavailableError(content.message)
    return content
  }

  /** The ids of the apps that name this origin. Rejects as `current` does. */
  async find(origin: string): Promise<readonly string[]> {
    await this.current()
    return this.#domains.find(origin)
  }

  watch(listener: StoreListener): () => void {
    this.#listeners.add(listener)
    this.#feed ??= this.#start()
    if (!this.#feed.whole) listener.broken()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#stop()
    }
  }

  close(): void {
    this.#stop()
    this.#listeners.clear()
  }

  /** Resolves after a check of the file that began after the call. Never rejects. */
  #check(): Promise<void> {
    this.#waiting ??= this.#last = this.#last.then(() => {
      this.#waiting = undefined
      return this.#look()
    })
    return this.#waiting
  }

  async #look(): Promise<void> {
    let found = await readFrom(this.#path, this.#seen)
    // An editor may be in the middle of writing it.
    for (let looks = 0; looks < SECOND_LOOKS && isGood(this.#seen) && !isGood(found); looks += 1) {
      await sleep(SECOND_LOOK_AFTER)
      found = await readFrom(this.#path, this.#seen)
    }
    const before = this.#seen?.content
    this.#seen = found
    if (found.content instanceof UnavailableError) {
      this.#becomeBroken()
      if (!(before instanceof UnavailableError) || before.message !== found.content.message)
        this.#report(found.content)
      return
    }
    if (found.content !== this.#records) this.#accept(found.content)
    if (this.#feed?.whole === false) {
      const { complete } = this.#feed
      Object.assign(this.#feed, { whole: true, complete: true })
      this.#listeners.tell((listener) => listener.restored(complete))
    }
  }

  #accept(after: FileRecords): void {
    const before = this.#records
    this.#records = after
    const ids = new Set([...(before?.keys() ?? []), ...after.keys()])
    const changed = [...ids].filter((appId) => differs(before?.get(appId), after.get(appId)))
    for (const appId of changed) this.#follow(appId, after.get(appId))
    if (before === undefined) return
    if (before.size > 0 && after.size === 0) {
      // A removal leaves a record in the file, so this is something else: the file was emptied or replaced by another.
      this.#becomeBroken()
      if (this.#feed !== undefined) this.#feed.complete = false
      this.#listeners.tell((listener) => listener.emptied?.())
      return
    }
    const revisionOf = (appId: string, of: FileRecords): number => of.get(appId)?.revision ?? 0
    if (changed.some((appId) => revisionOf(appId, after) < revisionOf(appId, before))) {
      // An earlier file was restored. Readers that rely on growing revisions must start again.
      this.#becomeBroken()
      if (this.#feed !== undefined) this.#feed.complete = false
    }
    for (const appId of changed)
      this.#listeners.tell((listener) => listener.changed(appId, after.get(appId)?.revision))
  }

  #follow(appId: string, record: FileRecord | undefined): void {
    const policy = parsed(record?.app?.policy)
    this.#domains.follow(this.#policies.get(appId), policy)
    if (policy === undefined) this.#policies.delete(appId)
    else this.#policies.set(appId, policy)
  }

  #becomeBroken(): void {
    if (this.#feed?.whole === true) {
      this.#feed.whole = false
      this.#listeners.tell((listener) => listener.broken())
    }
  }

  #report(error: UnavailableError): void {
    const onError = this.#onError
    try {
      onError?.(error)
    } catch {
      // An error of the callback must not stop the check.
    }
  }

  #start(): Feed {
    const timer = setInterval(() => void this.#check(), POLL).unref()
    const watcher = watchDirectory(dirname(this.#path), () => void this.#check())
    void this.#check()
    return {
      whole: false,
      // Data read before may be older than the start of this feed.
      complete: false,
      stop() {
        clearInterval(timer)
        watcher?.close()
      },
    }
  }

  #stop(): void {
    this.#feed?.stop()
    this.#becomeBroken()
    this.#feed = undefined
  }
}

/** Reads the file, unless it is unchanged since `seen`. Never rejects. */
async function readFrom(path: string, seen: Seen | undefined): Promise<Seen> {
  try {
    if (seen?.signature !== undefined && (await signatureOf(path)).signature === seen.signature) return seen
    const file = await open(path, READ_ONLY)
    try {
      const { signature, isFile, isSettled } = await signatureOf(file)
      if (!isFile) throw new UnavailableError('it is not a file')
      const bytes = await file.readFile()
      const known = isSettled ? signature : undefined
      if (seen?.bytes?.equals(bytes) === true) return { ...seen, signature: known }
      return { signature: known, bytes, content: parsedFile(path, bytes) }
    } finally {
      await file.close()
    }
  } catch (error) {
    return { signature: undefined, bytes: undefined, content: unreadable(path, error) }
  }
}

async function signatureOf(
  file: string | { stat(options: { bigint: true }): ReturnType<typeof statOf> },
): Promise<{ readonly signature: string; readonly isFile: boolean; readonly isSettled: boolean }> {
  const now = Date.now()
  const stats = await (typeof file === 'string' ? statOf(file) : file.stat({ bigint: true }))
  const { dev, ino, size, mtimeNs, ctimeNs } = stats
  return {
    signature: [dev, ino, size, mtimeNs, ctimeNs].join(),
    isFile: stats.isFile(),
    isSettled: now - Number(ctimeNs / 1_000_000n) > GRAIN,
  }
}

function statOf(path: string) {
  return stat(path, { bigint: true })
}

function parsedFile(path: string, bytes: Buffer): FileRecords | UnavailableError {
  try {
    return parseFile(bytes)
  } catch (error) {
    return unreadable(path, error)
  }
}

/** Leaves out the message of a foreign error, because it may quote the content. */
function unreadable(path: string, error: unknown): UnavailableError {
  const { code, name } = error as NodeJS.ErrnoException
  const reason = isPortcullisError(error) ? error.message : (code ?? name)
  return new UnavailableError(`the policy file \`${path}\` cannot be read: ${reason}`)
}

function isGood(seen: Seen | undefined): boolean {
  return seen !== undefined && !(seen.content instanceof UnavailableError)
}

function differs(before: FileRecord | undefined, after: FileRecord | undefined): boolean {
  return (
    before?.revision !== after?.revision ||
    before?.sealedKeys !== after?.sealedKeys ||
    !isDeepStrictEqual(before?.app?.policy, after?.app?.policy)
  )
}

function parsed(policy: unknown): Policy | undefined {
  try {
    return policy === undefined ? undefined : parsePolicy(policy)
  } catch {
    // An invalid policy admits no origin, so the index need not lead to it.
    return undefined
  }
}

/** Watches the directory, because the watch of a file ends when the file is replaced. If this fails, polling remains. */
function watchDirectory(path: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false }, changed)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}
