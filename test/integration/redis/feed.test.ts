import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { Redis } from 'ioredis'
import { UnavailableError } from 'portcullis'
import { redisStore, type RedisStore } from 'portcullis/redis'
import { freshPrefix, startRedis, type RedisServer } from '../../support/redis.ts'
import { within } from '../../support/turns.ts'

let server: RedisServer
const clients: Redis[] = []
const stores: RedisStore[] = []

beforeAll(async () => {
  server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
})
afterAll(async () => {
  for (const store of stores) store.close()
  for (const client of clients) client.disconnect()
  await server.stop()
})

/** A client whose timeouts would end blocking reads, like that of a careful user. */
function connect(options: object = {}): Redis {
  const client = new Redis({
    port: server.port,
    commandTimeout: 300,
    socketTimeout: 1_000,
    disconnectTimeout: 50,
    ...options,
  })
  client.on('error', () => undefined)
  clients.push(client)
  return client
}

function open(prefix: string, options: object = {}, client: Redis = connect()): RedisStore {
  const store = redisStore(client, { prefix, commandTimeout: 300, ...options })
  stores.push(store)
  return store
}

/** The calls of a listener in order, and the time of the last one. */
function listen(store: RedisStore): { readonly heard: string[]; leave(): void } {
  const heard: string[] = []
  const leave = store.watch?.({
    changed: (appId) => heard.push(appId),
    broken: () => heard.push('broken'),
    restored: (complete) => heard.push(complete === true ? 'resumed' : 'restored'),
  })
  return { heard, leave: () => leave?.() }
}

async function eventually(condition: () => boolean | Promise<boolean>, limit = 60_000): Promise<void> {
  const until = Date.now() + limit
  while (!(await condition())) {
    if (Date.now() > until) throw new Error('it did not come true in time')
    await sleep(2)
  }
}

/** Simulates the failover to a replica that lacks the newest entry, followed by another announcement. */
async function dropNewest(client: Redis, feed: string): Promise<void> {
  const [newest] = await client.xrevrange(feed, '+', '-', 'COUNT', 1)
  await client.xdel(feed, newest?.[0] ?? '')
  await client.xadd(feed, '*', 'app', 'other', 'number', String(await client.get(`${feed}:number`)))
}

const lastIs = (heard: readonly string[], what: string) => () => heard.at(-1) === what

