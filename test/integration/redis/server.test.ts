import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { freshPrefix, type RedisServer, sharedRedisUrl, startRedis } from '../../support/redis.ts'

async function ask<T>(url: string, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    commandTimeout: 200,
    disconnectTimeout: 50, // ioredis keeps a timer of this length for a connection that is already closed
  })
  redis.on('error', () => {}) // the rejected command reports it
  try {
    await redis.connect()
    return await question(redis)
  } finally {
    redis.disconnect()
  }
}

const ping = (url: string): Promise<string> => ask(url, (redis) => redis.ping())

describe('a redis-server of a test’s own', () => {
  let server: RedisServer

  beforeAll(async () => {
    server = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  })
  afterAll(() => server.stop())

  it('answers', async () => {
    expect(await ping(server.url)).toBe('PONG')
  })

  it('restarts on the same port with its data, also after a crash', async () => {
    await ask(server.url, (redis) => redis.set('kept', 'yes'))
    const first = server.pid
    await server.restart()
    expect(server.pid).not.toBe(first)
    expect(await ask(server.url, (redis) => redis.get('kept'))).toBe('yes')
    await server.kill()
    await expect(ping(server.url)).rejects.toThrow()
    await server.restart()
    expect(await ask(server.url, (redis) => redis.get('kept'))).toBe('yes')
  })

  it('hangs while it is paused', async () => {
    server.pause()
    await expect(ping(server.url)).rejects.toThrow()
    server.resume()
    expect(await ping(server.url)).toBe('PONG')
  })

  it('refuses connections after it is stopped, and restarts empty', async () => {
    await server.stop()
    await expect(ping(server.url)).rejects.toThrow()
    await server.restart()
    expect(await ask(server.url, (redis) => redis.get('kept'))).toBeNull()
  })

  it('has another port than a second one', async () => {
    const second = await startRedis()
    expect(second.port).not.toBe(server.port)
    await second.stop()
  })
})

it('the shared Redis answers, and prefixes keep tests apart', async () => {
  expect(await ping(sharedRedisUrl())).toBe('PONG')
  expect(freshPrefix()).not.toBe(freshPrefix())
})
