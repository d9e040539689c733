import { findRedisServer } from './redis-binary.ts'
import { type RedisServer, startRedis } from './redis.ts'

declare global {
  var portcullisSharedRedis: RedisServer | undefined
}

/**
 * Runs before integration tests: finds or installs a redis-server for the tests that start their own, and starts the
 * shared one, unless `REDIS_URL` is set (jest.config.mjs passes it on as `TEST_REDIS_URL`).
 */
export default async function setUp(): Promise<void> {
  process.env['REDIS_SERVER_BIN'] = await findRedisServer()
  if (process.env['TEST_REDIS_URL'] !== undefined) return
  globalThis.portcullisSharedRedis = await startRedis()
  process.env['TEST_REDIS_URL'] = globalThis.portcullisSharedRedis.url
}
