import { UnavailableError } from '../errors.ts'
import { texts, type RedisClient, type SendCommand } from '../redis/client.ts'
import { sender } from '../redis/client.ts'
import type { Keyspace } from '../redis/keyspace.ts'
import { bucketOf } from './buckets.ts'
import { FIELDS, readEntry, type Entry } from './entry.ts'
import { CAUGHT_UP, CHANGE, REPLACE, SETTLE, TAKE } from './scripts.ts'

/** A change of a record, and what it depends on. */
export interface Change {
  readonly id: string
  /** The states in which the record may be; `absent`: there is no record. */
  readonly from: readonly string[]
  /** The revision that it must have. Left out: any. */
  readonly revision?: number | undefined
  /** The move that it must take part in. Left out: any. */
  readonly during?: string | undefined
  readonly stamp: string
  readonly to: Entry['state']
  readonly move: string
  /** `undefined`: as it is; '': removed. */
  readonly value: string | undefined
}

export type Changed = Written | Refused

export interface Written {
  readonly written: true
  readonly revision: number
}

/** The record as it is in place of what was expected. */
export interface Refused {
  readonly written: false
  readonly revision: number
  readonly state: string
  readonly move: string
}

/**
 * What one process knows of a location. `unknown`: it was not asked yet. `current`: it is asked. `away`: it did not answer. `behind`: it may lack records, and is
 * given them first. `foreign`: the server is another location.
 */
export type Condition = 'unknown' | 'current' | 'away' | 'behind' | 'foreign'

/** One location: the commands, and nothing of the other locations. */
export class Location {
  readonly name: string
  /** What the server says that it is: `europe/london`. */
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
    const bucket = bucketOf(id)
    const keys = [
      ...this.#recordKeys(bucket, id),
      ...this.#others.map((name) => this.#keys.owed(bucket, name)),
    ]
    const states = ` ${from.join(' ')} `
    const reply = texts(
      await this.#send(
        'EVAL',
        CHANGE,
        keys.length,
        ...keys,
        id,
        states,
        revision,
        during,
        stamp,
        to,
        move,
        value,
      ),
    )
    const [outcome, number = '', was = '', by = ''] = reply
    if (outcome === 'written') return { written: true, revision: Number(number) }
    return { written: false, revision: Number(number), state: was, move: by }
  }

  /** @param by `writer`: at once; `copy`: later, and of two writes with one revision the later counts. */
  async take(id: string, entry: Entry, by: 'writer' | 'copy'): Promise<'taken' | 'same' | 'newer'> {
    return (await this.#put(TAKE, id, entry, by)) as 'taken' | 'same' | 'newer'
  }

  /** Puts an entry in the place of a write that must not count. */
  async replace(id: string, entry: Entry, wrong: string): Promise<'taken' | 'kept'> {
    return (await this.#put(REPLACE, id, entry, wrong)) as 'taken' | 'kept'
  }

  async #put(script: string, id: string, entry: Entry, last: string): Promise<unknown> {
    const { revision, stamp, state, move, value } = entry
    const keys = this.#recordKeys(bucketOf(id), id)
    return this.#send('EVAL', script, 2, ...keys, id, revision, stamp, state, move, value, last)
  }

  /** The ids of one bucket whose records the location may lack. */
  async owedTo(location: string, bucket: string): Promise<readonly string[]> {
    return texts(await this.#send('SMEMBERS', this.#keys.owed(bucket, location)))
  }

  /** The location has these writes of one bucket. */
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

  /** The locations that lack records of this one, each with the number of the last note. */
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

  /** Whether the server is this location; `new` where it does not know yet, as when it was emptied. */
  async identity(): Promise<'own' | 'new' | 'foreign'> {
    const place = await this.#send('GET', this.#keys.place)
    if (place === null) return 'new'
    return place === this.#claim ? 'own' : 'foreign'
  }

  async claim(): Promise<void> {
    await this.#send('SET', this.#keys.place, this.#claim, 'NX')
    if ((await this.identity()) !== 'own')
      throw new UnavailableError(`the server of \`${this.name}\` is another location`)
  }

  #recordKeys(bucket: string, id: string): readonly [string, string] {
    return [this.#keys.record(bucket, id), this.#keys.recordIds(bucket)]
  }
}
