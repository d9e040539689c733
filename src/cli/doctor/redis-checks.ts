import { isIP } from 'node:net'
import { createKeyspace, DEFAULT_PREFIX, KINDS_OF_KEYS } from '../../redis/keyspace.ts'
import { fail, pass, skip, warn, type Check, type Finding } from '../checks.ts'
import { placeOf, type OpenedClient } from '../redis.ts'

export const REDIS_IDS = [
  'redis-version',
  'redis-tls',
  'redis-memory',
  'redis-persistence',
  'redis-clock',
  'redis-rights',
] as const

const DOCS = 'docs/redis.md'

/** A Redis server to check. */
export interface ExaminedRedis {
  readonly client: OpenedClient
  readonly url: string
}

/** The checks of a Redis server. */
export async function redisChecks(
  { client, url }: ExaminedRedis,
  prefix = DEFAULT_PREFIX,
): Promise<readonly Check[]> {
  const info = await infoOf(client)
  const byInfo = (judge: (info: ReadonlyMap<string, string>) => Finding): Finding =>
    info === undefined ? skip('the user may not run INFO') : judge(info)
  const findings: Readonly<Record<(typeof REDIS_IDS)[number], Finding>> = {
    'redis-version': byInfo(judgeVersion),
    'redis-tls': judgeTls(url),
    'redis-memory': byInfo(judgeMemory),
    'redis-persistence': byInfo(judgePersistence),
    'redis-clock': await judgeRedisClock(client),
    'redis-rights': await judgeRights(client, prefix),
  }
  return REDIS_IDS.map((id) => ({ id, ...findings[id] }))
}

async function infoOf(client: OpenedClient): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const text = String(await client.call('INFO'))
    return new Map(
      [...text.matchAll(/^([\w-]+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]),
    )
  } catch {
    return undefined
  }
}

function judgeVersion(info: ReadonlyMap<string, string>): Finding {
  const version = info.get('redis_version') ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major > 6 || (major === 6 && minor >= 2)) return pass(`Redis ${version}`)
  return fail(`Redis ${version} is too old`, 'install Redis 6.2 or later, or Valkey', DOCS)
}

function judgeTls(url: string): Finding {
  const { protocol, hostname } = new URL(url)
  if (protocol === 'rediss:') return pass('the connection is encrypted')
  const host = hostname.replace(/^\[|\]$/g, '')
  if (host === 'localhost' || (isIP(host) !== 0 && /^(?:127\.|::1$)/.test(host)))
    return skip('Redis runs on this machine')
  return warn(
    `${placeOf(url)} is not encrypted: policies and sealed keys can be read and changed in transit`,
    'use `rediss:`',
    DOCS,
  )
}

function judgeMemory(info: ReadonlyMap<string, string>): Finding {
  const policy = info.get('maxmemory_policy')
  if (policy === undefined) return skip('the server does not report its memory policy')
  if (policy === 'noeviction') return pass('a full server refuses writes, and evicts nothing')
  const fix = 'set `maxmemory-policy noeviction`'
  const limit = Number(info.get('maxmemory') ?? 0)
  const detail = `\`maxmemory-policy\` is ${policy}: a full server evicts policies or nonces, and an evicted nonce lets a replay through`
  return limit > 0 ? fail(detail, fix, DOCS) : warn(`${detail}; no memory limit is set at present`, fix, DOCS)
}

function judgePersistence(info: ReadonlyMap<string, string>): Finding {
  if (info.get('aof_enabled') === '1') return pass('the append-only file is on')
  return warn(
    'the append-only file is off: a crash loses the latest policies and the used nonces',
    'set `appendonly yes`',
    DOCS,
  )
}

async function judgeRedisClock(client: OpenedClient): Promise<Finding> {
  const before = Date.now()
  let seconds: number
  try {
    const reply = (await client.call('TIME')) as readonly unknown[]
    seconds = Number(reply[0]) + Number(reply[1]) / 1e6
  } catch {
    return skip('the user may not run TIME')
  }
  const difference = Math.round(seconds - (before + Date.now()) / 2_000)
  if (Math.abs(difference) <= 5) return pass('its clock agrees with the clock of this machine')
  return warn(
    `its clock is ${Math.abs(difference)} s ${difference > 0 ? 'ahead of' : 'behind'} the clock of this machine`,
    'synchronise the clocks (chrony, systemd-timesyncd)',
  )
}

