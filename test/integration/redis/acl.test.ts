import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { createPolicySource } from 'portcullis'
import { redisNonces, redisStore } from 'portcullis/redis'
import { namedListContract, policyStoreContract } from 'portcullis/testing'
import { createVault, reseal } from 'portcullis/vault'
import { repository } from '../../support/commands.ts'
import { eventually } from '../../support/policy-process.ts'
import { freshPrefix, PATIENT, startRedis, type RedisServer } from '../../support/redis.ts'

const page = readFileSync(resolve(repository, 'docs/redis.md'), 'utf8')

/** The rules in docs/redis.md, which the tests use unchanged. */
function rulesOf(user: string): string[] {
  const line = new RegExp(`^ACL SETUSER ${user} on >\\S+ (.*)$`, 'm').exec(page)?.[1]
  if (line === undefined) throw new Error(`docs/redis.md has no ACL line for ${user}`)
  return line.split(' ')
}

const VAULT_KEY = { id: 'k', key: randomBytes(32) }
const vault = createVault({ keys: [VAULT_KEY] })
const rotated = createVault({ keys: [{ id: 'l', key: randomBytes(32) }, VAULT_KEY] })
const policy = {
  appId: 'a',
  domainProtect: { mode: 'enforce', domains: ['https://a.example', 'https://*.example.org'] },
}
const clients: Redis[] = []
let server: RedisServer
let admin: Redis

beforeAll(async () => {
  server = await startRedis()
  admin = new Redis({ port: server.port, disconnectTimeout: 50 })
  clients.push(admin)
  for (const user of ['portcullis-guards', 'portcullis-dashboard'])
    await admin.call('ACL', 'SETUSER', user, 'on', '>pw', ...rulesOf(user))
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await server.stop()
})

function connect(username: string): Redis {
  const client = new Redis({ port: server.port, username, password: 'pw', disconnectTimeout: 50 })
  clients.push(client)
  return client
}

/** A prefix that the users in docs/redis.md may access. */
const prefix = (): string => `portcullis:${freshPrefix()}`

policyStoreContract('Redis with the rights of a dashboard', { describe, it }, async () => {
  const store = redisStore(connect('portcullis-dashboard'), {
    prefix: prefix(),
    vault,
    commandTimeout: PATIENT,
  })
  return { store, dispose: () => store.close() }
})

namedListContract('Redis with the rights of a dashboard', { describe, it }, async () => {
  const store = redisStore(connect('portcullis-dashboard'), {
    prefix: prefix(),
    vault,
    commandTimeout: PATIENT,
  })
  return { store, dispose: () => store.close() }
})

/** Does everything that guards and a dashboard do. Resolves with the names of failed steps. */
async function failuresOf(user: string, all: boolean, patience = 60_000): Promise<string[]> {
  const own = prefix()
  const writer = redisStore(admin, { prefix: own, vault })
  await writer.write({ policy, keys: [] }, 0)
  const client = connect(user)
  const failed: string[] = []
  const onError = ({ message }: Error): void => {
    // Ignores disconnects, which are part of the test.
    if (message.startsWith('Redis refused')) failed.push(message)
  }
  const store = redisStore(client, { prefix: own, vault, onError })
  const source = createPolicySource({ store })
  const resealing = redisStore(client, { prefix: own, vault: rotated, onError })
  const steps: Record<string, () => Promise<unknown>> = {
    read: () => source.load('a'),
    unknown: () => source.load('nobody'),
    origins: () => source.appsByOrigin('https://a.example'),
    feed: () => eventually('the feed runs', () => source.status().feed === 'whole', patience),
    resume: async () => {
      const list = String(await admin.client('LIST'))
      const id = new RegExp(`^id=(\\d+) .*cmd=xread.* user=${user}`, 'm').exec(list)?.[1] ?? ''
      await admin.call('CLIENT', 'KILL', 'ID', id)
      await eventually('it is cut off', () => source.status().feed === 'broken', patience)
      await eventually('it runs again', () => source.status().feed === 'whole', patience)
    },
    claim: async () =>
      redisNonces(client, { prefix: own, commandTimeout: PATIENT }).claim('a', 'n', Date.now() + 1_000),
    use: () => store.noteKeyUse('a', 'k', Date.now()),
    ...(all
      ? {
          keys: () => store.keys('a'),
          write: () => store.write({ policy, keys: [KEY] }, 1, { author: 'ada' }),
          change: () => store.write({ policy: { appId: 'a' }, keys: [] }, 2),
          remove: () => store.remove('a', 3),
          list: () => store.list(),
          writeList: () => store.writeList('l', [{ range: '192.0.2.1' }], 0),
          replaceList: () => store.writeList('l', [{ range: '192.0.2.2' }], 1),
          uploadList: () => store.writeList('l', [{ range: '192.0.2.3' }], 2, {}, 'digest-of-the-entries'),
          history: () => store.history('a'),
          reseal: () => reseal({ vault: rotated, holders: [resealing] }),
        }
      : {}),
  }
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step()
    } catch {
      failed.push(name)
    }
  }
  source.close()
  store.close()
  resealing.close()
  client.disconnect()
  return failed
}

/** The output of the work, in which ioredis reports forbidden commands. */
async function printed(work: () => Promise<void>): Promise<string> {
  const { warn, error } = console
  let text = ''
  console.warn = console.error = (...said: unknown[]) => void (text += said.join(' '))
  try {
    await work()
  } finally {
    Object.assign(console, { warn, error })
  }
  return text
}

/** The commands that Redis has refused to a user, from its ACL log. */
async function refusedTo(user: string): Promise<string[]> {
  const log = (await admin.call('ACL', 'LOG', 200)) as unknown[][]
  const entries = log.map((entry) =>
    Object.fromEntries(entry.flatMap((name, at) => (at % 2 === 0 ? [[String(name), entry[at + 1]]] : []))),
  )
  return entries.filter(({ username }) => username === user).map(({ object }) => String(object).toLowerCase())
}

const KEY = { id: 'k', algorithm: 'hmac-sha256' as const, secret: randomBytes(32).toString('base64') }

describe.each([
  ['portcullis-guards', false],
  ['portcullis-dashboard', true],
] as const)('the rights of %s in docs/redis.md', (user, all) => {
  it('are enough', async () => {
    const text = await printed(async () => expect(await failuresOf(user, all)).toEqual([]))
    expect(text).toBe('')
  })

  const commands = rulesOf(user).filter((rule) => rule.startsWith('+'))
  it.each(commands)('are not enough without %s', async (rule) => {
    const lesser = `lesser-${rule.slice(1)}`
    const rules = rulesOf(user).filter((other) => other !== rule)
    await admin.call('ACL', 'SETUSER', lesser, 'on', '>pw', ...rules)
    await admin.call('ACL', 'LOG', 'RESET')
    let failed: string[] = []
    const text = await printed(async () => void (failed = await failuresOf(lesser, all, 1_000)))
    expect(failed.length + text.length).toBeGreaterThan(0)
    expect(await refusedTo(lesser)).toContain(rule.slice(1))
  })
})
