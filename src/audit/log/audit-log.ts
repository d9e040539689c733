import { createSecretKey, randomBytes } from 'node:crypto'
import { isKeyObject } from 'node:util/types'
import { withDeadline } from '../../deadline.ts'
import { UnavailableError } from '../../errors.ts'
import { warnOfSetup } from '../../setup-warning.ts'
import { isThenable } from '../../thenable.ts'
import type { AuditEvent } from '../event.ts'
import { Replay } from '../spool/replay.ts'
import { Spool } from '../spool/spool.ts'
import type { AuditLog, AuditLogStatus } from './audit-log-contract.ts'
import { checkedAuditLogOptions, type AuditLogOptions, type AuditLogSettings } from './audit-log-options.ts'
import { lastOf } from './frame.ts'
import { errorReporter, queueFull } from './failures.ts'
import { FrameMaker } from './frame-maker.ts'
import { FrameWindow } from './frame-window.ts'
import { SpoolPump } from './spool-pump.ts'
import { StorePump } from './store-pump.ts'
import { Tickets } from './tickets.ts'

/** How many frames may be in progress before events are collected. */
const ON_THEIR_WAY = 2
/** How many bytes of frames stay in memory although they are kept elsewhere. */
const HELD_BYTES = 2 * 1_048_576
const END_TIMEOUT = 5_000
const LOOKED_AGAIN_AFTER = 100

/**
 * Keeps audit events in frames: each batch is one entry of the store, hashed to a Merkle root and chained to the previous frames.
 * `write` resolves when the events are kept as `mode` requires.
 *
 * @throws ConfigError
 */
export function auditLog(options: AuditLogOptions): AuditLog {
  return new FrameLog(checkedAuditLogOptions(options))
}

class FrameLog implements AuditLog {
  readonly #settings: AuditLogSettings
  /** Passes an error on to `onError`. */
  readonly #report: (cause: unknown) => void
  readonly #maker: FrameMaker
  readonly #tickets = new Tickets()
  /** For callers that wait for the store, in any mode. */
  readonly #storedTickets = new Tickets()
  readonly #window = new FrameWindow()
  readonly #storePump: StorePump
  readonly #spoolPump: SpoolPump | undefined
  readonly #replay: Replay | undefined
  /** Earlier events in progress. If a recorder sends one again, it waits for the first attempt. */
  readonly #known = new WeakMap<AuditEvent, Promise<void>>()
  #opening: Promise<Spool> | undefined
  #spool: Spool | undefined
  #queuedBytes = 0
  #unkept: { readonly last: number; readonly bytes: number }[] = []
  #scheduled = false
  #warnedOfQueue = false
  #closed = false
  #looking: NodeJS.Timeout | undefined

