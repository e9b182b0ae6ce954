#!lua
-- note_types.lua notes event types of a tenant, all of them or none, with the day. It is
-- refused as a whole when Redis is full.
--
-- KEYS[1]  the partition
-- ARGV     tenant, how long events are kept in ms, most types of a tenant, how many types to look
--          for in the log at most; then types, each once
-- Result   now in ms, 1 or 0 if the tenant would have more than the most, how many types were
--          looked for in the log

local now = now_ms()
local tenant, kept, most, look_ups = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local key = types_of_key(tenant)
local day_ms = 24 * hour_ms
local today, first_day = math.floor(now / day_ms), math.floor((now - kept) / day_ms)

-- Whether the log has a type that is not noted: an earlier version wrote its rows, or somebody
-- sent its last event again.
local function is_in_log(name)
  local type_bytes = type_number(name)
  if type_bytes == '' then return false end
  for _, day in ipairs(read('ZREVRANGE', days_key(), 0, 30)) do
    local first = read('ZRANGEBYLEX', log_key(tenant, day), '[' .. type_bytes, '(' .. type_bytes .. '\255', 'LIMIT', 0, 1)
    if first[1] then return true end
  end
  return false
end

local forgotten = read('ZRANGEBYSCORE', key, '-inf', '(' .. first_day, 'LIMIT', 0, most)
if #forgotten > 0 then in_chunks('ZREM', key, forgotten) end
local names = {}
for i = 5, #ARGV do names[i - 4] = ARGV[i] end
local noted, args, new = read_chunks('ZMSCORE', key, names), {}, {}
for i, name in ipairs(names) do
  if not noted[i] then new[#new + 1] = name end
  if tonumber(noted[i] or 0) < today then
    args[#args + 1] = today
    args[#args + 1] = name
  end
end
local room = #new > 0 and most - read('ZCARD', key) or 0
local looked = #new > room and math.min(#new, look_ups) or 0
for i = 1, looked do
  if is_in_log(new[i]) then room = room + 1 end
end
if #new > room and #new > 0 then return reply({ now, 0, looked }) end
in_chunks('ZADD', key, args)
-- By then, all are forgotten.
if #args > 0 then write('EXPIREAT', key, string.format('%.0f', math.floor((now + kept + day_ms) / 1000))) end
return reply({ now, 1, looked })
