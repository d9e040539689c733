/** For how long a record of which nothing remains keeps its revision, in milliseconds: 90 days. */
export const TOMBSTONE = 90 * 24 * 60 * 60 * 1_000

/** Stores a record. An empty value is removed, and `=` leaves it as it is. */
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
 * A line says which writes a record is built on: how many were decided at each location, as `frankfurt=1 london=12`. It is a version
 * vector. Of two records the one whose line covers the other's was built on it; where neither does, two writers did not know of
 * each other.
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
 * Changes a record where it is in the expected state, and notes that the other locations lack the change.
 * KEYS: the record, the ids of its bucket, then what is owed to each other location. ARGV: 1 id, 2 the states that it may be in,
 * with blanks around them, 3 the revision that it must have, or '*', 4 the move that it must take part in, or '*', 5 a name of
 * this write, 6 the new state, 7 its move, 8 its value: '' to remove it, '=' to leave it as it is, 9 this location. Answers `written`,
 * the revision, the line and what of it is sure; or `refused`, the revision, the state and the move.
 * The name is kept, for a client may send a command again when the connection broke before its answer came. What was removed is not
 * made anew by a write that is older, and has waited in the connection to a server that stood still.
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
 * Takes over a record as another location has it, unless one is here that was built on it, or that stays of the two.
 * KEYS as of CHANGE. ARGV: 1 id, 2 revision, 3 stamp, 4 state, 5 move, 6 value, 7 line, 8 what of it is sure, 9 `writer` (from the
 * writer itself, which has not acknowledged it yet), `copy` (later), or the stamp of a write that gives way to this one.
 * Of two records of which neither was built on the other, one stays, and then counts as built on both: the one without which writes
 * would be lost that are sure; otherwise that of the higher revision, and of one revision the later. Its revision rises, so that nobody
 * who has read the other can write on it.
 * Answers `taken`, `same` (it was here), `joined` (it is here, and has another line than was given), `newer`, or `kept` where the write
 * that should give way is not there; and the revision that is here now.
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
 * Makes a write sure that another location lacks and that will be acknowledged all the same: what is not built on it does not replace
 * it. KEYS: the record. ARGV: 1 the name of the write. Answers 1, or 0 where it is not there any more.
 */
export const MAKE_SURE = `
local stored = redis.call('HMGET', KEYS[1], 'stamp', 'line')
if stored[1] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'sure', stored[2])
return 1`

/**
 * What two locations must have alike of a record, as one text for each: everything but the value, which follows from the name of
 * the write. KEYS: the records. Answers '' where there is no record.
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