  constructor(settings: AuditLogSettings) {
    this.#settings = settings
    this.#report = errorReporter(settings.onError)
    const { store, frameKey, spool, people, mode, storeTimeout } = settings
    const key = frameKey === undefined || isKeyObject(frameKey) ? frameKey : createSecretKey(frameKey)
    // A unique name, because each process start is a separate chain.
    this.#maker = new FrameMaker(randomBytes(16).toString('base64url'), key)
    if (mode === 'async') warnOfSetup('PORTCULLIS_AUDIT_ASYNC')
    const onError = this.#report
    this.#storePump = new StorePump({
      store,
      writer: this.#maker.writer,
      timeout: storeTimeout,
      window: this.#window,
      spool: () => this.#spool,
      before: async () => people?.deliver(),
      onStored: () => this.#progress(),
      onError,
    })
    if (spool === undefined) return
    people?.useSpool(async (content) => (await this.#open()).appendSecret(content))
    this.#spoolPump = new SpoolPump({
      window: this.#window,
      open: () => this.#open(),
      storedInstead: () => (this.#needsSpool ? 0 : this.#storePump.confirmed),
      onSpooled: () => this.#progress(),
      onError: (error) => {
        this.#report(error)
        this.#progress()
      },
    })
    this.#replay = new Replay({ directory: spool.directory, store, people, onError, storeTimeout })
    this.#replay.begin()
  }

  write(events: readonly AuditEvent[]): void | Promise<void> {
    if (events.length === 0) return undefined
    const fresh = events.filter((event) => !this.#known.has(event))
    const earlier = new Set(events.flatMap((event) => this.#known.get(event) ?? []))
    if (fresh.length > 0) {
      if (this.#closed) return Promise.reject(new UnavailableError('the audit log is closed'))
      if (this.#queueRatio >= 1) return Promise.reject(queueFull(this.#waiting))
      const kept = this.#take(fresh)
      if (kept !== undefined) {
        this.#know(fresh, kept)
        earlier.add(kept)
      }
    }
    if (earlier.size === 0 || this.#settings.mode === 'async') return undefined
    return earlier.size === 1 ? [...earlier][0] : Promise.all(earlier).then(() => undefined)
  }

  #know(events: readonly AuditEvent[], kept: Promise<void>): void {
    for (const event of events) this.#known.set(event, kept)
    kept.catch(() => {
      for (const event of events) this.#known.delete(event)
    })
  }

  /** `undefined` if the events are kept already. */
  #take(events: readonly AuditEvent[]): Promise<void> | undefined {
    const named = this.#settings.people?.named(events) ?? events
    return isThenable(named) ? named.then((all) => this.#queue(all)) : this.#queue(named)
  }

  #queue(events: readonly AuditEvent[]): Promise<void> | undefined {
    // The first events in a turn of the event loop go to the spool at once if possible. The others of this turn share a frame.
    const isFirst = !this.#scheduled && !this.#maker.hasRest && this.#unkept.length === 0
    const atOnce = isFirst && this.#settings.mode === 'spool' && this.#spoolPump?.isReady === true
    for (const event of events) this.#queuedBytes += this.#maker.add(event)
    const { last } = this.#maker
    this.#schedule()
    if (atOnce) this.#makeFrames()
    return this.#tickets.reached >= last ? undefined : this.#tickets.wait(last)
  }

  #schedule(): void {
    if (this.#scheduled || !this.#maker.hasRest) return
    this.#scheduled = true
    // Events of other requests in the same turn of the event loop go into the same frame.
    setImmediate(() => {
      this.#scheduled = false
      this.#makeFrames()
    })
  }

  /** Makes a frame at once while few are in progress. Otherwise events are collected until a frame is full. */
  #makeFrames(): void {
    const before = this.#maker.framed
    const mayWait = (): boolean => this.#unkept.length >= ON_THEIR_WAY
    this.#maker.make(mayWait, (frame, bytes) => {
      this.#window.push(frame)
      this.#unkept.push({ last: lastOf(frame), bytes })
    })
    const { framed } = this.#maker
    if (framed === before) return
    this.#spoolPump?.made(framed)
    const kept = this.#settings.mode === 'spool' && (this.#spoolPump?.spooled ?? 0) >= framed
    this.#storePump.made(framed, kept)
  }

  /** Called when the spool or the store has taken something. */
  #progress(): void {
    const stored = this.#storePump.stored
    const spooled = this.#spoolPump?.spooled ?? 0
    const kept = this.#keptUpTo(stored, spooled)
    while (this.#unkept.length > 0 && (this.#unkept[0]?.last ?? 0) <= kept) {
      this.#queuedBytes -= this.#unkept.shift()?.bytes ?? 0
    }
    this.#tickets.reach(kept)
    this.#storedTickets.reach(stored)
    if (kept < Math.max(stored, spooled)) this.#lookAgain()
    // In some modes the spool must have a frame even if the store has it.
    const { confirmed } = this.#storePump
    this.#window.forget(this.#needsSpool ? Math.min(confirmed, spooled) : confirmed)
    this.#window.forget(this.#spoolPump === undefined ? stored : spooled, HELD_BYTES)
    const { people } = this.#settings
    if (this.#spool !== undefined && (people?.pending ?? 0) === 0) {
      this.#spool.settle(confirmed)?.catch((error: unknown) => this.#report(error))
    }
    if (this.#queueRatio < 0.25) this.#warnedOfQueue = false
    this.#schedule()
  }

  #keptUpTo(stored: number, spooled: number): number {
    const { mode } = this.#settings
    if (mode === 'both') return Math.min(stored, spooled)
    // The store may lose data of the last second together with the process. So it replaces the spool only if the spool is late.
    const waitsForSpool = mode === 'fsync' || (mode === 'spool' && this.#spoolPump?.isLate === false)
    return waitsForSpool ? spooled : Math.max(stored, spooled)
  }

  /** A hanging disk causes no event, so check again later. */
  #lookAgain(): void {
    if (this.#settings.mode !== 'spool' || this.#looking !== undefined) return
    this.#looking = setTimeout(() => {
      this.#looking = undefined
      this.#progress()
    }, LOOKED_AGAIN_AFTER)
    this.#looking.unref()
  }

  /** Whether the store cannot replace the spool. */
  get #needsSpool(): boolean {
    const { mode } = this.#settings
    return mode === 'fsync' || mode === 'both'
  }

  get #waiting(): number {
    return this.#maker.last - this.#tickets.reached
  }

  get #queueRatio(): number {
    const { maxQueue, maxQueueBytes } = this.#settings
    const ratio = Math.max(this.#waiting / maxQueue, this.#queuedBytes / maxQueueBytes)
    if (ratio > 0.5 && !this.#warnedOfQueue) {
      this.#warnedOfQueue = true
      this.#report(
        new UnavailableError('the audit queue is more than half full: the store or the disk is slow'),
      )
    }
    return ratio
  }

  #open(): Promise<Spool> {
    const { directory = '', maxBytes = 2 ** 30, segmentBytes = 16 * 1_048_576 } = this.#settings.spool ?? {}
    const sync = this.#settings.mode === 'fsync'
    this.#opening ??= Spool.open({
      directory,
      writer: this.#maker.writer,
      maxBytes,
      segmentBytes,
      sync,
    }).then(
      (spool) => (this.#spool = spool),
      (error: unknown) => {
        this.#opening = undefined
        throw error
      },
    )
    return this.#opening
  }

  check(): void {
    if (this.#closed) throw new UnavailableError('the audit log is closed')
    if (this.#queueRatio >= 1) throw queueFull(this.#waiting)
    const spoolFails = this.#spoolPump?.failing ?? false
    const storeFails = this.#storePump.failing
    const { mode } = this.#settings
    if (spoolFails && this.#needsSpool) throw new UnavailableError('the spool of the audit fails')
    const hasOther = mode === 'async' || mode === 'fsync' || (this.#spoolPump !== undefined && !spoolFails)
    if (storeFails && (mode === 'both' || !hasOther))
      throw new UnavailableError('the store of the audit fails')
  }

  async flush(): Promise<void> {
    const { last } = this.#maker
    this.#makeFrames()
    this.#storePump.hurry()
    await withDeadline(this.#storedTickets.wait(last), END_TIMEOUT, 'the store of the audit')
  }

  async close(): Promise<void> {
    if (this.#closed) return
    const failure = await this.flush().then(
      () => undefined,
      (error: unknown) => error,
    )
    this.#closed = true
    const kept = this.#keptUpTo(this.#storePump.stored, this.#spoolPump?.spooled ?? 0)
    // A hanging disk must not keep a process from ending.
    await withDeadline(this.#closeParts(), END_TIMEOUT, 'the disk of the spool').catch(() => undefined)
    for (const tickets of [this.#tickets, this.#storedTickets]) {
      tickets.end(new UnavailableError('the audit log is closed'))
    }
    if (failure === undefined || kept >= this.#maker.last) return
    throw new UnavailableError(`the audit log was closed, and ${this.#maker.last - kept} events are lost`, {
      cause: failure,
    })
  }

  async #closeParts(): Promise<void> {
    clearTimeout(this.#looking)
    await this.#replay?.close()
    await this.#spoolPump?.close()
    await this.#storePump.close()
    await this.#spool?.close()
  }

  status(): AuditLogStatus {
    return {
      writer: this.#maker.writer,
      waiting: this.#waiting,
      queueRatio: this.#queueRatio,
      unstored: this.#maker.last - this.#storePump.stored,
      spoolBytes: this.#spool?.bytes ?? 0,
      storeFailing: this.#storePump.failing,
      spoolFailing: this.#spoolPump?.failing ?? false,
    }
  }
}
