export {
  readAuditStream,
  redisAuditSink,
  type RedisAuditClient,
  type RedisAuditSinkOptions,
  type StoredAuditEvent,
} from '../audit/redis-sink.ts'
export { fromNodeRedis, type NodeRedisClient } from '../store/node-redis.ts'
export type { RedisClient } from '../store/redis-client.ts'
export { redisNonces, type RedisNoncesOptions } from '../store/redis-nonces.ts'
export { redisStore, type RedisStore, type RedisStoreOptions } from '../store/redis.ts'
