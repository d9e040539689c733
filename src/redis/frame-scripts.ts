/**
 * Appends frames of one writer, in order: each that is not there yet, and none behind a gap unless that is said.
 * KEYS: the stream, the heads, then the indexes of the people of each frame in turn. ARGV: 1 the writer, 2 whether a gap is
 * taken; then for each frame the number of its first and of its last event, its bytes, and how many people it has.
 * Answers with the number of the last event of the writer that is stored.
 */
export const APPEND_FRAMES = `
local head = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
local before = head
local at, index = 3, 3
while at <= #ARGV do
  local first, last, people = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 3])
  if first > head + 1 and ARGV[2] ~= '1' then break end
  if first > head then
    local place = redis.call('XADD', KEYS[1], '*', 'f', ARGV[at + 2])
    local milliseconds, number = string.match(place, '^(%d+)-(%d+)$')
    local pointer = struct.pack('>I6I2', tonumber(milliseconds), tonumber(number))
    for key = index, index + people - 1 do redis.call('APPEND', KEYS[key], pointer) end
    head = last
  end
  at, index = at + 4, index + people
end
if head > before then redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', head)) end
return string.format('%.0f', head)`

/** Removes the beginning of an index. KEYS: the index. ARGV: 1 the last pointer that goes. */
export const CUT_INDEX = `
local index = redis.call('GET', KEYS[1])
if not index then return 0 end
local at = 1
local lastTime, lastNumber = struct.unpack('>I6I2', ARGV[1])
while at <= #index do
  local time, number = struct.unpack('>I6I2', index, at)
  if time > lastTime or (time == lastTime and number > lastNumber) then break end
  at = at + 8
end
if at > #index then redis.call('DEL', KEYS[1])
elseif at > 1 then redis.call('SET', KEYS[1], string.sub(index, at)) end
return at`
