#!lua flags=no-writes
-- rows.lua reads rows of the log by their ids.
--
-- KEYS[1]  the partition
-- ARGV     ids of requests
-- Result   now in ms, then for each row that is there: id, row

local results = { now_ms() }
for _, id in ipairs(ARGV) do
  local row = redis.call('HGET', requests_key(id_bucket(id)), id)
  if row then
    results[#results + 1] = id
    results[#results + 1] = row
  end
end
return results
