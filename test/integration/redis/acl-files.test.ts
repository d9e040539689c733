import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { createPolicySource, type PolicySource } from 'portcullis'
import { auditLog, createAuditReader, createPseudonyms, people, type AuditEvent } from 'portcullis/audit'
import { redisFrames, redisNonces, redisPeople, redisPersonKeys, redisStore } from 'portcullis/redis'
import { createFieldVault, createVault, reseal } from 'portcullis/vault'
import { repository } from '../../support/commands.ts'
import { fieldEvent } from '../../unit/audit/events.ts'
import { PATIENT, type RedisServer, startRedis } from '../../support/redis.ts'

const text = readFileSync(join(repository, 'examples', 'redis-acl', 'users.acl'), 'utf8')
const page = readFileSync(join(repository, 'docs', 'redis.md'), 'utf8')

/** The ACL rules of a user after name and password. */
function rulesOf(user: string): string[] {
  const line = new RegExp(`^user ${user} on #[0-9a-f]{64} (.*)$`, 'm').exec(text)?.[1]
  if (line === undefined) throw new Error(`users.acl has no user ${user}`)
  return line.match(/\([^)]*\)|\S+/g) ?? []
}

const vaultKey = { id: 'k', key: randomBytes(32) }
const vault = createVault({ keys: [vaultKey] })
const pseudonymKey = new Uint8Array(randomBytes(32))
const policy = {
  appId: 'a',
  domainProtect: { mode: 'enforce', domains: ['https://a.example'] },
  ipWhitelist: { mode: 'enforce', lists: ['office'] },
}
const KEY = { id: 'k', algorithm: 'hmac-sha256' as const, secret: randomBytes(32).toString('base64') }
const event = (id: string): AuditEvent =>
  fieldEvent(id, { person: createPseudonyms(pseudonymKey)('person', 'ada'), field: 'email', requestId: id })

let server: RedisServer
let admin: Redis
const clients: Redis[] = []
beforeAll(async () => {
  // Like an operator: a file of users that the server reads at its start.
  const users = text.replace(/^user default .*$/m, 'user default on nopass ~* &* +@all')
  server = await startRedis({ args: ['--aclfile', 'users.acl'], files: { 'users.acl': users } })
  admin = new Redis({ port: server.port, disconnectTimeout: 50 })
  clients.push(admin)
  const store = redisStore(admin, { vault })
  await store.writeList('office', [{ range: '127.0.0.1' }], 0)
  await store.write({ policy, keys: [KEY] }, 0)
  store.close()
  const log = auditLog({ store: redisFrames(admin), people: people({ store: redisPeople(admin), vault }) })
  await log.write([event('first')])
  await log.close()
})
afterAll(async () => {
  for (const client of clients) client.disconnect()
  await server.stop()
})

async function connect(name: string, rules: readonly string[]): Promise<Redis> {
  await admin.call('ACL', 'SETUSER', name, 'reset', 'on', '>pw', ...rules)
  const client = new Redis({ port: server.port, username: name, password: 'pw', disconnectTimeout: 50 })
  client.on('error', () => undefined)
  clients.push(client)
  return client
}

/** The work of each role. Resolves with the names of the steps that fail. */
const WORK: Readonly<
  Record<string, (client: Redis) => Promise<Readonly<Record<string, () => Promise<unknown>>>>>
> = {
  'portcullis-web': async (client) => {
    const store = redisStore(client, { vault, onError: () => undefined })
    const source = createPolicySource({ store })
    const own = people({ store: redisPeople(client), vault, timeout: 5_000 })
    const log = auditLog({ store: redisFrames(client), storeTimeout: 5_000, people: own })
    return {
      read: () => source.load('a'),
      unknown: () => source.load('nobody'),
      origins: () => source.appsByOrigin('https://a.example'),
      feed: () => feedRuns(source),
      claim: async () =>
        redisNonces(client, { commandTimeout: PATIENT }).claim(
          'a',
          randomBytes(9).toString('hex'),
          Date.now() + 60_000,
        ),
      use: () => store.noteKeyUse('a', 'k', Date.now()),
      audit: async () => {
        await log.write([event('second')])
        await log.flush()
      },
      seal: () =>
        createFieldVault({ vault, people: redisPersonKeys(client), region: 'europe' }).seal(
          'ada',
          'email',
          'x',
        ),
      end: async () => {
        source.close()
        store.close()
        await log.close()
      },
    }
  },
  'portcullis-audit-reader': async (client) => {
    const store = redisFrames(client, { settlesAfter: 0 })
    const own = people({ store: redisPeople(client), vault, timeout: 5_000 })
    const log = auditLog({ store, storeTimeout: 5_000 })
    const reader = createAuditReader({ store, sink: log, people: own, pseudonymKey, actor: 'auditor' })
    return {
      ofPerson: async () => {
        if ((await reader.query({ person: 'ada' })).events.length === 0) throw new Error('nothing was found')
      },
      all: () => reader.query({}),
      last: () => store.last(),
      end: async () => {
        await log.flush()
        await log.close()
      },
    }
  },
  'portcullis-console': async (client) => {
    const store = redisStore(client, { vault, onError: () => undefined })
    const newer = createVault({ keys: [{ id: 'l', key: randomBytes(32) }, vaultKey] })
    const resealing = redisStore(client, { vault: newer, onError: () => undefined })
    const source = createPolicySource({ store })
    return {
      unknown: () => source.load('nobody'),
      origins: () => source.appsByOrigin('https://a.example'),
      feed: () => feedRuns(source),
      list: () => store.list(),
      write: () => store.write({ policy: { ...policy, appId: 'b' }, keys: [KEY_OF_B] }, 0, { author: 'ada' }),
      keys: () => store.keys('b'),
      change: () => store.write({ policy: { appId: 'b' }, keys: [] }, 1),
      remove: () => store.remove('b', 2),
      history: () => store.history('b'),
      writeList: () => store.writeList('l', [{ range: '192.0.2.1' }], 0),
      replaceList: () => store.writeList('l', [{ range: '192.0.2.2' }], 1),
      reseal: () => reseal({ vault: newer, holders: [resealing] }),
      end: async () => {
        source.close()
        store.close()
        resealing.close()
      },
    }
  },
}
const KEY_OF_B = { ...KEY, id: 'b', secret: randomBytes(32).toString('base64') }

