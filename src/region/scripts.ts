/** How long a removed record keeps its revision, in milliseconds: 90 days. */
export const TOMBSTONE = 90 * 24 * 60 * 60 * 1_000

/** Stores a record. An empty value removes the stored one; `=` leaves it unchanged. */
const SET = `
redis.call('HSET', KEYS[1], 'revision', revision, 'stamp', stamp, 'state', state, 'move', move, 'line', line, 'sure', sure)
if value == '' then redis.call('HDEL', KEYS[1], 'value')
elseif value ~= '=' then redis.call('HSET', KEYS[1], 'value', value) end
redis.call('SADD', KEYS[2], ARGV[1])
if state == 'gone' or state == 'left' then redis.call('PEXPIRE', KEYS[1], '${TOMBSTONE}')
else redis.call('PERSIST', KEYS[1]) end
`

/** Notes that the other locations may lack this record. */
const OWE = `for index = 3, #KEYS do redis.call('SADD', KEYS[index], ARGV[1]) end`

/**
 * A line is a version vector: it says how many of the writes that a record is built on were decided at each location, as in
 * `frankfurt=1 london=12`. If one line covers another, its record was built on the other. If neither covers the other, two
 * writers did not know of each other.
 */
const LINES = `
local function counts(line)
  local found = {}
  for name, count in string.gmatch(line, '([^ =]+)=(%d+)') do found[name] = tonumber(count) end
  return found
end
local function covers(line, other)
  local own = counts(line)
  for name, count in pairs(counts(other)) do if (own[name] or 0) < count then return false end end
  return true
end
local function joined(line, other)
  local all, parts = counts(line), {}
  for name, count in pairs(counts(other)) do all[name] = math.max(all[name] or 0, count) end
  for name, count in pairs(all) do table.insert(parts, name .. '=' .. string.format('%.0f', count)) end
  table.sort(parts)
  return table.concat(parts, ' ')
end
`

/**
 * Changes a record if it is in an expected state, and notes that the other locations lack the change.
 * KEYS: the record, the ids of its bucket, then the ids owed to each other location. ARGV: 1 the id, 2 the expected states,
 * surrounded by spaces, 3 the expected revision, or '*', 4 the move that it must take part in, or '*', 5 a name for this write, 6
 * the new state, 7 the new move, 8 the new value, '' to remove it, or '=' to leave it, 9 this location.
 * Returns `written`, the revision, the line and its sure part; or `refused`, the revision, the state and the move.
 * The name is stored, because a client may repeat the command if the connection broke before the reply. An older write that
 * waited in a connection to a stalled server does not recreate a removed record.
 */
export const CHANGE = `${LINES}
local stored = redis.call('HMGET', KEYS[1], 'revision', 'stamp', 'state', 'move', 'line', 'sure')
local before, sure = stored[5] or '', stored[6] or ''
if stored[2] == ARGV[5] then return {'written', stored[1], before, sure} end
local last, was = tonumber(stored[1] or '0'), stored[3] or 'absent'
if not string.find(ARGV[2], ' ' .. was .. ' ', 1, true)
  or (ARGV[3] ~= '*' and was ~= 'absent' and was ~= 'gone' and last ~= tonumber(ARGV[3]))
  or (ARGV[4] ~= '*' and ARGV[4] ~= (stored[4] or ''))
  or (was == 'gone' and stored[2] > ARGV[5]) then
  return {'refused', string.format('%.0f', last), was, stored[4] or ''}
end
local line = joined(before, ARGV[9] .. '=' .. string.format('%.0f', (counts(before)[ARGV[9]] or 0) + 1))
local revision, stamp, state, move, value = string.format('%.0f', last + 1), ARGV[5], ARGV[6], ARGV[7], ARGV[8]
${SET}
${OWE}
return {'written', revision, line, sure}`

