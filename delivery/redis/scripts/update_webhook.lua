#!lua flags=allow-oom
-- update_webhook.lua writes a changed webhook, and pauses or resumes it. It works on a full
-- Redis, where pausing a webhook may help.
--
-- KEYS[1]  the partition
-- ARGV     tenant, webhook's id, record, state without 's', its rate or '', version, '1' if the
--          configuration made it, then of each entry of the audit log: id, record
-- Result   now in ms, 1 or 0 if there is no such webhook or -1 if the tenant's
--          webhooks have another version

local tenant, id = ARGV[1], ARGV[2]
local ref = tenant .. ':' .. id
local key = webhooks_key(tenant)
local now = now_ms()
local old = read_state(ref)
if not old or read('HEXISTS', key, id) == 0 then return reply({ now, 0 }) end
if read('HGET', key, 'version') ~= ARGV[6] then return reply({ now, -1 }) end
local state = ARGV[4] .. (is_slow(old) and 's' or '') .. (has_queue(old) and queue_mark(ref) or '')
local at = read_clock(now).now
-- If this breaks off before the record is written, nothing has changed: whoever reads the
-- new version sees that the state does not agree with the record, and restores it. A rate that
-- changes is missing until then: whoever claims has that of the record restored, whichever it is.
local rate, replaces = plan_rate(ref, ARGV[5], at * 1000)
audited(tenant, 8, function()
  if replaces then write('HDEL', rates_key(), ref) end
  reschedule(ref, state, at)
  if ARGV[7] == '1' then write('SADD', declared_key(), ref) end
  raise_version(tenant, id)
  write('HSET', state_key(), ref, state)
  write('HSET', key, id, ARGV[3])
end)
if rate then show('HSET', rates_key(), ref, rate) end
if is_limited(old) and not is_limited(state) then show('HDEL', rates_key(), ref) end
if place_key(old) ~= place_key(state) then show('ZREM', place_key(old), ref) end
return reply({ now, 1 })
