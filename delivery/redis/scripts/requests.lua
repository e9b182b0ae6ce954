#!lua flags=no-writes
-- requests.lua looks for the newest requests of a log, without a scan: the members of a day's
-- index are sorted by type, status and id, so that each type and status is a range whose newest
-- ids are at its end. When it has done as much as one script may, it says where to go on.
--
-- KEYS[1]  the partition
-- ARGV     tenant or reference whose log to read, type or '', status ('1' success, '0' failed)
--          or '', first id, id to stay before, how many ids are wanted, how many the caller has
--          already, how much to do; then, to go on, what the result said
-- Result   now in ms, where to go on: day and member of its index to stay before, '' and '' at
--          the end; members of the index, among them the newest of those wanted

local name, type_name, status = ARGV[1], ARGV[2], ARGV[3]
local first, before, wanted, have = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local work = tonumber(ARGV[8]) -- that is left
local go_on_day, go_on_top = ARGV[9], ARGV[10]
local now = now_ms()

local bottom, above = '-', '+'
if type_name ~= '' then
  local type_bytes = type_number(type_name)
  if type_bytes == '' then return reply({ now, '', '' }) end
  bottom, above = '[' .. type_bytes, '(' .. type_bytes .. '\255'
end

-- The index may still have rows whose buckets have been dropped.
local swept = read_swept()
if id_hour(first) < swept then first = struct.pack('>I6', swept * hour_ms) .. string.rep('\0', 10) end
local first_ms = struct.unpack('>I6', first)

-- Adds members of a day's index below top. Returns where to go on, nil at the end.
local results = { now, '', '' }
local function read_day(key, top)
  while work > 0 do
    -- The last member below top has the next type and status.
    local member = read('ZREVRANGEBYLEX', key, top, bottom, 'LIMIT', 0, 1)[1]
    if not member then return nil end
    local prefix = string.sub(member, 1, 3)
    work = work - 1
    local is_old = #member == 19 and struct.unpack('>I6', member, 4) < first_ms
    if not is_old and (status == '' or string.sub(prefix, 3) == status) then
      local members = read('ZREVRANGEBYLEX', key, '(' .. prefix .. before, '[' .. prefix .. first, 'LIMIT', 0, wanted)
      local n = #results
      for i = 1, #members do results[n + i] = members[i] end
      work = work - 1 - #members / 4
    end
    top = '(' .. prefix
  end
  return top
end

-- Days have no ids in common: those of the newest come first.
local newest_day = go_on_day or math.floor(id_hour(before) / 24)
local oldest_day = math.floor(id_hour(first) / 24)
for from = 0, math.huge, 100 do
  local days = read('ZREVRANGEBYSCORE', days_key(), newest_day, oldest_day, 'LIMIT', from, 100)
  for _, day in ipairs(days) do
    if day ~= go_on_day and have + #results - 3 >= wanted then return reply(results) end
    local top = read_day(log_key(name, day), day == go_on_day and go_on_top or above)
    if top then
      results[2], results[3] = day, top
      return reply(results)
    end
    work = work - 1
  end
  if #days < 100 then return reply(results) end
end