/**
 * Copies a record from another location, unless this location has one that was built on it, or one that wins over it.
 * KEYS: as for CHANGE. ARGV: 1 the id, 2 the revision, 3 the stamp, 4 the state, 5 the move, 6 the value, 7 the line, 8 its sure
 * part, 9 `writer` (sent by the writer before it acknowledges the write), `copy` (sent later), or the stamp of a write that gives
 * way to this one.
 * If neither record was built on the other, one of them wins, and then counts as built on both: the one without which a sure
 * write would be lost; otherwise the one with the higher revision; with equal revisions, the later one. Its revision rises, so
 * that a writer who read the other record gets a conflict.
 * Returns `taken`, `same` (it was already here), `joined` (it is here with another line than the given one), `newer` (the record
 * here wins), or `kept` (the write that should give way is not here); and the revision that is here now.
 */
export const TAKE = `${LINES}
local stored = redis.call('HMGET', KEYS[1], 'revision', 'stamp', 'line', 'sure')
local last, was = tonumber(stored[1] or '0'), stored[2] or ''
local theirs, theirSure, by = stored[3] or '', stored[4] or '', ARGV[9]
local revision, stamp, state, move, value, line, sure = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local given = tonumber(revision)
if was == stamp then
  local both = joined(line, theirs)
  revision = string.format('%.0f', math.max(last, given))
  if line ~= theirs or sure ~= theirSure or given > last then
    redis.call('HSET', KEYS[1], 'revision', revision, 'line', both, 'sure', joined(sure, theirSure))
  end
  return {both == line and 'same' or 'joined', revision}
end
local isPast, isNext = covers(theirs, line), covers(line, theirs)
if by ~= 'writer' and by ~= 'copy' and was ~= by then return {'kept', stored[1]} end
local outcome = 'taken'
if was ~= '' and not (isNext and not isPast) then
  local isLost = isPast and not isNext
  if not isLost and (by == 'writer' or by == 'copy') then
    local lacks, isLacked = not covers(line, theirSure), not covers(theirs, sure)
    if lacks ~= isLacked then isLost = lacks
    elseif isPast and by == 'writer' then isLost = true
    elseif last ~= given then isLost = last > given
    else isLost = was > stamp end
  end
  if isLost then return {'newer', stored[1]} end
  outcome, line, revision = 'joined', joined(line, theirs), string.format('%.0f', math.max(last, given) + 1)
end
${SET}
if outcome == 'joined' or by == 'writer' then ${OWE} end
return {outcome, revision}`

/**
 * Makes a write sure that will be acknowledged although another location lacks it: only a record built on it can replace it.
 * KEYS: the record. ARGV: 1 the name of the write. Returns 1, or 0 if the write is no longer here.
 */
export const MAKE_SURE = `
local stored = redis.call('HMGET', KEYS[1], 'stamp', 'line')
if stored[1] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'sure', stored[2])
return 1`

/**
 * The parts of records that two locations must agree on, as one string for each record: everything except the value, which
 * follows from the name of the write. KEYS: the records. Returns '' if there is no record.
 */
export const HEADS = `
local heads = {}
for index, key in ipairs(KEYS) do
  local stored = redis.call('HMGET', key, 'stamp', 'revision', 'state', 'move', 'line', 'sure')
  local parts = {}
  for part = 1, 6 do parts[part] = stored[part] or '' end
  heads[index] = stored[1] and table.concat(parts, '\\0') or ''
end
return heads`

/**
 * Removes ids that are no longer owed to a location. KEYS: 1 the owed ids, then the records. ARGV: for each record, its id and
 * the name of its write.
 */
export const SETTLE = `
for index = 2, #KEYS do
  local id, stamp = ARGV[2 * index - 3], ARGV[2 * index - 2]
  local stored = redis.call('HGET', KEYS[index], 'stamp')
  if not stored or stored == stamp then redis.call('SREM', KEYS[1], id) end
end`

/**
 * Removes ids that have neither a record nor the revision of a removed one. A writer adds the id together with its record, so it
 * keeps its id. KEYS: 1 the ids of the bucket, then the records. ARGV: the ids. Returns the removed ids.
 */
export const FORGET = `
local removed = {}
for index, id in ipairs(ARGV) do
  if not redis.call('HGET', KEYS[index + 1], 'stamp') then
    redis.call('SREM', KEYS[1], id)
    table.insert(removed, id)
  end
end
return removed`

/**
 * Notes that a location no longer lacks anything. KEYS: the locations that are behind. ARGV: 1 the location, 2 the number that
 * was read before.
 */
export const CAUGHT_UP = `
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end`
