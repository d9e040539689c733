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

/** What a file holds, and word of every change in it. */
export interface FileView {
  /**
   * What the file holds: nothing older than at the time of the call, and the same object as before if it has not changed.
   * Listeners have heard of what changed. Rejects with `UnavailableError`.
   */
  current(): Promise<FileRecords>
  /** Apps that name the origin. Rejects as `current` does. */
  find(origin: string): Promise<readonly string[]>
  watch(this: void, listener: StoreListener): () => void
  close(this: void): void
}

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

export function createFileView(path: string, onError: ((error: Error) => void) | undefined): FileView {
  const listeners = createListeners()
  const domains = createDomainIndex()
  const policies = new Map<string, Policy>()
  let seen: Seen | undefined
  /** As they were when the file was last good. */
  let records: FileRecords | undefined
  /** A look that has not begun. */
  let waiting: Promise<void> | undefined
  let last: Promise<void> = Promise.resolve()
  let feed: { whole: boolean; complete: boolean; stop(): void } | undefined

  /** Resolves after a look at the file that began after the call. Never rejects. */
  function check(): Promise<void> {
    waiting ??= last = last.then(() => {
      waiting = undefined
      return look()
    })
    return waiting
  }

  async function look(): Promise<void> {
    let found = await readFrom(path, seen)
    // An editor may be about to write it.
    for (let looks = 0; looks < SECOND_LOOKS && isGood(seen) && !isGood(found); looks += 1) {
      await sleep(SECOND_LOOK_AFTER)
      found = await readFrom(path, seen)
    }
    const before = seen?.content
    seen = found
    if (found.content instanceof UnavailableError) {
      becomeBroken()
      if (!(before instanceof UnavailableError) || before.message !== found.content.message)
        report(found.content)
      return
    }
    if (found.content !== records) accept(found.content)
    if (feed?.whole === false) {
      const { complete } = feed
      Object.assign(feed, { whole: true, complete: true })
      listeners.tell((listener) => listener.restored(complete))
    }
  }

  function accept(after: FileRecords): void {
    const before = records
    records = after
    const ids = new Set([...(before?.keys() ?? []), ...after.keys()])
    const changed = [...ids].filter((appId) => differs(before?.get(appId), after.get(appId)))
    for (const appId of changed) follow(appId, after.get(appId))
    if (before === undefined) return
    if (before.size > 0 && after.size === 0) {
      // A removal leaves a record behind, so this is none: somebody emptied the file, or put another in its place.
      becomeBroken()
      if (feed !== undefined) feed.complete = false
      listeners.tell((listener) => listener.emptied?.())
      return
    }
    const revisionOf = (appId: string, of: FileRecords): number => of.get(appId)?.revision ?? 0
    if (changed.some((appId) => revisionOf(appId, after) < revisionOf(appId, before))) {
      // Somebody put an earlier file back. Who counts on revisions that only grow must begin anew.
      becomeBroken()
      if (feed !== undefined) feed.complete = false
    }
    for (const appId of changed)
      listeners.tell((listener) => listener.changed(appId, after.get(appId)?.revision))
  }

  function follow(appId: string, record: FileRecord | undefined): void {
    const policy = parsed(record?.app?.policy)
    domains.follow(policies.get(appId), policy)
    if (policy === undefined) policies.delete(appId)
    else policies.set(appId, policy)
  }

  function becomeBroken(): void {
    if (feed?.whole === true) {
      feed.whole = false
      listeners.tell((listener) => listener.broken())
    }
  }

  function report(error: UnavailableError): void {
    try {
      onError?.(error)
    } catch {
      // A report that fails must not end the look.
    }
  }

  async function current(): Promise<FileRecords> {
    await check()
    const { content } = seen as Seen
    if (content instanceof UnavailableError) throw new UnavailableError(content.message)
    return content
  }

  function start(): NonNullable<typeof feed> {
    const timer = setInterval(() => void check(), POLL).unref()
    const watcher = watchDirectory(dirname(path), () => void check())
    void check()
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

  function stop(): void {
    feed?.stop()
    becomeBroken()
    feed = undefined
  }

  return {
    current,
    async find(origin) {
      await current()
      return domains.find(origin)
    },
    watch(listener) {
      listeners.add(listener)
      feed ??= start()
      if (!feed.whole) listener.broken()
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stop()
      }
    },
    close() {
      stop()
      listeners.clear()
    },
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
