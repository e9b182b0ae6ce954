#!lua flags=allow-oom
-- delete_webhook.lua removes a webhook and its pending deliveries. It hides its rows of the
-- log, which sweep.lua removes.
--
-- KEYS[1]  the partition
-- ARGV     tenant, webhook's id
-- Result   now in ms, 1 or 0 if there is no such webhook

local tenant, id = ARGV[1], ARGV[2]
local ref = tenant .. ':' .. id
local key = webhooks_key(tenant)
local now = now_ms()
local state = redis.call('HGET', state_key(), ref)
if not state then return { now, 0 } end
redis.call('HDEL', state_key(), ref)
redis.call('HDEL', key, id)
redis.call('HINCRBY', key, 'version', 1)
redis.call('ZREM', place_key(state), ref)
redis.call('UNLINK', pending_key(ref))
-- The score is the newest day that may still have rows.
redis.call('ZADD', gone_key(), math.floor(now / hour_ms / 24) + 1, ref)
return { now, 1 }
