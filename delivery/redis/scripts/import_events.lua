#!lua
-- import_events.lua adds events with their deliveries, and skips events that exist. It is
-- refused as a whole when Redis is full.
--
-- KEYS[1]  the partition
-- ARGV     number of webhooks, then the reference of each; then for each event:
--          tenant, id, record, when it expires in ms, bucket of its deliveries,
--          deliveries
--            deliveries: for each, the webhook's number from 0 (2 bytes), when it
--            falls due or 0 if it is not scheduled (8), its record (27)
-- Result   now in ms, how many events were added

local now = now_ms()
local clock = read_clock(now)
local refs = {}
for i = 1, tonumber(ARGV[1]) do refs[i] = ARGV[1 + i] end
local states = read_states(refs)
-- The record of a delivery before its first request, which is not stored.
local untouched = 'p' .. string.rep('\0', 26)

local records, hours, pending = {}, {}, {}
local new = {} -- for each event to store: where its arguments begin
local added = 0
for e = #refs + 2, #ARGV, 6 do
  local tenant, id, _, _, of, deliveries = unpack(ARGV, e, e + 5)
  local key = event_key(tenant, id)
  if not new[key] and read('EXISTS', key) == 0 then
    new[key] = e
    added = added + 1
    for k = 1, #deliveries, 37 do
      local w, due, state = struct.unpack('>I2I8c27', deliveries, k)
      w = w + 1
      if states[w] then
        if state ~= untouched then
          collect(records, deliveries_key(of), id .. raw_id(ref_id(refs[w])), state)
          hours[bucket_hour(of)] = true
        end
        if due > 0 then collect(pending, w, due + clock.ahead, id) end
      end
    end
  end
end

-- Events outlive the log by an hour, and so do the states of their deliveries.
for hour in pairs(hours) do write('ZADD', hours_key(), hour + 1, 'deliveries:' .. hour) end
flush('HSET', records)
for w, args in pairs(pending) do
  in_chunks('ZADD', pending_key(refs[w]), args)
  reschedule(refs[w], states[w], clock.now)
end
for key, e in pairs(new) do write('SET', key, ARGV[e + 2], 'PXAT', ARGV[e + 3]) end
return reply({ now, added })
