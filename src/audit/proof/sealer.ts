import { createPrivateKey, type KeyObject } from 'node:crypto'
import { isKeyObject } from 'node:util/types'
import { withDeadline } from '../../deadline.ts'
import { ConfigError, SECRET, UnavailableError } from '../../errors.ts'
import {
  aFunction,
  checkOptions,
  objectWith,
  required,
  wholeNumber,
  type Expectation,
} from '../../options.ts'
import { readFrame } from '../log/frame.ts'
import type { FrameStore, StoredFrame } from '../log/frame-store.ts'
import { GrowingTree, leafHash } from '../log/merkle.ts'
import { signCheckpoint, type Checkpoint } from './checkpoint.ts'
import { isNoteName, type NoteKey } from './note.ts'
import type { PublishCheckpoint } from './publishers.ts'
import type { LogStart } from '../log/log-start.ts'

export interface SealerOptions {
  readonly store: FrameStore
  /**
   * The name of the log, such as `example.org/audit`. No other log with the same key may have it. It is also the name of the key.
   */
  readonly origin: string
  /** An Ed25519 private key, as a `KeyObject` or in PEM. */
  readonly key: KeyObject | string
  /** Where to publish checkpoints outside the store. Every function receives every checkpoint. */
  readonly publish: PublishCheckpoint | readonly PublishCheckpoint[]
  /** How often to make a checkpoint if there are new frames, in milliseconds. Default 1,000. */
  readonly interval?: number | undefined
  /** After how many new frames a checkpoint is made at the latest. Default 1,024. */
  readonly maxFrames?: number | undefined
  /** Called with every failure. */
  readonly onError?: ((error: Error) => void) | undefined
}

/** Signs the state of a log at regular intervals. */
export interface Sealer {
  /** Signs a checkpoint over all frames that can no longer be lost. Resolves with the newest checkpoint, if there is one. */
  seal(): Promise<Checkpoint | undefined>
  /** Seals once more, and stops. */
  close(): Promise<void>
}

const PAGE = 1_024
const TIMEOUT = 10_000

const AN_ED25519_KEY: Expectation = {
  expected: 'an Ed25519 private key, as a `KeyObject` or in PEM',
  secret: true,
  accepts: (value) => privateKey(value) !== undefined,
}

function privateKey(value: unknown): KeyObject | undefined {
  try {
    const key = typeof value === 'string' ? createPrivateKey(value) : value
    return isKeyObject(key) && key.type === 'private' && key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}

/**
 * Makes signed checkpoints of a log and publishes them. Run one sealer for each log, in a process that need not serve requests. A
 * frame is sealed only when the store can no longer lose it (`settlesAfter`), so that no checkpoint covers frames that may come
 * back in another order.
 *
 * @throws ConfigError
 */
export function createSealer(options: SealerOptions): Sealer {
  const checked = checkOptions<SealerOptions>('createSealer', options, {
    store: required(objectWith('a frame store, such as `redisFrames(redis)`', 'read')),
    origin: required({
      expected: 'a name without spaces and `+`, such as `example.org/audit`',
      accepts: isNoteName,
    }),
    key: required(AN_ED25519_KEY),
    publish: required({
      expected: 'a function, or a list of functions',
      accepts: (value) =>
        typeof value === 'function' ||
        (Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'function')),
    }),
    interval: wholeNumber('milliseconds', 10),
    maxFrames: wholeNumber('frames', 1),
    onError: aFunction,
  })
  const key = privateKey(checked.key)
  if (key === undefined) throw new ConfigError('createSealer.key', AN_ED25519_KEY.expected, SECRET)
  return new LogSealer(checked, { name: checked.origin, key })
}

class LogSealer implements Sealer {
  readonly #options: SealerOptions
  readonly #key: NoteKey
  readonly #timer: NodeJS.Timeout
  #tree: GrowingTree | undefined
  /** The place of the last frame in the tree. */
  #place: string | undefined
  /** When each frame after it was first seen. */
  #seen = new Map<string, number>()
  #published = 0
  #newest: Checkpoint | undefined
  #sealing: Promise<Checkpoint | undefined> | undefined

  constructor(options: SealerOptions, key: NoteKey) {
    this.#options = options
    this.#key = key
    const { interval = 1_000 } = options
    this.#timer = setInterval(() => void this.seal().catch((error: unknown) => this.#report(error)), interval)
    this.#timer.unref()
  }

  seal(): Promise<Checkpoint | undefined> {
    this.#sealing ??= this.#sealNow().finally(() => (this.#sealing = undefined))
    return this.#sealing
  }

  async #sealNow(): Promise<Checkpoint | undefined> {
    const { store, maxFrames = 1_024 } = this.#options
    const tree = (this.#tree ??= await this.#begin())
    const seen = new Map<string, number>()
    let after = this.#place
    let mayTake = true
    for (;;) {
      const page: readonly StoredFrame[] = await withDeadline(
        store.read(after, PAGE),
        TIMEOUT,
        'the store of the audit',
      )
      for (const frame of page) {
        const since = this.#seen.get(frame.place) ?? performance.now()
        // In the order of the log: after a frame that may still be lost, nothing is taken.
        mayTake &&= performance.now() - since >= store.settlesAfter
        if (mayTake) {
          // A damaged frame is part of the tree too. A verification reports it.
          tree.add(leafOf(frame.bytes))
          this.#place = frame.place
          if (tree.size - this.#published >= maxFrames) await this.#publish(tree)
        } else seen.set(frame.place, since)
      }
      after = page.at(-1)?.place
      if (page.length < PAGE) break
    }
    this.#seen = seen
    await this.#publish(tree)
    return this.#newest
  }

  /** The tree over the removed frames, which the log continues. */
  async #begin(): Promise<GrowingTree> {
    const start: LogStart | undefined = await withDeadline(
      this.#options.store.start(),
      TIMEOUT,
      'the store of the audit',
    )
    this.#place = start?.place
    this.#published = start?.size ?? 0
    return GrowingTree.from(this.#published, start?.peaks.map((peak) => Buffer.from(peak, 'base64')) ?? [])
  }

  async #publish(tree: GrowingTree): Promise<void> {
    const { origin, publish } = this.#options
    const { size } = tree
    if (size === this.#published) return
    const checkpoint = { origin, size, root: tree.root() }
    const note = signCheckpoint(checkpoint, this.#key)
    const places = typeof publish === 'function' ? [publish] : publish
    const results = await Promise.allSettled(places.map(async (each) => each(note)))
    const failed = results.filter(({ status }) => status === 'rejected')
    // One copy outside the store is enough for a verification; missing copies are reported.
    if (failed.length < places.length) {
      this.#published = size
      this.#newest = checkpoint
    }
    if (failed.length > 0) {
      throw new UnavailableError(
        `a checkpoint could not be published in ${failed.length} of ${places.length} places`,
      )
    }
  }

  #report(cause: unknown): void {
    try {
      this.#options.onError?.(cause instanceof Error ? cause : new UnavailableError('the sealer failed'))
    } catch {
      // An error of the callback must not stop the sealer.
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.seal()
  }
}

/** The leaf of a stored frame: the hash of its link, or of its bytes if it is damaged. */
export function leafOf(bytes: Buffer): Buffer {
  try {
    return leafHash(readFrame(bytes).link)
  } catch {
    return leafHash(bytes)
  }
}
