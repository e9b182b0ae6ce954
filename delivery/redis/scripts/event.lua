#!lua flags=no-writes
-- event.lua reads the states of an event's deliveries.
--
-- KEYS[1]  the partition
-- ARGV     tenant, event's id, type, when it was received in ms, bucket of its deliveries;
--          then of each webhook: the 16 bytes of its id, what follows the time in the id of
--          the delivery's first request, '' for a test
-- Result   now in ms, then for each webhook: 0 if it does not exist, else the
--          delivery's record or '' if it has none yet, 'w' if it has none and waits for others
--          with its order key; of one that waits, a record ends with a 'w', too

local results = { now_ms() }
local read_delivery = delivery_reader(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], 6, #ARGV)
for i = 6, #ARGV, 2 do
  local state, exists, is_waiting = read_delivery(ARGV[i], ARGV[i + 1])
  results[#results + 1] = exists and (state or '') .. (is_waiting and 'w' or '') or 0
end
return reply(results)
