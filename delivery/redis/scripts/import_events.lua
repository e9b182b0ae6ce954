#!lua
-- import_events.lua adds events with their deliveries, and skips events that exist. It is
-- refused as a whole when Redis is full.
--
-- KEYS[1]  the partition
-- ARGV     number of webhooks, then the reference of each; how many bytes a long chunk of the
--          index of events has; then for each event: tenant, id, record, when it expires in ms,
--          bucket of its deliveries, deliveries, the event in the index
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
local tried = {} -- hours of deliveries that have a state before their first attempt has ended
-- What is to be stored: for each span, fields and values of its hash; for each event with a
-- key of its own, where its arguments begin.
local hashes, strings = {}, {}
local new = {} -- by field
local added, arrived = 0, {} -- where the arguments of those begin

local function exists(tenant, id)
  local span, field = event_span(id), event_field(tenant, id)
  return new[field] or span and read('HEXISTS', events_key(span), field) == 1 or
    read('EXISTS', event_key(tenant, id)) == 1
end

for e = #refs + 3, #ARGV, 7 do
  local tenant, id, record, expires, of, deliveries = unpack(ARGV, e, e + 5)
  if not exists(tenant, id) then
    local span, field = new_event_span(id, received_at(record)), event_field(tenant, id)
    new[field] = true
    added = added + 1
    arrived[added] = e
    if span then
      collect(hashes, span, field, struct.pack('>I6', expires) .. record)
    else
      strings[event_key(tenant, id)] = e
    end
    for k = 1, #deliveries, 37 do
      local w, due, state = struct.unpack('>I2I8c27', deliveries, k)
      w = w + 1
      if states[w] then
        if state ~= untouched then
          collect(records, deliveries_key(of), id .. raw_id(ref_id(refs[w])), state)
          hours[bucket_hour(of)] = true
          if due > 0 and struct.unpack('>I2', state, 2) == 0 then tried[bucket_hour(of)] = true end
        end
        if due > 0 then collect(pending, w, due + clock.ahead, id) end
      end
    end
  end
end

-- Events outlive the log by an hour, and so do the states of their deliveries.
for hour in pairs(hours) do write('ZADD', hours_key(), hour + 1, 'deliveries:' .. hour) end
-- succeed.lua must not overlook a state of a delivery that would get none.
for hour in pairs(tried) do write('HSET', deliveries_key(hour), 'tried', '') end
flush('HSET', records)
for w, args in pairs(pending) do
  in_chunks('ZADD', pending_key(refs[w]), args)
  reschedule(refs[w], states[w], clock.now)
end
write_events(hashes)
for key, e in pairs(strings) do write('SET', key, ARGV[e + 2], 'PXAT', ARGV[e + 3]) end
for _, e in ipairs(arrived) do
  arrive(ARGV[e], ARGV[e + 6], received_at(ARGV[e + 2]), tonumber(ARGV[e + 3]), tonumber(ARGV[#refs + 2]))
end
return reply({ now, added })
