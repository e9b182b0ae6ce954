#!lua
-- import_events.lua adds events with their deliveries, and skips events that exist. It is
-- refused as a whole when Redis is full.
--
-- KEYS[1]  the partition
-- ARGV     number of webhooks, then the reference of each; how many bytes a long chunk of the
--          index of events has; then for each event: tenant, id, record, when it expires in ms,
--          bucket of its deliveries, deliveries, the event in the index
--            deliveries: for each, the webhook's number from 0 (2 bytes), when it
--            falls due or 0 if it is not scheduled (8), its record (27); if 32768 is
--            added to the number, its order key and place follow (24)
-- Result   now in ms, how many events were added

local now = now_ms()
local clock = read_clock(now)
local refs = {}
for i = 1, tonumber(ARGV[1]) do refs[i] = ARGV[1 + i] end
local states = read_states(refs)
-- The record of a delivery before its first request, which is not stored.
local untouched = 'p' .. string.rep('\0', 26)

local records, hours, pending = {}, {}, {}
local queued = {} -- for each webhook: ids of events, keys and places, one after the other
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
    local k = 1
    while k <= #deliveries do
      local w, due, state = struct.unpack('>I2I8c27', deliveries, k)
      k = k + 37
      local place
      if w >= 32768 then
        place = string.sub(deliveries, k, k + place_size - 1)
        w, k = w - 32768, k + place_size
      end
      w = w + 1
      if states[w] then
        local at = due + clock.ahead
        if state ~= untouched then
          collect(records, deliveries_key(of), id .. raw_id(ref_id(refs[w])), state)
          hours[bucket_hour(of)] = true
          local attempted = struct.unpack('>I2', state, 2) > 0
          if due > 0 and not attempted then tried[bucket_hour(of)] = true end
          if attempted then at = next_attempt(at) end
        end
        if due > 0 then collect(pending, w, at, id) end
        if due > 0 and place then collect(queued, w, id, place) end
      end
    end
  end
end

-- Events outlive the log by an hour, and so do the states of their deliveries.
for hour in pairs(hours) do write('ZADD', hours_key(), hour + 1, 'deliveries:' .. hour) end
-- succeed.lua must not overlook a state of a delivery that would get none.
for hour in pairs(tried) do write('HSET', deliveries_key(hour), 'tried', '') end
flush('HSET', records)
for w, args in pairs(queued) do
  local ref = refs[w]
  if not has_queue(states[w]) then
    states[w] = states[w] .. 'q'
    write('HSET', state_key(), ref, states[w])
  end
  local members, before = {}, {}
  for i = 1, #args, 2 do
    local order = string.sub(args[i + 1], 1, 16)
    before[order] = before[order] or head_of(ref, order)
    members[i], members[i + 1] = '0', args[i + 1] .. args[i]
  end
  in_chunks('HSET', ordered_key(ref), args)
  in_chunks('ZADD', queue_key(ref), members)
  for order, head in pairs(before) do
    if head_of(ref, order) ~= head then write('ZADD', pending_key(ref), 'XX', waits_text, head) end
  end
end
-- Lets those wait among scores and ids of deliveries that are not heads.
local function let_wait(ref, args)
  local ids = {}
  for i = 2, #args, 2 do ids[#ids + 1] = args[i] end
  for i, place in ipairs(read_places(ref, ids)) do
    if place and head_of(ref, string.sub(place, 1, 16)) ~= ids[i] then args[2 * i - 1] = waits_text end
  end
end
for w, args in pairs(pending) do
  if queued[w] then let_wait(refs[w], args) end
  in_chunks('ZADD', pending_key(refs[w]), args)
  for i = 1, #(queued[w] or {}), 2 do promote(refs[w], states[w], string.sub(queued[w][i + 1], 1, 16), clock.now) end
  reschedule(refs[w], states[w], clock.now)
end
write_events(hashes)
for key, e in pairs(strings) do write('SET', key, ARGV[e + 2], 'PXAT', ARGV[e + 3]) end
for _, e in ipairs(arrived) do
  arrive(ARGV[e], ARGV[e + 6], received_at(ARGV[e + 2]), tonumber(ARGV[e + 3]), tonumber(ARGV[#refs + 2]))
end
return reply({ now, added })
