#!lua flags=allow-oom
-- restore.lua puts webhooks of a tenant right whose states were lost or do not agree with
-- their records, and the version of the tenant's webhooks if it was lost. The record rules.
--
-- KEYS[1]  the partition
-- ARGV     tenant, then of each webhook: id, record, state without 's', its rate or ''
-- Result   now in ms

local tenant = ARGV[1]
local key = webhooks_key(tenant)
local now = now_ms()
local at = read_clock(now).now
for i = 2, #ARGV, 4 do
  local id, record, want, rate = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local ref = tenant .. ':' .. id
  -- Somebody may have changed or deleted it since.
  if read('HGET', key, id) == record then
    local state = want .. (is_slow(read_state(ref) or '') and 's' or '') .. queue_mark(ref)
    set_rate(ref, rate, at * 1000)
    write('HSET', state_key(), ref, state)
    move(ref, state, at)
  end
end
local version = read('HGET', key, 'version')
if read('EXISTS', key) == 1 and not (version and string.find(version, '^%d+$')) then raise_version(tenant, '') end
return reply({ now })
