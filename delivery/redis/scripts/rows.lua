#!lua flags=no-writes
-- rows.lua reads rows of the log by their ids, without those of webhooks that are gone.
--
-- KEYS[1]  the partition
-- ARGV     tenant, then ids of requests
-- Result   now in ms, then for each row that is there: id, row

local tenant = ARGV[1]
local exists = {}
local function visible(row)
  local raw = string.sub(row, 25, 40)
  if exists[raw] == nil then
    exists[raw] = redis.call('HEXISTS', state_key(), raw_ref(tenant, raw)) == 1
  end
  return exists[raw]
end

local results = { now_ms() }
for i = 2, #ARGV do
  local id = ARGV[i]
  local row = redis.call('HGET', requests_key(id_bucket(id)), id)
  if row and visible(row) then
    results[#results + 1] = id
    results[#results + 1] = row
  end
end
return results
