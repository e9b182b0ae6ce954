#!lua flags=no-writes
-- event.lua reads the states of an event's deliveries.
--
-- KEYS[1]  the partition
-- ARGV     tenant, event's id, bucket of its deliveries, then the 16 bytes of the id
--          of each webhook
-- Result   now in ms, then for each webhook: 0 if it does not exist, else the
--          delivery's record or '' if it has none yet

local tenant, event, of = ARGV[1], ARGV[2], ARGV[3]
local key = deliveries_key(of)
local results = { now_ms() }
for i = 4, #ARGV do
  local raw = ARGV[i]
  if read('HEXISTS', state_key(), raw_ref(tenant, raw)) == 1 then
    local record = read('HGET', key, event .. raw)
    if record and not is_delivery(record) then
      set_field_aside(key, event .. raw, record, 'no state of a delivery')
      record = nil
    end
    results[i - 2] = record or ''
  else
    results[i - 2] = 0
  end
end
return reply(results)
