import { UnavailableError } from '../errors.ts'
import { texts, type RedisClient, type SendCommand } from '../redis/client.ts'
import { sender } from '../redis/client.ts'
import type { Keyspace } from '../redis/keyspace.ts'
import { bucketOf } from './buckets.ts'
import { FIELDS, readEntry, type Entry } from './entry.ts'
import { CAUGHT_UP, CHANGE, FORGET, HEADS, MAKE_SURE, SETTLE, TAKE } from './scripts.ts'

/** A change of a record, with its preconditions. */
export interface Change {
  readonly id: string
  /** The states in which the record may be; `absent`: there is no record. */
  readonly from: readonly string[]
  /** The expected revision. Left out: any. */
  readonly revision?: number | undefined
  /** The move that it must take part in. Left out: any. */
  readonly during?: string | undefined
  readonly stamp: string
  readonly to: Entry['state']
  readonly move: string
  /** `undefined`: unchanged; '': removed. */
  readonly value: string | undefined
}

export type Changed = Written | Refused

export interface Written {
  readonly written: true
  readonly revision: number
  /** The line and its sure part of the new entry. */
  readonly line: string
  readonly sure: string
}

/** The result of copying an entry from another location, and the revision that is there now. */
export interface Taken {
  /**
   * `taken`: it was copied. `same`: it was already there. `joined`: it is there with another line than the given one. `newer`:
   * the record there wins. `kept`: the write that should give way is not there.
   */
  readonly outcome: 'taken' | 'joined' | 'same' | 'newer' | 'kept'
  readonly revision: number
}

/** The record that was found instead of the expected one. */
export interface Refused {
  readonly written: false
  readonly revision: number
  readonly state: string
  readonly move: string
}

/**
 * What one process knows about a location. `unknown`: not checked yet. `current`: it is used. `away`: it did not answer.
 * `behind`: it may lack records, and is repaired before it is used. `foreign`: its server belongs to another location.
 */
export type Condition = 'unknown' | 'current' | 'away' | 'behind' | 'foreign'

/** The commands for one location. It knows only the names of the other locations. */
export class Location {
  readonly name: string
  /** The mark on its server, such as `europe/london`. */
  readonly #claim: string
  readonly #others: readonly string[]
  readonly #keys: Keyspace
  readonly #send: SendCommand

  /** @param others The names of the other locations of the same jurisdiction. */
  constructor(
    redis: RedisClient,
    at: {
      readonly name: string
      readonly jurisdiction: string
      readonly others: readonly string[]
      readonly keys: Keyspace
      readonly timeout: number
    },
  ) {
    this.name = at.name
    this.#claim = `${at.jurisdiction}/${at.name}`
    this.#others = at.others
    this.#keys = at.keys
    this.#send = sender(redis, at.timeout)
  }

