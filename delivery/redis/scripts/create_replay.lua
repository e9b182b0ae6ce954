#!lua
-- create_replay.lua adds a replay that is running and that nobody holds, unless the tenant has one
-- that is running. It may be repeated. Of the others it keeps the newest.
--
-- KEYS[1]  the partition
-- ARGV     tenant, id, record, how many the tenant may have, for how long they are kept in ms
-- Result   now in ms, 1 if it is there, 0 if another one is running

local tenant, id = ARGV[1], ARGV[2]
local now, key = now_ms(), replays_key(tenant)
local running = running_replay(tenant)
if running and running ~= id then return reply({ now, 0 }) end
if read('HEXISTS', key, id) == 1 then return reply({ now, 1 }) end
local all, old = read('HGETALL', key), {}
for i = 1, #all, 2 do
  if #all[i] == 16 then old[#old + 1] = all[i] end
end
table.sort(old)
write('ZADD', replaying_key(), 0, tenant)
for i = 1, #old + 1 - tonumber(ARGV[4]) do write('HDEL', key, old[i]) end
write('HSET', key, 'running', id)
write('HSET', key, id, 'r' .. struct.pack('>I8', 0) .. no_request .. ARGV[3])
keep_replays(key, now, ARGV[5])
return reply({ now, 1 })
