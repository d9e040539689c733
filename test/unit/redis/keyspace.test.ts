import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { createKeyspace, KINDS_OF_KEYS, type KindOfKey } from '../../../src/redis/keyspace.ts'
import { repository } from '../../support/commands.ts'

const kinds = Object.values<KindOfKey>(KINDS_OF_KEYS)
const keyspace = createKeyspace('p:')
const page = readFileSync(join(repository, 'docs/redis.md'), 'utf8')
const names: Readonly<Record<keyof typeof KINDS_OF_KEYS, string>> = {
  app: keyspace.app('A'),
  secrets: keyspace.secrets('A'),
  history: keyspace.history('A'),
  keyOwner: keyspace.keyOwner('F'),
  used: keyspace.used('A', 'K'),
  apps: keyspace.apps,
  origin: keyspace.origin('E'),
  lists: keyspace.lists,
  list: keyspace.list('N'),
  chunk: keyspace.chunk('N', 'V', 0),
  feed: keyspace.feed,
  feedNumber: keyspace.feedNumber,
  feedStore: keyspace.feedStore,
  nonce: keyspace.nonce('A', 1, 'H')[0],
  nonces: keyspace.nonce('A', 1, 'H')[1],
  audit: keyspace.audit,
  auditLog: keyspace.auditLog,
  cursors: keyspace.cursors,
  person: keyspace.person('P'),
  personErased: keyspace.personErased('H'),
  personKey: keyspace.personKey('H'),
  record: keyspace.record('B', 'I'),
  recordIds: keyspace.recordIds('B'),
  owed: keyspace.owed('B', 'L'),
  place: keyspace.place,
  behind: keyspace.behind,
}

/** A name in the table, with the values that the test uses. */
function filledIn(name: string): string {
  const values: Readonly<Record<string, string>> = {
    'app id': 'A',
    'key id': 'K',
    fingerprint: 'F',
    'entry of a domain list': 'E',
    name: 'N',
    version: 'V',
    index: '0',
    part: '1',
    'hash of the nonce': 'H',
    'pseudonym of a person': 'P',
    'hash of a person': 'H',
    'hash of the pseudonym': 'H',
    bucket: 'B',
    'person id': 'I',
    location: 'L',
  }
  return `p:${name.replace(/<([^>]+)>/g, (_, what: string) => values[what] ?? `<${what}>`)}`
}

function allowedInDocs(user: string): string[] {
  const line = new RegExp(`^ACL SETUSER ${user} on >\\S+ (.*)$`, 'm').exec(page)?.[1] ?? ''
  return [...line.matchAll(/\+(\w+)/g)].map(([, command]) => command as string).toSorted()
}

const needed = (who: 'guards' | 'dashboards'): string[] =>
  [...new Set(kinds.flatMap((kind) => kind[who]))].toSorted()

describe('the keyspace of Redis', () => {
  it.each(Object.keys(KINDS_OF_KEYS) as (keyof typeof KINDS_OF_KEYS)[])(
    'has keys of the kind %s with the name and the slot in the table',
    (kind) => {
      expect(names[kind]).toBe(filledIn(KINDS_OF_KEYS[kind].name))
    },
  )

  it('is documented correctly in docs/redis.md', () => {
    const rows = [...page.matchAll(/^\| `(\S.*?)` +\| (.+?) +\| (.+?) +\|$/gm)].map(([, ...cells]) => cells)
    const keys = rows.filter(([, type = '']) => /^(?:hash|list|set|sorted set|stream|string)$/.test(type))
    expect(keys).toEqual(kinds.map(({ name, type, holds }) => [name, type, holds]))
  })

  it('uses for guards exactly the commands that docs/redis.md allows them', () => {
    expect(allowedInDocs('portcullis-guards')).toEqual(needed('guards'))
  })

  it('uses for dashboards exactly the commands that docs/redis.md allows them', () => {
    expect(allowedInDocs('portcullis-dashboard')).toEqual(needed('dashboards'))
  })
})
