#!lua flags=allow-oom
-- cancel_replay.lua cancels a replay that is running.
--
-- KEYS[1]  the partition
-- ARGV     tenant, id
-- Result   now in ms, 1 if there is such a replay, otherwise 0

local tenant, id = ARGV[1], ARGV[2]
local now = now_ms()
local value = read_replay(tenant, id)
if not value then return reply({ now, 0 }) end
if string.sub(value, 1, 1) == 'r' then
  write('HSET', replays_key(tenant), id, 'c' .. struct.pack('>I8', now) .. string.sub(value, 10))
  end_replay(tenant, id)
end
return reply({ now, 1 })