  async read(id: string): Promise<Entry | undefined> {
    return readEntry(await this.#send('HMGET', this.#keys.record(bucketOf(id), id), ...FIELDS))
  }

  async change(change: Change): Promise<Changed> {
    const { id, from, revision = '*', during = '*', stamp, to, move, value = '=' } = change
    const keys = this.#recordKeys(id)
    const given = [id, ` ${from.join(' ')} `, revision, during, stamp, to, move, value, this.name]
    const reply = texts(await this.#send('EVAL', CHANGE, keys.length, ...keys, ...given))
    const [outcome, number = '', was = '', by = ''] = reply
    if (outcome === 'written') return { written: true, revision: Number(number), line: was, sure: by }
    return { written: false, revision: Number(number), state: was, move: by }
  }

  /**
   * @param by `writer`: sent by the writer before the write is acknowledged. `copy`: sent at any later time. `{ inPlaceOf }`: the
   * write with this name gives way to it.
   */
  async take(
    id: string,
    entry: Entry,
    by: 'writer' | 'copy' | { readonly inPlaceOf: string },
  ): Promise<Taken> {
    const { revision, stamp, state, move, value, line, sure } = entry
    const keys = this.#recordKeys(id)
    const how = typeof by === 'string' ? by : by.inPlaceOf
    const given = [id, revision, stamp, state, move, value, line, sure, how]
    const [outcome, now] = texts(await this.#send('EVAL', TAKE, keys.length, ...keys, ...given))
    return { outcome: outcome as Taken['outcome'], revision: Number(now) }
  }

  /** Makes the write sure, so that only a record built on it can replace it. Resolves with whether the write is still there. */
  async makeSure(id: string, stamp: string): Promise<boolean> {
    return (await this.#send('EVAL', MAKE_SURE, 1, this.#keys.record(bucketOf(id), id), stamp)) === 1
  }

  /** The ids of one bucket whose records the location may lack. */
  async owedTo(location: string, bucket: string): Promise<readonly string[]> {
    return texts(await this.#send('SMEMBERS', this.#keys.owed(bucket, location)))
  }

  /**
   * The parts of these records of one bucket that locations must agree on; '' if there is no record. Each begins with the name of
   * the write, followed by a zero byte.
   */
  async heads(bucket: string, ids: readonly string[]): Promise<readonly string[]> {
    const keys = ids.map((id) => this.#keys.record(bucket, id))
    return texts(await this.#send('EVAL', HEADS, keys.length, ...keys))
  }

  /** The states of these records of one bucket; `undefined` if there is no record. */
  async states(bucket: string, ids: readonly string[]): Promise<readonly (string | undefined)[]> {
    if (ids.length === 0) return []
    return (await this.heads(bucket, ids)).map((head) => head.split('\0')[2])
  }

  /** Notes that the location has these writes of one bucket. */
  async settle(location: string, bucket: string, writes: ReadonlyMap<string, string>): Promise<void> {
    if (writes.size === 0) return
    const keys = [
      this.#keys.owed(bucket, location),
      ...[...writes.keys()].map((id) => this.#keys.record(bucket, id)),
    ]
    await this.#send('EVAL', SETTLE, keys.length, ...keys, ...[...writes].flat())
  }

  /** A page of the ids of one bucket. */
  async ids(bucket: string, cursor: string): Promise<readonly [next: string, ids: readonly string[]]> {
    const reply = await this.#send('SSCAN', this.#keys.recordIds(bucket), cursor, 'COUNT', 500)
    const [next, ids] = Array.isArray(reply) ? (reply as unknown[]) : []
    return [typeof next === 'string' ? next : '0', texts(ids)]
  }

  /** Removes the ids of one bucket that have no record from the list of ids, and resolves with them. */
  async forget(bucket: string, ids: readonly string[]): Promise<readonly string[]> {
    if (ids.length === 0) return ids
    const keys = [this.#keys.recordIds(bucket), ...ids.map((id) => this.#keys.record(bucket, id))]
    return texts(await this.#send('EVAL', FORGET, keys.length, ...keys, ...ids))
  }

  /** The locations that lack records of this one, each with the number of its last note. */
  async behind(): Promise<ReadonlyMap<string, string>> {
    const flat = texts(await this.#send('HGETALL', this.#keys.behind))
    return new Map(
      flat.flatMap((name, index): [string, string][] =>
        index % 2 === 0 ? [[name, flat[index + 1] ?? '']] : [],
      ),
    )
  }

  async noteBehind(location: string): Promise<void> {
    await this.#send('HINCRBY', this.#keys.behind, location, 1)
  }

  async caughtUp(location: string, note: string): Promise<void> {
    await this.#send('EVAL', CAUGHT_UP, 1, this.#keys.behind, location, note)
  }

  /** Whether the server belongs to this location; `new` if it has no mark, for example because it was emptied. */
  async identity(): Promise<'own' | 'new' | 'foreign'> {
    const place = await this.#send('GET', this.#keys.place)
    if (place === null) return 'new'
    return place === this.#claim ? 'own' : 'foreign'
  }

  async claim(): Promise<void> {
    await this.#send('SET', this.#keys.place, this.#claim, 'NX')
    if ((await this.identity()) !== 'own')
      throw new UnavailableError(`the server configured for \`${this.name}\` belongs to another location`)
  }

  /** The record, the ids of its bucket, and the ids owed to each other location. */
  #recordKeys(id: string): readonly string[] {
    const bucket = bucketOf(id)
    const owed = this.#others.map((name) => this.#keys.owed(bucket, name))
    return [this.#keys.record(bucket, id), this.#keys.recordIds(bucket), ...owed]
  }
}
