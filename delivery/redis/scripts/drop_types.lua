#!lua flags=allow-oom
-- drop_types.lua gives back the numbers of event types of which the index has no row any more, in
-- steps.
--
-- KEYS[1]  the partition
-- ARGV     retention in ms, cursor, '0' to begin; about how many to look at
-- Result   now in ms, the next cursor, '0' at the end

local now = now_ms()
local today = math.floor(now / hour_ms / 24)
-- Rows are of the day on which their type was last used at the latest, but for a difference of
-- clocks. Days before this one are too old.
local oldest_day = math.floor(math.floor((now - ARGV[1]) / hour_ms) / 24) - 1
local page = read('HSCAN', types_key(), ARGV[2], 'COUNT', ARGV[3])
if #read('ZRANGEBYSCORE', days_key(), '-inf', '(' .. oldest_day + 1, 'LIMIT', 0, 1) > 0 then
  return reply({ now, '0' }) -- the index still has some: sweep.lua drops them first
end
for i = 1, #page[2], 2 do
  local name, number, used = page[2][i], read_type(page[2][i + 1])
  if name ~= '' and number and used == 0 then
    write('HSET', types_key(), name, type_value(number, today)) -- nobody knows when it was used
  elseif name ~= '' and number and used < oldest_day then
    -- In this order: if it breaks off in between, the number is never used again.
    write('HDEL', types_key(), name)
    write('SADD', free_types_key(), number)
  end
end
return reply({ now, page[1] })
