#!lua flags=no-writes
-- webhook_pending.lua counts the pending deliveries of some webhooks.
--
-- KEYS[1]  the partition
-- ARGV     references of the webhooks
-- Result   now in ms, then for each webhook: pending deliveries

local results, places = { now_ms() }, {}
for i, ref in ipairs(ARGV) do
  results[i + 1], places[ref] = read('ZCARD', pending_key(ref)), i + 1
end
for _, ended in ipairs(read_leases()) do
  for _, name in ipairs(all_leased(ended)) do
    local place = places[string.sub(name, 17)]
    if place then results[place] = results[place] + 1 end
  end
end
return reply(results)
