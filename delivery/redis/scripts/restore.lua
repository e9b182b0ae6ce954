#!lua flags=allow-oom
-- restore.lua puts webhooks of a tenant right whose states were lost or do not agree with
-- their records, and the version of the tenant's webhooks if it was lost. The record rules.
--
-- KEYS[1]  the partition
-- ARGV     tenant, then of each webhook: id, record, state ('e' or 'p')
-- Result   now in ms

local tenant = ARGV[1]
local key = webhooks_key(tenant)
local now = now_ms()
local at = read_clock(now).now
for i = 2, #ARGV, 3 do
  local id, record, want = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local ref = tenant .. ':' .. id
  -- Somebody may have changed or deleted it since.
  if read('HGET', key, id) == record then
    local state = want .. string.sub(read_state(ref) or '', 2)
    write('HSET', state_key(), ref, state)
    move(ref, state, at)
  end
end
local version = read('HGET', key, 'version')
if read('EXISTS', key) == 1 and not (version and string.find(version, '^%d+$')) then raise_version(tenant, '') end
return reply({ now })
