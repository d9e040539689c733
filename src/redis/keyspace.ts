import type { Expectation } from '../options.ts'

/** One kind of key in Redis. */
export interface KindOfKey {
  /** The name after the prefix. The part between `{` and `}` is the hash tag, which decides the slot on a Cluster. */
  readonly name: string
  readonly type: 'hash' | 'list' | 'set' | 'sorted set' | 'stream' | 'string'
  readonly holds: string
  /** The commands that a process with guards needs for it. */
  readonly guards: readonly string[]
  /**
   * The commands that a dashboard or a command line needs for it. A script (EVAL) needs the rights to all commands that it calls.
   */
  readonly dashboards: readonly string[]
}

/** Every key that Portcullis has in Redis. A test compares this table with docs/redis.md. */
export const KINDS_OF_KEYS = {
  app: {
    name: 'app:{<app id>}',
    type: 'hash',
    holds:
      'the policy of an app, its revision, the name of its last write, and the revision and fingerprints of its keys',
    guards: ['hmget'],
    dashboards: ['hmget', 'hset', 'hdel', 'eval'],
  },
  secrets: {
    name: 'secrets:{<app id>}',
    type: 'hash',
    holds: 'the keys of an app, encrypted, and the revision that wrote them',
    guards: ['hmget'],
    dashboards: ['hmget', 'hset', 'del', 'eval'],
  },
  history: {
    name: 'history:{<app id>}',
    type: 'list',
    holds: 'the revisions of an app, the newest last, as JSON; author and note are encrypted',
    guards: [],
    dashboards: ['lrange', 'rpush', 'ltrim', 'lset', 'eval'],
  },
  keyOwner: {
    name: 'key:{<fingerprint>}',
    type: 'string',
    holds: 'which app has claimed the key with this fingerprint, for which revision, and when',
    guards: [],
    dashboards: ['get', 'set', 'del', 'eval'],
  },
  used: {
    name: 'used:{<app id>}:<key id>',
    type: 'string',
    holds: 'when a key was last used',
    guards: ['set'],
    dashboards: ['get', 'set'],
  },
  apps: {
    name: 'apps',
    type: 'sorted set',
    holds: 'the ids of all apps, including removed ones, all with the same score',
    guards: ['zscore'],
    dashboards: ['zadd', 'zrangebylex', 'zscore'],
  },
  origin: {
    name: 'origin:{<entry of a domain list>}',
    type: 'sorted set',
    holds: 'the ids of the apps that have the entry, scored by the revision that added it',
    guards: ['zrevrange'],
    dashboards: ['zadd', 'zscore', 'zrem', 'zrevrange', 'eval'],
  },
  lists: {
    name: 'lists',
    type: 'sorted set',
    holds: 'the names of all lists, including removed ones, all with the same score',
    guards: [],
    dashboards: ['zadd', 'zrangebylex'],
  },
  list: {
    name: 'list:{<name>}',
    type: 'hash',
    holds: 'revision, version and size of a list; author and note are encrypted',
    guards: ['hmget'],
    dashboards: ['hmget', 'hset', 'hdel', 'eval'],
  },
  chunk: {
    name: 'list:{<name>}:<version>:<index>',
    type: 'string',
    holds: 'a part of the entries of one version of a list, compressed, and encrypted if there is a vault',
    guards: ['get'],
    dashboards: ['get', 'set', 'ttl', 'persist', 'expire', 'eval'],
  },
  feed: {
    name: '{feed}',
    type: 'stream',
    holds: 'the latest changes; every process continues reading where it stopped',
    guards: ['xread', 'xrange', 'xrevrange', 'info'],
    dashboards: ['xread', 'xrange', 'xrevrange', 'xadd', 'info', 'eval'],
  },
  feedNumber: {
    name: '{feed}:number',
    type: 'string',
    holds: 'the number of announced changes, so that a reader notices a gap',
    guards: ['get'],
    dashboards: ['get', 'incr', 'eval'],
  },
  feedStore: {
    name: '{feed}:store',
    type: 'string',
    holds:
      'a random name that the first write gives the store, so that a process notices if the data is lost',
    guards: ['get'],
    dashboards: ['get', 'set', 'eval'],
  },
  nonce: {
    name: 'nonce:{<app id>/<part>}<hash of the nonce>',
    type: 'string',
    holds: 'the name of the first claim',
    guards: ['get', 'set', 'eval'],
    dashboards: [],
  },
  nonces: {
    name: 'nonces:{<app id>/<part>}',
    type: 'string',
    holds: 'the number of unexpired nonces of an app, by time span',
    guards: ['get', 'set', 'eval'],
    dashboards: [],
  },
  audit: {
    name: 'audit',
    type: 'stream',
    holds: 'audit events, one JSON line per event; not read by guards',
    guards: [],
    dashboards: [],
  },
  auditLog: {
    name: '{audit}:log',
    type: 'hash',
    holds:
      'the frames of the audit log; which frames a person is in; the last event of each process that writes; where the log begins',
    guards: [],
    dashboards: [],
  },
  cursors: {
    name: '{audit}:cursors',
    type: 'hash',
    holds: 'how far each destination has read the audit log',
    guards: [],
    dashboards: [],
  },
  person: {
    name: 'person:{<pseudonym of a person>}',
    type: 'list',
    holds: 'the secrets of a person in the audit log, encrypted',
    guards: [],
    dashboards: [],
  },
  personErased: {
    name: 'person-erased:{<hash of the pseudonym>}',
    type: 'string',
    holds: 'when a person was erased, for 90 days, so that no secret from a spool returns',
    guards: [],
    dashboards: [],
  },
  personKey: {
    name: 'person-key:{<hash of a person>}',
    type: 'list',
    holds: 'the key of a person, which encrypts their fields; itself encrypted with the key of a region',
    guards: [],
    dashboards: [],
  },
  record: {
    name: 'region:{<bucket>}:<person id>',
    type: 'hash',
    holds: 'the record of a person in `regionalStore`, its revision and its state',
    guards: [],
    dashboards: [],
  },
  recordIds: {
    name: 'region:{<bucket>}',
    type: 'set',
    holds: 'the ids of the people of one bucket',
    guards: [],
    dashboards: [],
  },
  owed: {
    name: 'region-owed:{<bucket>}:<location>',
    type: 'set',
    holds: 'the ids of people whose latest record another location may still lack',
    guards: [],
    dashboards: [],
  },
  place: {
    name: 'region-place',
    type: 'string',
    holds: 'the location and jurisdiction of this server',
    guards: [],
    dashboards: [],
  },
  behind: {
    name: 'region-behind',
    type: 'hash',
    holds: 'the other locations that lack records of this one',
    guards: [],
    dashboards: [],
  },
} as const satisfies Record<string, KindOfKey>

