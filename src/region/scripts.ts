/** For how long a record of which nothing remains keeps its revision, in milliseconds: 90 days. */
export const TOMBSTONE = 90 * 24 * 60 * 60 * 1_000

/** Stores a record. An empty value is removed, and `=` leaves it as it is. */
const SET = `
redis.call('HSET', KEYS[1], 'revision', revision, 'stamp', stamp, 'state', state, 'move', move)
if value == '' then redis.call('HDEL', KEYS[1], 'value')
elseif value ~= '=' then redis.call('HSET', KEYS[1], 'value', value) end
redis.call('SADD', KEYS[2], ARGV[1])
if state == 'gone' or state == 'left' then redis.call('PEXPIRE', KEYS[1], '${TOMBSTONE}')
else redis.call('PERSIST', KEYS[1]) end
`

/**
 * Changes a record where it is in the expected state, and notes that the other locations lack the change.
 * KEYS: the record, the ids of its bucket, then what is owed to each other location. ARGV: 1 id, 2 the states that it may be in,
 * with blanks around them, 3 the revision that it must have, or '*', 4 the move that it must take part in, or '*', 5 a name of
 * this write, 6 the new state, 7 its move, 8 its value: '' to remove it, '=' to leave it as it is. Answers `written` and
 * the revision, or `refused`, the revision, the state and the move.
 * The name is kept, for a client may send a command again when the connection broke before its answer came.
 */
export const CHANGE = `
local stored = redis.call('HMGET', KEYS[1], 'revision', 'stamp', 'state', 'move')
if stored[2] == ARGV[5] then return {'written', stored[1]} end
local last, was = tonumber(stored[1] or '0'), stored[3] or 'absent'
if not string.find(ARGV[2], ' ' .. was .. ' ', 1, true)
  or (ARGV[3] ~= '*' and was ~= 'absent' and was ~= 'gone' and last ~= tonumber(ARGV[3]))
  or (ARGV[4] ~= '*' and ARGV[4] ~= (stored[4] or '')) then
  return {'refused', string.format('%.0f', last), was, stored[4] or ''}
end
local revision, stamp, state, move, value = string.format('%.0f', last + 1), ARGV[5], ARGV[6], ARGV[7], ARGV[8]
${SET}
for index = 3, #KEYS do redis.call('SADD', KEYS[index], ARGV[1]) end
return {'written', revision}`

/**
 * Takes over a record as another location has it, unless a later one is here.
 * KEYS: the record, the ids of its bucket. ARGV: 1 id, 2 revision, 3 stamp, 4 state, 5 move, 6 value, 7 `writer`, or
 * `copy` where it is copied later: then of two writes with one revision the later counts.
 * Answers `taken`, `same`, or `newer`.
 */
export const TAKE = `
local stored = redis.call('HMGET', KEYS[1], 'revision', 'stamp')
if stored[2] == ARGV[3] then return 'same' end
local last, given = tonumber(stored[1] or '0'), tonumber(ARGV[2])
if last > given or (last == given and (ARGV[7] == 'writer' or stored[2] > ARGV[3])) then return 'newer' end
local revision, stamp, state, move, value = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
${SET}
return 'taken'`

/**
 * Replaces a write that turned out to be built on an old record. KEYS and ARGV as of TAKE, but 7 is the name of that write.
 * Answers `taken`, or `kept` where another has been built on it.
 */
export const REPLACE = `
if redis.call('HGET', KEYS[1], 'stamp') ~= ARGV[7] then return 'kept' end
local revision, stamp, state, move, value = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
${SET}
return 'taken'`

/** Settles what was owed to a location. KEYS: what is owed. ARGV: pairs of the id and its write; KEYS 2 and following: the records. */
export const SETTLE = `
for index = 2, #KEYS do
  local id, stamp = ARGV[2 * index - 3], ARGV[2 * index - 2]
  local stored = redis.call('HGET', KEYS[index], 'stamp')
  if not stored or stored == stamp then redis.call('SREM', KEYS[1], id) end
end`

/** Says that a location lacks nothing any more. KEYS: who is behind. ARGV: 1 the location, 2 the number that was read before. */
export const CAUGHT_UP = `
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end`