describe('the change feed of Redis', () => {
  it('receives everything in order from another process, also after a pause longer than the timeouts of the client', async () => {
    const prefix = freshPrefix()
    const { heard, leave } = listen(open(prefix))
    await eventually(lastIs(heard, 'restored'))
    await sleep(3_000)
    expect(heard).toEqual(['broken', 'restored'])
    const writer = open(prefix)
    const ids = Array.from({ length: 100 }, (_, index) => `app-${index}`)
    for (const appId of ids) await writer.write({ policy: { appId } }, 0)
    await eventually(lastIs(heard, 'app-99'))
    expect(heard.slice(2)).toEqual(ids)
    leave()
  })

  it('continues where it stopped if only its connection is cut, and misses nothing', async () => {
    const prefix = freshPrefix()
    const admin = connect()
    const { heard, leave } = listen(open(prefix))
    await eventually(lastIs(heard, 'restored'))
    const reader = (): Promise<string | undefined> =>
      admin.client('LIST').then((list) => /id=(\d+).*cmd=xread/.exec(String(list))?.[1])
    await eventually(async () => (await reader()) !== undefined)
    const writer = open(prefix)
    expect(await writer.read('a')).toBeUndefined()
    await admin.client('KILL', 'ID', Number(await reader()))
    const ids = Array.from({ length: 20 }, (_, index) => `app-${index}`)
    for (const appId of ids) await writer.write({ policy: { appId } }, 0)
    await eventually(() => heard.includes('resumed') && heard.includes('app-19'))
    expect(heard.filter((what) => what !== 'resumed')).toEqual(['broken', 'restored', 'broken', ...ids])
    await writer.write({ policy: { appId: 'a' } }, 0)
    await eventually(lastIs(heard, 'a'))
    leave()
  })

  const awayLosses: [string, (client: Redis, feed: string) => Promise<unknown>][] = [
    ['the stream was trimmed past it', (client, feed) => client.xtrim(feed, 'MAXLEN', 0)],
    ['the stream was lost', (client, feed) => client.del(feed, `${feed}:number`)],
    ['the server lacks what was read', (client, feed) => dropNewest(client, feed)],
  ]
  for (const [title, lose] of awayLosses) {
    it(`starts again, and reports it, if ${title} while its connection was cut`, async () => {
      const prefix = freshPrefix()
      const admin = connect()
      const feed = `${prefix}{feed}`
      const writer = open(prefix)
      const { heard, leave } = listen(open(prefix))
      await eventually(lastIs(heard, 'restored'))
      for (const appId of ['a', 'b']) await writer.write({ policy: { appId } }, 0)
      await eventually(lastIs(heard, 'b'))
      await eventually(async () => String(await admin.client('LIST')).includes('cmd=xread'))
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await lose(admin, feed)
      await eventually(lastIs(heard, 'restored'))
      expect(heard).not.toContain('resumed')
      await eventually(() =>
        writer.write({ policy: { appId: 'c' } }, 0).then(
          () => true,
          () => false,
        ),
      )
      await eventually(lastIs(heard, 'c'))
      leave()
    })
  }

  it('notices within seconds that the last announcement was trimmed before it was read', async () => {
    const prefix = freshPrefix()
    const { heard, leave } = listen(open(prefix))
    await eventually(lastIs(heard, 'restored'))
    await connect().incr(`${prefix}{feed}:number`)
    await eventually(() => heard.length === 4)
    expect(heard).toEqual(['broken', 'restored', 'broken', 'restored'])
    leave()
  })

  it('breaks when the server is killed, and announces changes soon after it is back', async () => {
    const prefix = freshPrefix()
    const [store, writer] = [open(prefix), open(prefix)]
    const { heard, leave } = listen(store)
    await eventually(lastIs(heard, 'restored'))
    expect(await writer.write({ policy: { appId: 'a' } }, 0)).toBe(1)
    await server.kill()
    await eventually(lastIs(heard, 'broken'))
    await server.restart()
    await eventually(lastIs(heard, 'resumed'))
    await eventually(() =>
      writer.read('a').then(
        (app) => app?.revision === 1,
        () => false,
      ),
    )
    expect(await writer.write({ policy: { appId: 'a' } }, 1)).toBe(2)
    await eventually(lastIs(heard, 'a'))
    leave()
  })

  it('notices that the server hangs', async () => {
    const { heard, leave } = listen(open(freshPrefix()))
    await eventually(lastIs(heard, 'restored'))
    server.pause()
    try {
      await eventually(lastIs(heard, 'broken'))
    } finally {
      server.resume()
    }
    await eventually(lastIs(heard, 'resumed'))
    leave()
  })

  const losses: [string, (client: Redis, feed: string) => Promise<unknown>][] = [
    ['an announcement was trimmed away unread', (client, feed) => client.incr(`${feed}:number`)],
    ['stream and counter were lost', (client, feed) => client.del(feed, `${feed}:number`)],
    ['the counter alone was lost', (client, feed) => client.del(`${feed}:number`)],
  ]
  for (const [title, lose] of losses) {
    it(`reports that changes may have been missed if ${title}`, async () => {
      const prefix = freshPrefix()
      const [store, writer] = [open(prefix), open(prefix)]
      await writer.write({ policy: { appId: 'a' } }, 0)
      await writer.write({ policy: { appId: 'b' } }, 0)
      const { heard, leave } = listen(store)
      await eventually(lastIs(heard, 'restored'))
      await lose(connect(), `${prefix}{feed}`)
      await writer.write({ policy: { appId: 'c' } }, 0)
      await eventually(() => heard.length >= 4)
      expect(heard).toEqual(['broken', 'restored', 'broken', 'restored'])
      await writer.write({ policy: { appId: 'd' } }, 0)
      await eventually(lastIs(heard, 'd'))
      leave()
    })
  }

  it('misses nothing from an emptied stream when it starts', async () => {
    const prefix = freshPrefix()
    const [store, writer] = [open(prefix), open(prefix)]
    await writer.write({ policy: { appId: 'a' } }, 0)
    await connect().xtrim(`${prefix}{feed}`, 'MAXLEN', 0)
    const { heard, leave } = listen(store)
    await eventually(lastIs(heard, 'restored'))
    await writer.write({ policy: { appId: 'b' } }, 0)
    await eventually(lastIs(heard, 'b'))
    expect(heard).toEqual(['broken', 'restored', 'b'])
    leave()
  })

  it('ignores an entry that somebody else added', async () => {
    const prefix = freshPrefix()
    const client = connect()
    const { heard, leave } = listen(open(prefix))
    await eventually(lastIs(heard, 'restored'))
    await client.incr(`${prefix}{feed}:number`)
    await client.xadd(`${prefix}{feed}`, '*', 'number', '1', 'app', '{evil}\r\n')
    await open(prefix).write({ policy: { appId: 'a' } }, 0)
    await eventually(lastIs(heard, 'a'))
    expect(heard).toEqual(['broken', 'restored', 'a'])
    leave()
  })

  it('notifies its listeners when the store is closed, and starts again with the next listener', async () => {
    const store = open(freshPrefix())
    const first = listen(store)
    await eventually(lastIs(first.heard, 'restored'))
    store.close()
    expect(first.heard.at(-1)).toBe('broken')
    const second = listen(store)
    await eventually(lastIs(second.heard, 'restored'))
    expect(first.heard).toHaveLength(3)
    second.leave()
  })

  it('reads on one connection for all listeners, and on none after the last one has left', async () => {
    const admin = connect()
    const readers = async (): Promise<number> =>
      String(await admin.client('LIST')).split('cmd=xread').length - 1
    await eventually(async () => (await readers()) === 0)
    const store = open(freshPrefix())
    const listeners = [listen(store), listen(store), listen(store)]
    await eventually(async () => (await readers()) === 1)
    listeners.pop()?.leave()
    listeners.pop()?.leave()
    await sleep(50)
    expect(await readers()).toBe(1)
    listeners.pop()?.leave()
    await eventually(async () => (await readers()) === 0)
  })

  it('reports a refused password without showing it', async () => {
    const errors: Error[] = []
    const client = connect({ username: 'nobody', password: 'hush-hush', lazyConnect: true })
    const { leave } = listen(open(freshPrefix(), { onError: (error: Error) => errors.push(error) }, client))
    await eventually(() => errors.length > 0)
    leave()
    expect(errors[0]).toBeInstanceOf(UnavailableError)
    expect(inspect(errors, { depth: 9, showHidden: true })).not.toContain('hush-hush')
  })
})

describe('a lost connection', () => {
  it('is reported at once, and does not fill the queue of the client', async () => {
    const own = await startRedis()
    const client = connect({ port: own.port, retryStrategy: () => 60_000 })
    const store = open(freshPrefix(), {}, client)
    expect(await store.read('a')).toBeUndefined()
    await own.kill()
    await eventually(() => client.status !== 'ready')
    // Much less than the time that one of them would wait for a connection.
    const reads = Promise.allSettled(Array.from({ length: 1_000 }, () => store.read('a')))
    const results = await within(5_000, reads)
    for (const result of results) expect(result).toMatchObject({ status: 'rejected' })
    expect((client as unknown as { offlineQueue: { length: number } }).offlineQueue).toHaveLength(0)
    await own.stop()
  })

  it('is not assumed for a client that is still connecting, or connects on first use', async () => {
    for (const lazyConnect of [false, true])
      expect(await open(freshPrefix(), {}, connect({ lazyConnect })).read('a')).toBeUndefined()
  })
})