export const DEFAULT_PREFIX = 'portcullis:'

/** The option `prefix`. */
export const PREFIX: Expectation = {
  expected: 'a string without braces',
  accepts: (value) => typeof value === 'string' && !/[{}]/.test(value),
}

/** The names of the keys with one prefix. */
export interface Keyspace {
  app(appId: string): string
  secrets(appId: string): string
  history(appId: string): string
  keyOwner(fingerprint: string): string
  used(appId: string, keyId: string): string
  readonly apps: string
  origin(entry: string): string
  readonly lists: string
  list(name: string): string
  chunk(name: string, version: string, index: number): string
  readonly feed: string
  readonly feedNumber: string
  readonly feedStore: string
  /** Both keys of one nonce. The nonces of an app are spread over several parts. */
  nonce(appId: string, part: number, hash: string): readonly [nonce: string, nonces: string]
  readonly audit: string
  readonly auditLog: string
  readonly cursors: string
  person(name: string): string
  personErased(hash: string): string
  personKey(name: string): string
  record(bucket: string, id: string): string
  recordIds(bucket: string): string
  owed(bucket: string, location: string): string
  readonly place: string
  readonly behind: string
}

export function createKeyspace(prefix: string = DEFAULT_PREFIX): Keyspace {
  const list = (name: string): string => `${prefix}list:{${name}}`
  return {
    app: (appId) => `${prefix}app:{${appId}}`,
    secrets: (appId) => `${prefix}secrets:{${appId}}`,
    history: (appId) => `${prefix}history:{${appId}}`,
    keyOwner: (fingerprint) => `${prefix}key:{${fingerprint}}`,
    used: (appId, keyId) => `${prefix}used:{${appId}}:${keyId}`,
    apps: `${prefix}apps`,
    // The braces make each entry a hash tag, so that entries are spread over the slots of a Cluster.
    origin: (entry) => `${prefix}origin:{${entry}}`,
    lists: `${prefix}lists`,
    list,
    chunk: (name, version, index) => `${list(name)}:${version}:${index}`,
    // One hash tag, so that a script reaches all of them on a Cluster.
    feed: `${prefix}{feed}`,
    feedNumber: `${prefix}{feed}:number`,
    feedStore: `${prefix}{feed}:store`,
    nonce(appId, part, hash) {
      const tag = `{${appId}/${part}}`
      return [`${prefix}nonce:${tag}${hash}`, `${prefix}nonces:${tag}`]
    },
    audit: `${prefix}audit`,
    auditLog: `${prefix}{audit}:log`,
    cursors: `${prefix}{audit}:cursors`,
    person: (name) => `${prefix}person:{${name}}`,
    personErased: (hash) => `${prefix}person-erased:{${hash}}`,
    personKey: (name) => `${prefix}person-key:{${name}}`,
    // All keys of a bucket have one hash tag, so that a script reaches them on a Cluster.
    record: (bucket, id) => `${prefix}region:{${bucket}}:${id}`,
    recordIds: (bucket) => `${prefix}region:{${bucket}}`,
    owed: (bucket, location) => `${prefix}region-owed:{${bucket}}:${location}`,
    place: `${prefix}region-place`,
    behind: `${prefix}region-behind`,
  }
}
