export {
  readAuditStream,
  redisAuditSink,
  type RedisAuditClient,
  type RedisAuditSinkOptions,
  type StoredAuditEvent,
} from './audit-sink.ts'
export { redisRecentEvents, type RedisRecentEventsOptions } from './recent-events.ts'
export { fromNodeRedis, type NodeRedisClient } from './node-redis.ts'
export type { RedisClient } from './client.ts'
export { redisNonces, type RedisNoncesOptions } from './nonces.ts'
export { redisStore, type RedisStore, type RedisStoreOptions } from './store.ts'
export { redisFrames, type RedisFramesOptions } from './frames.ts'
export type { BytesClient } from './client.ts'
export { redisPeople, redisPersonKeys, type RedisPeopleOptions } from './people.ts'
export { rewriteRedis, type RewriteClient } from './rewrite.ts'
export { redisCursors, type RedisCursorsOptions } from './cursors.ts'
