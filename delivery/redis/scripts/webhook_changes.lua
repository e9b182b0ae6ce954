#!lua flags=no-writes
-- webhook_changes.lua reads which webhooks of a tenant have changed since a version.
--
-- KEYS[1]  the partition
-- ARGV     tenant, version
-- Result   now in ms, the version of the tenant's webhooks, 1 or 0 if it is not known what has
--          changed; then of each webhook that has: id, record or '' if it does not exist, state
--          or '' if it has none

local tenant, since, now = ARGV[1], ARGV[2], now_ms()
local key, changes = webhooks_key(tenant), changes_key(tenant)
local version = webhooks_version(tenant)
if version == since then return reply({ now, version, 1 }) end
-- The store had this version, and not only the same number before it lost the last ones, if the
-- change to it is there.
if read('ZRANGE', changes, -1, -1, 'WITHSCORES')[2] ~= version
  or #read('ZRANGEBYSCORE', changes, since, since) == 0 then
  return reply({ now, version, 0 })
end
local ids, seen = {}, {}
for _, change in ipairs(read('ZRANGEBYSCORE', changes, '(' .. since, '+inf')) do
  local id = string.match(change, ':(.+)$')
  if id and not seen[id] then
    seen[id] = true
    ids[#ids + 1] = id
  end
end
return reply(add_webhooks({ now, version, 1 }, tenant, ids, #ids > 0 and read_chunks('HMGET', key, ids) or {}))
