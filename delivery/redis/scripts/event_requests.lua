#!lua flags=no-writes
-- event_requests.lua finds the requests of an event: each delivery refers to its last
-- request, and each request to the one before it.
--
-- KEYS[1]  the partition
-- ARGV     tenant, event's id, bucket of its deliveries, most requests of one
--          delivery, then the 16 bytes of the id of each webhook
-- Result   now in ms, then for each request: id, '1' if it was a success else '0'

local tenant, event, of = ARGV[1], ARGV[2], ARGV[3]
local most = tonumber(ARGV[4])
local results = { now_ms() }
local key = deliveries_key(of)
for i = 5, #ARGV do
  local raw = ARGV[i]
  local record = read('HGET', key, event .. raw)
  if record and is_delivery(record) and read('HEXISTS', state_key(), raw_ref(tenant, raw)) == 1 then
    local id = string.sub(record, 12, 27)
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
end
return reply(results)
