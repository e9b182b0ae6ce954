#!lua flags=allow-oom
-- update_webhook.lua writes a changed webhook, and pauses or resumes it. It works on a full
-- Redis, where pausing a webhook may help.
--
-- KEYS[1]  the partition
-- ARGV     tenant, webhook's id, record, state ('e' or 'p'), version
-- Result   now in ms, 1 or 0 if there is no such webhook or -1 if the tenant's
--          webhooks have another version

local tenant, id = ARGV[1], ARGV[2]
local ref = tenant .. ':' .. id
local key = webhooks_key(tenant)
local now = now_ms()
local state = redis.call('HGET', state_key(), ref)
if not state then return { now, 0 } end
if redis.call('HGET', key, 'version') ~= ARGV[5] then return { now, -1 } end
redis.call('HSET', key, id, ARGV[3])
redis.call('HINCRBY', key, 'version', 1)
local place = place_key(state)
state = ARGV[4] .. string.sub(state, 2)
redis.call('HSET', state_key(), ref, state)
if place ~= place_key(state) then redis.call('ZREM', place, ref) end
reschedule(ref, state, read_clock(now).now)
return { now, 1 }