/** Waits for the feed, which fails if a right is missing. */
async function feedRuns(source: PolicySource): Promise<void> {
  for (let tries = 0; tries < 50; tries += 1) {
    if (source.status().feed === 'whole') return
    await sleep(20)
  }
  throw new Error('the feed does not run')
}

async function failuresOf(role: string, client: Redis): Promise<string[]> {
  const failed: string[] = []
  const steps = (await WORK[role]?.(client)) ?? {}
  for (const [name, step] of Object.entries(steps)) await step().catch(() => failed.push(name))
  client.disconnect()
  return failed
}

/**
 * Commands used only after a fault, such as a broken feed, a remaining spool or an interrupted import. Other tests
 * cause these.
 */
const AFTER_A_FAULT: ReadonlySet<string> = new Set(['xrange', 'hget', 'ttl', 'lrem'])

describe('examples/redis-acl/users.acl', () => {
  it('is accepted by a server that starts with it', async () => {
    const users = String(await admin.call('ACL', 'LIST'))
    for (const role of Object.keys(WORK)) expect(users).toContain(`user ${role} on`)
  })

  it('disables the default user', () => {
    expect(text).toMatch(/^user default off /m)
  })

  it.each(Object.keys(WORK))(
    'gives %s everything that it needs, and no command that it does not use',
    async (role) => {
      const client = await connect(`own-${role}`, rulesOf(role))
      await admin.call('ACL', 'LOG', 'RESET')
      await admin.call('CONFIG', 'RESETSTAT')
      expect(await failuresOf(role, client)).toEqual([])
      expect(await admin.call('ACL', 'LOG')).toEqual([])
      // Scripts count with the commands that they call.
      const used = new Set(
        [...String(await admin.call('INFO', 'commandstats')).matchAll(/^cmdstat_(\w+):/gm)].map(
          ([, name = '']) => name,
        ),
      )
      const allowed = rulesOf(role).flatMap((rule) => rule.match(/(?<=\+)\w+/g) ?? [])
      expect(allowed.filter((name) => !used.has(name) && !AFTER_A_FAULT.has(name))).toEqual([])
      expect(allowed.length).toBeGreaterThan(5)
    },
  )

  /** Actions that each role must not be able to do, with any code. */
  const forbidden: [string, readonly string[][]][] = [
    [
      'portcullis-web',
      [
        ['SET', 'portcullis:app:{a}', 'x'],
        ['EVAL', "return redis.call('HSET', KEYS[1], 'policy', '{}')", '1', 'portcullis:app:{a}'],
        ['LRANGE', 'portcullis:history:{a}', '0', '-1'],
        ['DEL', 'portcullis:{audit}:log'],
        ['HDEL', 'portcullis:{audit}:log', 'begin'],
        ['HGETALL', 'portcullis:{audit}:log'],
        ['DEL', 'portcullis:person-key:{x}'],
        ['KEYS', '*'],
        ['GET', 'somebody:else'],
      ],
    ],
    [
      'portcullis-audit-reader',
      [
        ['HMGET', 'portcullis:app:{a}', 'policy'],
        ['HMGET', 'portcullis:secrets:{a}', 'sealed'],
        ['LRANGE', 'portcullis:person-key:{x}', '0', '-1'],
        ['DEL', 'portcullis:person:{x}'],
        ['DEL', 'portcullis:{audit}:log'],
        ['HDEL', 'portcullis:{audit}:log', 'begin'],
        ['SCAN', '0'],
      ],
    ],
    [
      'portcullis-console',
      [
        ['HGET', 'portcullis:{audit}:log', 'begin'],
        ['HDEL', 'portcullis:{audit}:log', 'begin'],
        ['DEL', 'portcullis:{audit}:log'],
        ['LRANGE', 'portcullis:person:{x}', '0', '-1'],
        ['LRANGE', 'portcullis:person-key:{x}', '0', '-1'],
        ['SET', 'portcullis:nonce:{a/1}x', '1'],
        ['FLUSHALL'],
        ['CONFIG', 'GET', '*'],
      ],
    ],
  ]
  it.each(forbidden)('keeps %s from everything else', async (role, commands) => {
    const client = await connect(`kept-${role}`, rulesOf(role))
    for (const [name = '', ...args] of commands)
      await expect([name, ...args, await said(client.call(name, ...args))]).toEqual([
        name,
        ...args,
        expect.stringMatching(/^NOPERM|ACL failure/),
      ])
    client.disconnect()
  })

  it('gives the console the commands that docs/redis.md lists for a dashboard', () => {
    const commands = (rules: string): string[] => (rules.match(/\+\w+/g) ?? []).toSorted()
    const line = /^ACL SETUSER portcullis-dashboard .*$/m.exec(page)?.[0] ?? ''
    expect(commands(rulesOf('portcullis-console').join(' '))).toEqual(commands(line))
  })
})

async function said(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    () => 'it was done',
    (error: Error) => error.message,
  )
}
