#!lua flags=allow-oom
-- take_start.lua takes the next start of a webhook that has a rate, for a request that is not on
-- the schedule.
--
-- KEYS[1]  the partition
-- ARGV     webhook's reference, '1' to take it only if it has come
-- Result   now in ms, then in how many microseconds the start is, 0 if the webhook has no rate, or
--          -1 if it does not exist

local ref = ARGV[1]
local now = now_ms()
local state = read_state(ref)
if not state then return reply({ now, -1 }) end
local start, requests, per
if is_limited(state) then start, requests, per = read_rate(ref) end
if not start then return reply({ now, 0 }) end
local clock = read_clock(now)
local in_time = start - clock.now * 1000
if ARGV[2] == '1' and in_time > 0 then return reply({ now, in_time }) end
keep_clock(clock)
start = take_starts(ref, 1, clock.now * 1000, start, requests, per)
reschedule(ref, state, clock.now)
return reply({ now, start - clock.now * 1000 })
