#!lua flags=no-writes
-- leases.lua reads which deliveries were born leased and have not ended.
--
-- KEYS[1]  the partition
-- Result   now in ms, then for each lease: when it ends as text, { for each delivery: the
--          event's id and the webhook's reference in one }

local results = { now_ms() }
for _, ended in ipairs(read_leases()) do
  local n = #results
  results[n + 1], results[n + 2] = ended, all_leased(ended)
end
return reply(results)
