#!lua flags=no-writes
-- webhook_page.lua reads some webhooks of a tenant.
--
-- KEYS[1]  the partition
-- ARGV     tenant, cursor, '0' to begin; about how many
-- Result   now in ms, the version of the tenant's webhooks, the next cursor, '0' at the end; then
--          of each webhook: id, record, state or '' if it has none

local tenant, now = ARGV[1], now_ms()
local page = read('HSCAN', webhooks_key(tenant), ARGV[2], 'COUNT', ARGV[3])
local ids, records = {}, {}
for i = 1, #page[2], 2 do
  if page[2][i] ~= 'version' then
    ids[#ids + 1], records[#records + 1] = page[2][i], page[2][i + 1]
  end
end
return reply(add_webhooks({ now, webhooks_version(tenant), page[1] }, tenant, ids, records))
