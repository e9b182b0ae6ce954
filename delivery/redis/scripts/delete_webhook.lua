#!lua flags=allow-oom
-- delete_webhook.lua removes a webhook and its pending deliveries. It hides its rows of the
-- log, which sweep.lua removes.
--
-- KEYS[1]  the partition
-- ARGV     tenant, webhook's id, then of each entry of the audit log: id, record
-- Result   now in ms, 1 or 0 if there is no such webhook

local tenant, id = ARGV[1], ARGV[2]
local ref = tenant .. ':' .. id
local key = webhooks_key(tenant)
local now = now_ms()
if not read_state(ref) and read('HEXISTS', key, id) == 0 then return reply({ now, 0 }) end
audited(tenant, 3, function()
  -- The score is the newest day that may still have rows. sweep.lua removes nothing of a
  -- webhook that exists.
  write('ZADD', gone_key(), math.floor(now / hour_ms / 24) + 1, ref)
  raise_version(tenant, id)
  write('HDEL', key, id)
end)
write('HDEL', state_key(), ref)
-- Now it is gone. claim.lua and sweep.lua remove what may be left.
for _, place in ipairs({ due_key(false), due_key(true), paused_key() }) do show('ZREM', place, ref) end
show('UNLINK', pending_key(ref), queue_key(ref), ordered_key(ref))
show('SREM', declared_key(), ref)
show('HDEL', rates_key(), ref)
for _, ended in ipairs(read_leases()) do
  local names = {}
  for _, name in ipairs(all_leased(ended)) do
    if string.sub(name, 17) == ref then names[#names + 1] = name end
  end
  if #names > 0 then pcall(end_leases, { [ended] = names }) end
end
return reply({ now, 1 })
