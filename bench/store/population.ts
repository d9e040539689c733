import { once } from 'node:events'
import { connect } from 'node:net'
import { Redis } from 'ioredis'
import { redisStore } from 'portcullis/redis'
import { told, type Row } from './table.ts'

/** An app id of fixed length, so that the commands that store one app can store any other by replacing the id. */
export function appIdOf(number: number): string {
  return `app-${String(number).padStart(7, '0')}`
}

/** A policy of typical size, with its own domain. */
export function usualPolicy(appId: string, range = '203.0.113.0/24'): { readonly appId: string } {
  const domain = `https://${appId}.example.org`
  const policy = {
    appId,
    serverOnly: { mode: 'enforce' },
    ipWhitelist: { mode: 'enforce', ranges: [range, '198.51.100.0/24', '2001:db8::/32'] },
    domainProtect: { mode: 'enforce', domains: [domain, 'https://example.org'] },
    returnUrlGuard: { mode: 'enforce', urls: [`${domain}/callback/`, { exact: 'https://example.org/done' }] },
    regionPin: { mode: 'enforce' },
    auditAccess: { mode: 'enforce' },
  }
  return policy
}

const PATTERN = appIdOf(0)
const VERIFIED = 200
const APPS_PER_CHUNK = 500

/** Stores apps 0 to `apps` - 1: the first with the store, the others as copies of its records. */
export async function populate(url: string, prefix: string, apps: number): Promise<readonly Row[]> {
  const redis = new Redis(url)
  const store = redisStore(redis, { prefix })
  const begun = performance.now()
  await store.write({ policy: usualPolicy(PATTERN) }, 0)
  const before = await usedMemory(redis)
  const pattern = await commandsOf(redis, prefix)
  await send(redis, pattern, apps)
  const took = (performance.now() - begun) / 1000

  const size = await redis.zcard(`${prefix}apps`)
  if (size !== apps) throw new Error(`${size} apps are stored, instead of ${apps}`)
  for (let times = 0; times < VERIFIED; times += 1) {
    const appId = appIdOf(Math.floor(Math.random() * apps))
    const found = await store.read(appId)
    const stored = JSON.stringify(found?.policy)
    const first = JSON.stringify((await store.read(PATTERN))?.policy)
    if (stored !== first.replaceAll(PATTERN, appId)) throw new Error(`${appId} is not stored like ${PATTERN}`)
  }
  const bytes = ((await usedMemory(redis)) - before) / apps
  store.close()
  redis.disconnect()
  return [told(`${apps} apps stored in Redis in ${took.toFixed(0)} s, each`, `${bytes.toFixed(0)} B`)]
}

/** The commands that store the first app, without its entry in the feed, which contains only the newest changes. */
async function commandsOf(redis: Redis, prefix: string): Promise<string> {
  const commands: string[][] = []
  for (const key of await redis.keys(`${prefix}*`)) {
    const type = await redis.type(key)
    if (type === 'zset') {
      const score = await redis.zscore(key, PATTERN)
      if (score !== null) commands.push(['ZADD', key, score, PATTERN])
    } else if (key.includes(PATTERN)) {
      if (type === 'hash') commands.push(['HSET', key, ...Object.entries(await redis.hgetall(key)).flat()])
      if (type === 'list') commands.push(['RPUSH', key, ...(await redis.lrange(key, 0, -1))])
    }
  }
  return commands.map(encoded).join('')
}

/** A command in the Redis protocol. */
function encoded(command: readonly string[]): string {
  return `*${command.length}\r\n${command.map((text) => `$${Buffer.byteLength(text)}\r\n${text}\r\n`).join('')}`
}

async function send(redis: Redis, pattern: string, apps: number): Promise<void> {
  const socket = connect(redis.options.port as number, redis.options.host)
  socket.write(encoded(['CLIENT', 'REPLY', 'OFF']))
  for (let from = 1; from < apps; from += APPS_PER_CHUNK) {
    let chunk = ''
    for (let number = from; number < Math.min(apps, from + APPS_PER_CHUNK); number += 1)
      chunk += pattern.replaceAll(PATTERN, appIdOf(number))
    if (!socket.write(chunk)) await once(socket, 'drain')
  }
  socket.write(encoded(['CLIENT', 'REPLY', 'ON']))
  await once(socket, 'data')
  socket.destroy()
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))?.[1])
}
