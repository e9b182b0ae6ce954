#!lua flags=no-writes
-- pending.lua counts the pending deliveries of some webhooks.
--
-- KEYS[1]  the partition
-- ARGV     cursor, '0' to begin
-- Result   now in ms, the next cursor, '0' at the end; pending deliveries

local page = read('HSCAN', state_key(), ARGV[1], 'COUNT', 500)
local count = 0
if ARGV[1] == '0' then
  for _, ended in ipairs(read_leases()) do count = count + read('SCARD', leased_key(ended)) end
end
for i = 1, #page[2], 2 do
  count = count + read('ZCARD', pending_key(page[2][i]))
end
return reply({ now_ms(), page[1], count })
