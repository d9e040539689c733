/**
 * Appends a change of an app or a list to the feed. The keys are the stream, the counter that numbers its entries without a gap,
 * and the name of the store, which is set by the first change.
 */
const APPEND = (
  [stream, counter, store]: readonly [stream: string, counter: string, store: string],
  kind: 'app' | 'list',
  name: string,
  revision: string,
  storeName: string,
): string =>
  `redis.call('SET', ${store}, ${storeName}, 'NX')
  redis.call('XADD', ${stream}, 'MAXLEN', '~', '10000', '*', '${kind}', ${name}, 'revision', ${revision}, 'number', redis.call('INCR', ${counter}))`

/** Announces a change. KEYS: those of the feed. ARGV: 1 the app or the list, 2 its revision, 3 a name for a new store. */
export const ANNOUNCE: Readonly<Record<'app' | 'list', string>> = {
  app: APPEND(['KEYS[1]', 'KEYS[2]', 'KEYS[3]'], 'app', 'ARGV[1]', 'ARGV[2]', 'ARGV[3]'),
  list: APPEND(['KEYS[1]', 'KEYS[2]', 'KEYS[3]'], 'list', 'ARGV[1]', 'ARGV[2]', 'ARGV[3]'),
}

/**
 * Replaces an app if it is at the expected revision, writes its history, and announces the change.
 * KEYS: the app, its secrets, its history, and then those of the feed if the script can reach them. ARGV: 1 the expected
 * revision, 2 the app id, 3 the policy, or '' to remove the app, 4 the sealed keys, '' for none, or '=' to leave them, 5 a name
 * for this write, 6 the last known revision, 7 the history entry, 8 how many entries are kept, 9 the fingerprints of the keys.
 * Returns whether it was written, and the revision of the app.
 * The name is stored, because a client may repeat the command if the connection broke before the reply. A removed app keeps its
 * revision, so that no revision is used twice; if the app is lost, the history has the revision.
 */
export const REPLACE = `
local stored = redis.call('HMGET', KEYS[1], 'revision', 'policy', 'write')
local last = tonumber(stored[1] or '0')
if stored[3] == ARGV[5] then return {'written', tostring(last)} end
if not stored[1] then
  local newest = redis.call('LRANGE', KEYS[3], -1, -1)[1]
  if newest then last = tonumber(string.match(newest, '%d+')) end
end
local actual = stored[2] and last or 0
if actual ~= tonumber(ARGV[1]) or last ~= tonumber(ARGV[6]) then return {'conflict', tostring(actual)} end
local revision = string.format('%.0f', last + 1)
redis.call('RPUSH', KEYS[3], ARGV[7])
redis.call('LTRIM', KEYS[3], -ARGV[8], -1)
redis.call('HSET', KEYS[1], 'revision', revision, 'write', ARGV[5])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], 'policy')
  redis.call('HSET', KEYS[1], 'removed', '1')
else
  redis.call('HSET', KEYS[1], 'policy', ARGV[3])
  redis.call('HDEL', KEYS[1], 'removed')
end
if ARGV[4] == '' then
  redis.call('HDEL', KEYS[1], 'secrets', 'prints')
  redis.call('DEL', KEYS[2])
elseif ARGV[4] ~= '=' then
  redis.call('HSET', KEYS[1], 'secrets', revision, 'prints', ARGV[9])
  redis.call('HSET', KEYS[2], 'revision', revision, 'sealed', ARGV[4])
end
if KEYS[4] then
  ${APPEND(['KEYS[4]', 'KEYS[5]', 'KEYS[6]'], 'app', 'ARGV[2]', 'revision', 'ARGV[5]')}
end
return {'written', revision}`

/**
 * Activates an uploaded list if the stored one is at the expected revision, and announces the change.
 * KEYS: the list, and then those of the feed if the script can reach them. ARGV: 1 the expected revision, 2 the name of the list,
 * 3 how long the old chunks stay, in seconds, 4 the version, or '' to remove the list, 5 the number of chunks, 6 the number of
 * entries, 7 the time, 8 author and note, 9 a name for a new store. The chunks are in the slot of the list.
 * Returns whether it was written, and the revision of the list.
 */
