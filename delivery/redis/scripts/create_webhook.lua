#!lua
-- create_webhook.lua adds a webhook. If it exists, nothing changes.
--
-- KEYS[1]  the partition
-- ARGV     tenant, webhook's id, record, state, most webhooks of a tenant
-- Result   now in ms, 1 or 0 if the tenant has the most already

local tenant, id = ARGV[1], ARGV[2]
local key = webhooks_key(tenant)
local now = now_ms()
if redis.call('HEXISTS', key, id) == 1 then return { now, 1 } end
local count = redis.call('HLEN', key) - redis.call('HEXISTS', key, 'version')
if count >= tonumber(ARGV[5]) then return { now, 0 } end
redis.call('HSET', key, id, ARGV[3])
redis.call('HINCRBY', key, 'version', 1)
redis.call('HSET', state_key(), tenant .. ':' .. id, ARGV[4])
-- If it was deleted here and is copied back, its new rows must not be removed.
redis.call('ZREM', gone_key(), tenant .. ':' .. id)
return { now, 1 }
