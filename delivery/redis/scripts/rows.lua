#!lua flags=no-writes
-- rows.lua reads rows of the log by their ids, without those of deleted webhooks.
--
-- KEYS[1]  the partition
-- ARGV     tenant, then ids of requests
-- Result   now in ms, then for each row that exists: id, row

local seen = seen_by(ARGV[1])
local results = { now_ms() }
for i = 2, #ARGV do
  local id = ARGV[i]
  local row = read('HGET', requests_key(id_bucket(id)), id)
  if seen(row, id) then
    results[#results + 1] = id
    results[#results + 1] = row
  end
end
return reply(results)