export const SWAP_LIST = `
local stored = redis.call('HMGET', KEYS[1], 'revision', 'version', 'chunks')
local last = tonumber(stored[1] or '0')
if ARGV[4] ~= '' and stored[2] == ARGV[4] then return {'written', tostring(last)} end
local actual = stored[2] and last or 0
if actual ~= tonumber(ARGV[1]) then return {'conflict', tostring(actual)} end
for index = 0, tonumber(ARGV[5]) - 1 do
  if redis.call('PERSIST', KEYS[1] .. ':' .. ARGV[4] .. ':' .. index) == 0 then return {'lost', tostring(actual)} end
end
local revision = string.format('%.0f', last + 1)
redis.call('HSET', KEYS[1], 'revision', revision)
if ARGV[4] == '' then redis.call('HDEL', KEYS[1], 'version')
else redis.call('HSET', KEYS[1], 'version', ARGV[4], 'chunks', ARGV[5], 'size', ARGV[6], 'at', ARGV[7], 'by', ARGV[8]) end
for index = 0, tonumber(stored[2] and stored[3] or '0') - 1 do
  redis.call('EXPIRE', KEYS[1] .. ':' .. stored[2] .. ':' .. index, ARGV[3])
end
if KEYS[2] then
  ${APPEND(['KEYS[2]', 'KEYS[3]', 'KEYS[4]'], 'list', 'ARGV[2]', 'revision', 'ARGV[9]')}
end
return {'written', revision}`

/**
 * Claims a key for an app. KEYS: the fingerprint. ARGV: 1 the app id, 2 the claim, which begins with the app id and the revision
 * to be written, 3 a claim of another app that is no longer valid, or ''. Returns the existing claim of this app or another one,
 * or nothing if there was none.
 */
export const CLAIM_KEY = `
local held = redis.call('GET', KEYS[1])
local isOwn = held and string.match(held, '^%S+') == ARGV[1]
if held and held ~= ARGV[3] and not isOwn then return held end
redis.call('SET', KEYS[1], ARGV[2])
return isOwn and held`

/** Withdraws a claim if it is still the current one. KEYS: the fingerprint. ARGV: 1 the claim. */
export const UNCLAIM_KEY = `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`

/**
 * Releases a key, unless its app has claimed it again for a later revision. KEYS: the fingerprint. ARGV: 1 the app id, 2 the
 * revision.
 */
export const RELEASE_KEY = `
local owner, revision = string.match(redis.call('GET', KEYS[1]) or '', '^(%S+) (%d+)')
if owner == ARGV[1] and tonumber(revision) <= tonumber(ARGV[2]) then redis.call('DEL', KEYS[1]) end`

/**
 * Claims a nonce, unless its app has too many.
 * KEYS: the nonce, and the counts of the app, as `<end>:<count>` for each time span; nonces stop counting at the end of their
 * span. ARGV: 1 a name for this claim, 2 the lifetime of the nonce, 3 the time, 4 the end of its span, 5 the largest number of
 * nonces; times in milliseconds.
 * Returns `first`, `used` or `full`. The name is stored, because a client may repeat the command if the connection broke before
 * the reply.
 * It needs no rights other than GET and SET, because guards must not be able to change the data they rely on.
 */
export const CLAIM_NONCE = `
local by = redis.call('GET', KEYS[1])
if by then return by == ARGV[1] and 'first' or 'used' end
local counts, held, last = {[ARGV[4]] = 0}, 0, tonumber(ARGV[4])
for ends, count in string.gmatch(redis.call('GET', KEYS[2]) or '', '(%d+):(%d+)') do
  if tonumber(ends) > tonumber(ARGV[3]) then
    counts[ends] = tonumber(count)
    held = held + count
    last = math.max(last, tonumber(ends))
  end
end
if held >= tonumber(ARGV[5]) then return 'full' end
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2])
counts[ARGV[4]] = counts[ARGV[4]] + 1
local texts = {}
for ends, count in pairs(counts) do texts[#texts + 1] = ends .. ':' .. count end
redis.call('SET', KEYS[2], table.concat(texts, ' '), 'PX', string.format('%.0f', last - tonumber(ARGV[3])))
return 'first'`

/**
 * Stores the resealed keys of an app if nothing was written since. KEYS: the app, its secrets. ARGV: 1 the old sealed keys, 2 the
 * new ones, 3 the revision of the app, 4 the fingerprints of the keys.
 */
export const RESEAL_KEYS = `
if redis.call('HMGET', KEYS[2], 'sealed')[1] ~= ARGV[1] then return 0 end
if redis.call('HMGET', KEYS[1], 'revision')[1] ~= ARGV[3] then return 0 end
redis.call('HSET', KEYS[2], 'sealed', ARGV[2])
redis.call('HSET', KEYS[1], 'prints', ARGV[4])
return 1`

/** Replaces a history entry that still exists. KEYS: the history. ARGV: 1 the old entry, 2 the new one. */
export const RESEAL_HISTORY = `
for index, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if entry == ARGV[1] then
    redis.call('LSET', KEYS[1], index - 1, ARGV[2])
    return 1
  end
end
return 0`

/**
 * Replaces the author and note of a list if nothing was written since. KEYS: the list. ARGV: 1 the old sealed note, 2 the new
 * one.
 */
export const RESEAL_LIST = `
if redis.call('HMGET', KEYS[1], 'by')[1] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'by', ARGV[2])
return 1`

/** Replaces a part of a list that still exists, and keeps its lifetime. KEYS: the part. ARGV: 1 the old part, 2 the new one. */
export const RESEAL_CHUNK = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1`