type Kinds = typeof KINDS_OF_KEYS
type Command = Kinds[keyof Kinds]['guards' | 'dashboards'][number]

/** Each command in a form that ACL DRYRUN can test, with a key. */
const SAMPLES: Readonly<Record<Command, (key: string) => readonly string[]>> = {
  hmget: (key) => [key, 'f'],
  hset: (key) => [key, 'f', 'v'],
  hdel: (key) => [key, 'f'],
  eval: (key) => ['return 1', '1', key],
  lrange: (key) => [key, '0', '1'],
  rpush: (key) => [key, 'v'],
  ltrim: (key) => [key, '0', '1'],
  lset: (key) => [key, '0', 'v'],
  get: (key) => [key],
  set: (key) => [key, 'v'],
  del: (key) => [key],
  ttl: (key) => [key],
  persist: (key) => [key],
  expire: (key) => [key, '1'],
  incr: (key) => [key],
  zscore: (key) => [key, 'm'],
  zadd: (key) => [key, '0', 'm'],
  zrem: (key) => [key, 'm'],
  zrangebylex: (key) => [key, '-', '+'],
  zrevrange: (key) => [key, '0', '1'],
  xread: (key) => ['COUNT', '1', 'STREAMS', key, '0'],
  xrange: (key) => [key, '-', '+'],
  xrevrange: (key) => [key, '+', '-'],
  xadd: (key) => [key, '*', 'f', 'v'],
  info: () => [],
}

/** The commands that a role needs: each one once for each kind of key. */
function needsOf(role: 'guards' | 'dashboards', prefix: string): (readonly string[])[] {
  return Object.values(KINDS_OF_KEYS).flatMap((kind) =>
    kind[role].map((command: Command) => {
      const key = prefix + kind.name.replaceAll(/<[^<>]*>/g, 'doctor')
      return [command, ...SAMPLES[command](key)]
    }),
  )
}

async function judgeRights(client: OpenedClient, prefix: string): Promise<Finding> {
  let user: string
  try {
    user = String(await client.call('ACL', 'WHOAMI'))
    await client.call('ACL', 'DRYRUN', user, 'GET', createKeyspace(prefix).apps)
  } catch {
    return judgeReading(client, prefix)
  }
  const missing = { guards: new Set<string>(), dashboards: new Set<string>() }
  for (const role of ['guards', 'dashboards'] as const) {
    for (const [command = '', ...args] of needsOf(role, prefix)) {
      const reply = String(await client.call('ACL', 'DRYRUN', user, command, ...args))
      if (reply !== 'OK') missing[role].add(command)
    }
  }
  const fix = `give the user \`${user}\` the permissions listed on the page about Redis`
  if (missing.guards.size > 0)
    return fail(`guards are not allowed to run ${[...missing.guards].join(', ')}`, fix, DOCS)
  if (missing.dashboards.size > 0)
    return warn(
      `enough for guards, but the command line is not allowed to run ${[...missing.dashboards].join(', ')}`,
      fix,
      DOCS,
    )
  const mayAll = String(await client.call('ACL', 'DRYRUN', user, 'FLUSHALL').catch(() => '')) === 'OK'
  return mayAll
    ? warn(
        `the user \`${user}\` may run every command, even FLUSHALL`,
        'use a Redis user with only the permissions listed on the page about Redis',
        DOCS,
      )
    : pass(`the user \`${user}\` may run every command that guards and the command line need`)
}

/** For a user who may not ask about permissions: read commands are tried, write commands are not. */
async function judgeReading(client: OpenedClient, prefix: string): Promise<Finding> {
  const reading: ReadonlySet<string> = new Set([
    'hmget',
    'get',
    'zscore',
    'zrevrange',
    'zrangebylex',
    'xrange',
    'xrevrange',
    'lrange',
    'ttl',
  ])
  const refused = new Set<string>()
  const roles = [...needsOf('guards', prefix), ...needsOf('dashboards', prefix)]
  for (const [command = '', ...args] of roles.filter(([name = '']) => reading.has(name))) {
    try {
      await client.call(command, ...args)
    } catch (error) {
      if ((error as Error).message.startsWith('NOPERM')) refused.add(command)
    }
  }
  if (refused.size > 0)
    return fail(
      `the user is not allowed to run ${[...refused].join(', ')}`,
      'give it the permissions listed on the page about Redis',
      DOCS,
    )
  return pass('the user may read everything that guards and the command line need; writes were not tried')
}
