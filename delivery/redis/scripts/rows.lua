#!lua flags=no-writes
-- rows.lua reads rows of the log by their ids, without those of deleted webhooks.
--
-- KEYS[1]  the partition
-- ARGV     tenant, then ids of requests
-- Result   now in ms, then for each row that exists: id, row

local seen = seen_by(ARGV[1])
local results = { now_ms() }
local ids = {}
for i = 2, #ARGV do ids[i - 1] = ARGV[i] end
local rows, keys = read_rows(ids)
for _, id in ipairs(ids) do
  if seen(rows[id], id, keys[id]) then
    results[#results + 1] = id
    results[#results + 1] = rows[id]
  end
end
return reply(results)
