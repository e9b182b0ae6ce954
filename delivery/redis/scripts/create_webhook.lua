#!lua
-- create_webhook.lua adds a webhook. If it exists, nothing changes.
--
-- KEYS[1]  the partition
-- ARGV     tenant, webhook's id, record, state, its rate or '', most webhooks of a tenant, '1' if the
--          configuration made it, then of each entry of the audit log: id, record
-- Result   now in ms, 1 or 0 if the tenant has the most already

local tenant, id = ARGV[1], ARGV[2]
local ref = tenant .. ':' .. id
local key = webhooks_key(tenant)
local now = now_ms()
if read('HEXISTS', key, id) == 1 then return reply({ now, 1 }) end
local count = read('HLEN', key) - read('HEXISTS', key, 'version')
if count >= tonumber(ARGV[6]) then return reply({ now, 0 }) end
audited(tenant, 8, function()
  -- If it was deleted here and is copied back, its new rows must not be removed.
  write('ZREM', gone_key(), ref)
  set_rate(ref, ARGV[5], read_clock(now).now * 1000)
  write('HSET', state_key(), ref, ARGV[4])
  if ARGV[7] == '1' then write('SADD', declared_key(), ref) end
  raise_version(tenant, id)
  write('HSET', key, id, ARGV[3]) -- from now on, it exists
end)
return reply({ now, 1 })
