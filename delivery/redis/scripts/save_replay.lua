#!lua flags=allow-oom
-- save_replay.lua writes how far a replay has come, if its holder has it. One that was canceled
-- stays canceled, and one that is done is left as it is.
--
-- KEYS[1]  the partition
-- ARGV     tenant, id, holder, 'r' if it is running or 'd' if it is done, when it ended in ms,
--          record, for how long it is held in ms, for how long replays are kept in ms
-- Result   now in ms, its state now, '' if another holder has it

local tenant, id, holder, state = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now, key = now_ms(), replays_key(tenant)
local clock = read_clock(now)
local value = read_replay(tenant, id)
if not value or string.sub(value, 10, replay_head) ~= holder then return reply({ now, '' }) end
local was, ended = string.sub(value, 1, 1), struct.pack('>I8', tonumber(ARGV[5]))
if was == 'c' then state, ended = was, string.sub(value, 2, 9) end
keep_clock(clock)
if state == 'r' then write('ZADD', replaying_key(), clock.now + tonumber(ARGV[7]), tenant) end
if was ~= 'd' then write('HSET', key, id, state .. ended .. holder .. ARGV[6]) end
if was == 'd' then state = was end
if state == 'd' then end_replay(tenant, id) end
keep_replays(key, now, ARGV[8])
return reply({ now, state })
