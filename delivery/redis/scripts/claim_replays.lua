#!lua flags=allow-oom
-- claim_replays.lua has replays held that are running and that nobody holds.
--
-- KEYS[1]  the partition
-- ARGV     holder, for how long in ms, how many at most
-- Result   now in ms, then of each: tenant, id, value

local now = now_ms()
local clock = read_clock(now)
keep_clock(clock)
local results = { now }
for _, tenant in ipairs(read('ZRANGEBYSCORE', replaying_key(), '-inf', clock.now, 'LIMIT', 0, ARGV[3])) do
  local id, value = running_replay(tenant)
  if id then
    write('ZADD', replaying_key(), clock.now + tonumber(ARGV[2]), tenant)
    value = string.sub(value, 1, 9) .. ARGV[1] .. string.sub(value, replay_head + 1)
    write('HSET', replays_key(tenant), id, value)
    results[#results + 1], results[#results + 2], results[#results + 3] = tenant, id, value
  else -- it has ended, or is lost
    write('ZREM', replaying_key(), tenant)
  end
end
return reply(results)
