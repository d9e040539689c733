import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { createKeyspace, KINDS_OF_KEYS, type KindOfKey } from '../../../src/redis/keyspace.ts'
import { repository } from '../../support/commands.ts'

const kinds = Object.values<KindOfKey>(KINDS_OF_KEYS)
const keyspace = createKeyspace('p:')
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
}

/** What a name of the table is for the values that `names` is made of. */
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
  }
  return `p:${name.replace(/<([^>]+)>/g, (_, what: string) => values[what] ?? `<${what}>`)}`
}

function allowedInReadme(user: string): string[] {
  const readme = readFileSync(join(repository, 'README.md'), 'utf8')
  const line = new RegExp(`^ACL SETUSER ${user} on >\\S+ (.*)$`, 'm').exec(readme)?.[1] ?? ''
  return [...line.matchAll(/\+(\w+)/g)].map(([, command]) => command as string).toSorted()
}

const needed = (who: 'guards' | 'dashboards'): string[] =>
  [...new Set(kinds.flatMap((kind) => kind[who]))].toSorted()

describe('the keyspace of Redis', () => {
  it.each(Object.keys(KINDS_OF_KEYS) as (keyof typeof KINDS_OF_KEYS)[])(
    'has keys of the kind %s where the table says, in the slot that the table says',
    (kind) => {
      expect(names[kind]).toBe(filledIn(KINDS_OF_KEYS[kind].name))
    },
  )

  it('needs of guards exactly the commands that README allows them', () => {
    expect(allowedInReadme('portcullis-guards')).toEqual(needed('guards'))
  })

  it('needs of dashboards exactly the commands that README allows them', () => {
    expect(allowedInReadme('portcullis-dashboard')).toEqual(needed('dashboards'))
  })
})
