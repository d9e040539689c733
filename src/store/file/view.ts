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

/** How often the file is looked at though nothing was heard of it, in milliseconds. */
const POLL = 1_000
/** Changes within this time may leave the file with the same times, in milliseconds. Some file systems count in seconds. */
const GRAIN = 2_000
/** How often, and after how many milliseconds, a file that was good is read again before it counts as broken. */
const SECOND_LOOKS = 5
const SECOND_LOOK_AFTER = 20
// A pipe in the place of the file would hold the read up for ever. Windows lacks the flag.
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK

/** The file as it was last read, good or not. */
interface Seen {
  /** Tells whether it is the same file, unchanged; `undefined` when the next look must read it again. */
  readonly signature: string | undefined
  readonly bytes: Buffer | undefined
  readonly content: FileRecords | UnavailableError
}

/** A way to keep up with the file while someone listens. */
interface Feed {
  whole: boolean
  complete: boolean
  stop(): void
}

/** What a file holds, and word of every change in it. */
export class FileView {
  readonly #path: string
  readonly #onError: ((error: Error) => void) | undefined
  readonly #listeners = createListeners()
  readonly #domains = createDomainIndex()
  readonly #policies = new Map<string, Policy>()
  #seen: Seen | undefined
  /** As they were when the file was last good. */
  #records: FileRecords | undefined
  /** A look that has not begun. */
  #waiting: Promise<void> | undefined
  #last: Promise<void> = Promise.resolve()
  #feed: Feed | undefined

  constructor(path: string, onError: ((error: Error) => void) | undefined) {
    this.#path = path
    this.#onError = onError
  }

  /**
   * What the file holds: nothing older than at the time of the call, and the same object as before if it has not changed.
   * Listeners have heard of what changed. Rejects with `UnavailableError`.
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

  /** Resolves after a look at the file that began after the call. Never rejects. */
  #check(): Promise<void> {
    this.#waiting ??= this.#last = this.#last.then(() => {
      this.#waiting = undefined
      return this.#look()
    })
    return this.#waiting
  }

  async #look(): Promise<void> {
    let found = await readFrom(this.#path, this.#seen)
    // An editor may be about to write it.
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
      // A removal leaves a record behind, so this is not one: somebody emptied the file, or put another in its place.
      this.#becomeBroken()
      if (this.#feed !== undefined) this.#feed.complete = false
      this.#listeners.tell((listener) => listener.emptied?.())
      return
    }
    const revisionOf = (appId: string, of: FileRecords): number => of.get(appId)?.revision ?? 0
    if (changed.some((appId) => revisionOf(appId, after) < revisionOf(appId, before))) {
      // Somebody put an earlier file back. Readers that count on growing revisions must begin anew.
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
      // A report that fails must not end the look.
    }
  }

  #start(): Feed {
    const timer = setInterval(() => void this.#check(), POLL).unref()
    const watcher = watchDirectory(dirname(this.#path), () => void this.#check())
    void this.#check()
    return {
      whole: false,
      // What was read before may be older than what this feed begins with.
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

/** Reads the file, unless it is the one that was seen. Never rejects. */
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

/** Without the message of a foreign error, in which contents may stand. */
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
    // It admits nobody, so no origin need lead to it.
    return undefined
  }
}

/** The directory, for a file that is replaced takes the watch with it. Where it fails, polling is left. */
function watchDirectory(path: string, changed: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false }, changed)
    watcher.on('error', () => watcher.close())
    return watcher
  } catch {
    return undefined
  }
}
