import { randomUUID } from 'node:crypto'
import { RevisionConflict } from '../errors.ts'
import type { AppKey } from '../signature/keys.ts'
import type { ChangeNote } from '../store/contract.ts'
import { texts, type SendCommand } from './client.ts'
import { domainsIn, fields, revisionOf, type Documents } from './documents.ts'
import type { Feed } from './feed.ts'
import type { KeyClaims } from './key-claims.ts'
import type { Keyspace } from './keyspace.ts'
import type { OriginIndex } from './origins.ts'
import { REPLACE } from './scripts.ts'

export interface WritingSetting {
  readonly send: SendCommand
  readonly keyspace: Keyspace
  readonly documents: Documents
  readonly feed: Feed
  readonly origins: OriginIndex
  readonly claims: KeyClaims
  readonly keptRevisions: number
  /** Whether a write and its announcement are one step. */
  readonly atOnce: boolean
  /** For work after a write, which cannot undo the write if it fails. */
  afterwards(work: Promise<void>): Promise<void>
}

/** The input of the script. */
export interface Replacement {
  readonly appId: string
  readonly replaces: number
  /** As text; empty to remove the app. */
  readonly policy: string
  /** `undefined` leaves them unchanged. */
  readonly keys: readonly AppKey[] | undefined
  readonly note: ChangeNote
}

interface Current {
  /** The last revision, even if the app was removed since. */
  readonly last: number
  /** The revision of the app; 0 if there is no app. */
  readonly actual: number
  readonly domains: readonly string[]
  /** The fingerprints of its keys. */
  readonly prints: readonly string[]
}

/** Replaces apps by compare-and-set, and keeps the indexes of apps and origins up to date. */
export class AppWriting {
  readonly #setting: WritingSetting

  constructor(setting: WritingSetting) {
    this.#setting = setting
  }

  async current(appId: string): Promise<Current> {
    const { send, keyspace } = this.#setting
    const [policy, revision, prints] = fields(
      await send('HMGET', keyspace.app(appId), 'policy', 'revision', 'prints'),
    )
    if (typeof revision !== 'string') {
      // If the app is lost, its history has the last revision.
      const [newest] = texts(await send('LRANGE', keyspace.history(appId), -1, -1))
      return { last: revisionOf(newest), actual: 0, domains: [], prints: [] }
    }
    const last = Number(revision)
    if (typeof policy !== 'string') return { last, actual: 0, domains: [], prints: [] }
    const listed = typeof prints === 'string' && prints !== '' ? prints.split(' ') : []
    return { last, actual: last, domains: domainsIn(policy), prints: listed }
  }

  /**
   * Returns the new revision. The indexes of origins and apps are extended before a write and reduced after it, so that they
   * never lack an app.
   */
  async replace(change: Replacement, domains: readonly string[]): Promise<number> {
    const { send, keyspace, origins, claims, afterwards } = this.#setting
    const { appId, replaces, keys } = change
    const { last, actual, domains: before, prints: had } = await this.current(appId)
    if (actual !== replaces) throw new RevisionConflict(appId, replaces, actual)
    const [named, names] = [new Set(before), new Set(domains)]
    const prints = keys && (await claims.claim(appId, last + 1, keys))
    await Promise.all([
      origins.enlarge(
        appId,
        last + 1,
        domains.filter((domain) => !named.has(domain)),
        domains.filter((domain) => named.has(domain)),
      ),
      // Removed apps stay in the index, because they have a history and may be written again.
      send('ZADD', keyspace.apps, 0, appId),
    ])
    const revision = await this.#swap(change, prints ?? [], last)
    if (revision === undefined) return this.replace(change, domains)
    const removed = before.filter((domain) => !names.has(domain))
    await afterwards(origins.reduce(appId, revision, removed))
    const dropped = prints === undefined ? [] : had.filter((print) => !prints.includes(print))
    await afterwards(claims.release(appId, revision, dropped))
    return revision
  }

  /** Returns the new revision, or `undefined` if the app was written and removed since `last` was read. */
  async #swap(
    { keys: given, ...change }: Replacement,
    prints: readonly string[],
    last: number,
  ): Promise<number | undefined> {
    const { send, keyspace, documents, feed, keptRevisions, atOnce, afterwards } = this.#setting
    const { appId, replaces, policy } = change
    const keys = documents.sealKeys(appId, given)
    const at = [
      keyspace.app(appId),
      keyspace.secrets(appId),
      keyspace.history(appId),
      ...(atOnce ? feed.keys : []),
    ]
    const entry = documents.sealRevision(appId, last + 1, { ...change, keys })
    const values = [replaces, appId, policy, keys, randomUUID(), last, entry, keptRevisions, prints.join(' ')]
    const reply = texts(await send('EVAL', REPLACE, at.length, ...at, ...values))
    const revision = Number(reply[1])
    if (reply[0] !== 'written') {
      if (revision === replaces) return undefined
      throw new RevisionConflict(appId, replaces, revision)
    }
    feed.changedHere({ kind: 'app', name: appId, revision })
    if (!atOnce) await afterwards(feed.announce(send, { kind: 'app', name: appId, revision }))
    return revision
  }
}
