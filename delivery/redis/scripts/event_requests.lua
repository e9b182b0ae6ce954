#!lua flags=no-writes
-- event_requests.lua finds the requests of an event: each delivery refers to its last
-- request, and each request to the one before it.
--
-- KEYS[1]  the partition
-- ARGV     tenant, event's id, type, when it was received in ms, bucket of its deliveries,
--          most requests of one delivery; then of each webhook: the 16 bytes of its id, what
--          follows the time in the id of the delivery's first request, '' for a test
-- Result   now in ms, then for each request: id, '1' if it was a success else '0'

local most = tonumber(ARGV[6])
local results = { now_ms() }
local read_delivery = delivery_reader(ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5])
for i = 7, #ARGV, 2 do
  local state = read_delivery(ARGV[i], ARGV[i + 1])
  local id = state and string.sub(state, 12) or no_request
  for _ = 1, most do
    if id == no_request then break end
    local row = read_rows({ id })[id]
    -- Either it is older than the retention, as are those before it, or it cannot be read.
    if not row or #row < row_head then break end
    results[#results + 1] = id
    results[#results + 1] = string.sub(row, 57, 57)
    id = string.sub(row, 1, 16)
  end
end
return reply(results)
