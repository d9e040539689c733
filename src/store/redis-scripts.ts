import { APPEND } from './redis-feed.ts'

/**
 * Replaces an app if it is at the expected revision, writes its history, and announces it.
 * KEYS: the app, its secrets, its history, then the feed and its counter where they are in reach. ARGV: 1 expected
 * revision, 2 app id, 3 policy or '' to remove, 4 sealed keys ('' none, '=' as they are), 5 a name of this write, 6 the last
 * revision that was seen, 7 the time, 8 author and note, 9 how many revisions are kept. Answers whether it was written, and
 * the revision that the app is at.
 * The name is kept, for a client may send a command again when the connection broke before its answer came. A removed app
 * leaves its revision behind, so that none comes twice; where it was lost the history has it.
 */
export const REPLACE = `
local stored = redis.call('HMGET', KEYS[1], 'revision', 'policy', 'write')
local last = tonumber(stored[1] or '0')
if stored[3] == ARGV[5] then return {'written', tostring(last)} end
if not stored[1] then
  local newest = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
  if newest then last = tonumber(string.match(newest[1], '^%d+')) end
end
local actual = stored[2] and last or 0
if actual ~= tonumber(ARGV[1]) or last ~= tonumber(ARGV[6]) then return {'conflict', tostring(actual)} end
local revision = string.format('%.0f', last + 1)
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[9], revision .. '-0',
  'at', ARGV[7], 'policy', ARGV[3], 'keys', ARGV[4] == '=' and '0' or '1', 'by', ARGV[8])
redis.call('HSET', KEYS[1], 'revision', revision, 'write', ARGV[5])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'policy')
  redis.call('HSET', KEYS[1], 'removed', '1')
else
  redis.call('HSET', KEYS[1], 'policy', ARGV[3])
  redis.call('HDEL', KEYS[1], 'removed')
end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[1], 'secrets')
  redis.call('DEL', KEYS[2])
elseif ARGV[4] ~= '=' then
  redis.call('HSET', KEYS[1], 'secrets', revision)
  redis.call('HSET', KEYS[2], 'revision', revision, 'sealed', ARGV[4])
end
if KEYS[4] then
  ${APPEND('KEYS[4]', 'KEYS[5]', 'ARGV[2]', 'revision')}
end
return {'written', revision}`
