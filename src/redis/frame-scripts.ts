/*
 * The log is one hash, and each write is one command. For two commands, Redis writes a transaction to its append-only file. If
 * that is cut off in the middle, a second restart runs its first part (Redis 7.0). A single command is either there or not.
 */

/**
 * Appends frames of one writer, in order. Skips frames that are already stored, and stops at a gap unless gaps are accepted.
 * KEYS: the log. ARGV: 1 the writer, 2 '1' to accept gaps; then for each frame: the numbers of its first and last event, its
 * people separated by spaces, and its bytes.
 * Returns the number of the last stored event of the writer.
 */
export const APPEND_FRAMES = `
local known = redis.call('HMGET', KEYS[1], 'size', 'w:' .. ARGV[1])
local size, newest = string.match(known[1] or '0 0', '^(%d+) (%d+)$')
size, newest = tonumber(size), tonumber(newest)
local head = tonumber(known[2] or '0')
local time = redis.call('TIME')
newest = math.max(newest, tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local before, fields, pointers = head, {}, {}
local function set(name, value)
  fields[#fields + 1] = name
  fields[#fields + 1] = value
end
for at = 3, #ARGV, 4 do
  local first, last = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  if first > head + 1 and ARGV[2] ~= '1' then break end
  if first > head then
    local people, unread = {}, {}
    for person in string.gmatch(ARGV[at + 2], '%S+') do
      people[#people + 1] = person
      if not pointers[person] then unread[#unread + 1] = 'p:' .. person end
    end
    if #unread > 0 then
      local found = redis.call('HMGET', KEYS[1], unpack(unread))
      for each = 1, #unread do pointers[string.sub(unread[each], 3)] = found[each] or string.rep('\\0', 8) end
    end
    size = size + 1
    local parts = { struct.pack('>I6I4', newest, #people) }
    for index, person in ipairs(people) do
      parts[#parts + 1] = pointers[person]
      pointers[person] = struct.pack('>I5I3', size, index - 1)
    end
    parts[#parts + 1] = ARGV[at + 3]
    set(string.format('%.0f', size), table.concat(parts))
    head = last
  end
end
if head > before then
  for person, pointer in pairs(pointers) do set('p:' .. person, pointer) end
  set('size', string.format('%.0f %.0f', size, newest))
  set('w:' .. ARGV[1], string.format('%.0f', head))
  redis.call('HSET', KEYS[1], unpack(fields))
end
return string.format('%.0f', head)`

/**
 * Finds the frames that contain a person, newest first, some at a time. KEYS: the log. ARGV: 1 the person, 2 the frame number to
 * stop at, 3 the largest number of frames, 4 the pointer to continue from, or ''.
 * Returns the pointer to continue from, empty at the end, and the frame numbers.
 */
export const FRAMES_OF_PERSON = `
local pointer = ARGV[4]
if pointer == '' then pointer = redis.call('HGET', KEYS[1], 'p:' .. ARGV[1]) or '' end
local after, most, numbers, bound = tonumber(ARGV[2]), tonumber(ARGV[3]), {}, math.huge
while #pointer == 8 and #numbers < most do
  local number, index = struct.unpack('>I5I3', pointer)
  if number <= after or number >= bound then return { '', numbers } end
  local frame = redis.call('HGET', KEYS[1], string.format('%.0f', number))
  if not frame then return { '', numbers } end
  numbers[#numbers + 1] = string.format('%.0f', number)
  bound = number
  pointer = string.sub(frame, 11 + 8 * index, 18 + 8 * index)
end
return { pointer, numbers }`

/**
 * Removes the pointers of people who are in no frame after a number. KEYS: the log. ARGV: 1 the number, then the people.
 * Returns how many were removed.
 */
export const FORGET_BEFORE = `
local fields, gone = {}, {}
for at = 2, #ARGV do fields[at - 1] = 'p:' .. ARGV[at] end
local found = redis.call('HMGET', KEYS[1], unpack(fields))
for at = 1, #fields do
  if found[at] and struct.unpack('>I5', found[at]) <= tonumber(ARGV[1]) then gone[#gone + 1] = fields[at] end
end
if #gone == 0 then return 0 end
return redis.call('HDEL', KEYS[1], unpack(gone))`
