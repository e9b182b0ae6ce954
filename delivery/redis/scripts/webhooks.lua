#!lua flags=no-writes
-- webhooks.lua reads a tenant's webhooks, with what must agree with them.
--
-- KEYS[1]  the partition
-- ARGV     tenant, then the ids of the webhooks; none for all
-- Result   now in ms, version or '' if there is none, then of each webhook that has a
--          record: id, record, state or ''

local tenant = ARGV[1]
local key = webhooks_key(tenant)
local ids, records = {}, {}
local version = read('HGET', key, 'version') or ''
if #ARGV > 1 then
  for i = 2, #ARGV do ids[i - 1], records[i - 1] = ARGV[i], read('HGET', key, ARGV[i]) end
else
  local all = read('HGETALL', key)
  for i = 1, #all, 2 do
    if all[i] ~= 'version' then ids[#ids + 1], records[#ids + 1] = all[i], all[i + 1] end
  end
end
if version == '' and read('EXISTS', key) == 0 then version = '0' end
local refs = {}
for i, id in ipairs(ids) do refs[i] = tenant .. ':' .. id end
local states = read_states(refs)
local results = { now_ms(), version }
for i, id in ipairs(ids) do
  if records[i] then
    for _, v in ipairs({ id, records[i], states[i] or '' }) do results[#results + 1] = v end
  end
end
return reply(results)
