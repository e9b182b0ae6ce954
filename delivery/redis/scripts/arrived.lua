#!lua flags=no-writes
-- arrived.lua reads parts of the index of a tenant's events, from a place on. When it has done as
-- much as one script may, there may be more behind the last part.
--
-- KEYS[1]  the partition
-- ARGV     tenant; 1 from the newest on, else 0; hour, number of the chunk in it and offset of the
--          place, three times '' for the beginning; least and highest score of chunks; how many
--          bytes to read; how much to do
-- Result   now in ms; the hour before which all has been dropped; the score of the last chunk that
--          was looked at, or 0 if there are no others behind it; then for each part: hour, number of
--          the chunk, its length, when it expires in ms, offset of the part, its bytes

local tenant, backwards = ARGV[1], ARGV[2] == '1'
local at_hour, at_number, at_offset = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local least, highest, bytes, work = ARGV[6], ARGV[7], tonumber(ARGV[8]), tonumber(ARGV[9])
local index = arrivals_key(tenant)
local now = now_ms()
local results = { now, read_swept(), 0 }

if at_hour then
  -- The chunk may have got its number since.
  local named = read('ZSCORE', index, chunk_name(at_hour, at_number))
  local score = chunk_score(at_hour, named and at_number)
  if backwards then highest = score else least = score end
end
local names
if backwards then
  names = read('ZREVRANGEBYSCORE', index, highest, least, 'LIMIT', 0, 200)
else
  names = read('ZRANGEBYSCORE', index, least, highest, 'LIMIT', 0, 200)
end

-- Reads a part of a chunk; the offset is that of where to go on, nil for its beginning or end.
local function read_part(hour, number, key, offset)
  local length = read('STRLEN', key)
  local from, to = offset or 0, length
  if backwards then from, to = math.max(0, (offset or length) - bytes), offset or length end
  to = math.min(to, from + bytes)
  if length == 0 then return end
  local n = #results
  results[n + 1], results[n + 2], results[n + 3] = hour, number, length
  results[n + 4], results[n + 5] = read('PEXPIRETIME', key), from
  results[n + 6] = to > from and read('GETRANGE', key, from, to - 1) or ''
  bytes = bytes - #results[n + 6]
end

local last
for i, name in ipairs(names) do
  local hour, number = string.match(name, '^(%d+):?(%d*)$')
  if hour then
    local key = arrived_key(tenant, name)
    hour, number = tonumber(hour), tonumber(number) or next_chunk(tenant, hour)
    local is_place = hour == at_hour and number == at_number
    read_part(hour, number, key, is_place and at_offset or nil)
  end
  last = i
  work = work - 6
  if bytes <= 0 or work <= 0 then break end
end
if last and (last < #names or #names == 200) then results[3] = tonumber(read('ZSCORE', index, names[last])) end
return reply(results)
