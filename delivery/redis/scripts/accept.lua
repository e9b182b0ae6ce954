#!lua
-- accept.lua stores the events of calls and schedules their deliveries. It is
-- refused as a whole when Redis is full.
--
-- KEYS[1]  the partition
-- ARGV     length of a lease in ms, how long events are kept in ms,
--          number of webhooks, then of each: reference;
--          number of calls, then of each: tenant, version, number of events,
--          then of each: id, record without the received time, targets, test / look as 2 digits
--            targets: 2 bytes each, the webhook's number from 0, plus 32768 to
--            lease the delivery
--            test: 1 to store the event only
--            look: 0 if no such event can be stored, 1 if it can, 2 if only by a repetition
--            of the call: Redis may run what has timed out after that
-- Result   now in ms; how much later the events count as received; how far the
--          schedule's clock is ahead of now; then for each call: 0 if all its events are
--          new, -1 if the tenant's webhooks have another version or a target has no state,
--          else { {for each event: 0 new, -1 duplicate, n > 0 stored before by the
--          same call with n - 1 deliveries}, {numbers of webhooks that got no
--          lease} }

local now = now_ms()
local clock = read_clock(now)
keep_clock(clock)
local lease_end = clock.now + ARGV[1]
-- Redis is slow at formatting numbers.
local now_text, lease_end_text = string.format('%.0f', clock.now), string.format('%.0f', lease_end)
local expires_ms = now + ARGV[2]
local swept = read_swept()
local received_ms = now
if clock.ahead > 0 then
  -- Hours that were swept before the clock was set back still count as swept.
  received_ms = math.max(now, swept * hour_ms)
end
local received = string.format('%013d', received_ms)
local in_hash = struct.pack('>I6', expires_ms) .. received -- begins the value of an event in a hash

local at = 4
local refs = {}
for i = 1, tonumber(ARGV[3]) do
  refs[i] = ARGV[at]
  at = at + 1
end
local states, all_states = read_states(refs)

-- Whether every target of a call's events has a state. An event whose delivery cannot be
-- scheduled must not be acknowledged.
local function has_states(from, count)
  for k = 0, count - 1 do
    local targets = ARGV[from + 4 * k + 2]
    for t = 1, #targets, 2 do
      local high, low = string.byte(targets, t, t + 1)
      if not states[(high % 128) * 256 + low + 1] then return false end
    end
  end
  return true
end

-- What is to be looked up: fields of hashes, by key; keys, and the field that each would be.
local in_hashes, keys, fields = {}, {}, {}
local heads = {} -- the beginning of each event that is stored, by its field

local function plan_look(tenant, id, look)
  local slot, field = event_slot(id), event_field(tenant, id)
  if slot then collect(in_hashes, events_key(slot), field) end
  if look == 49 or not new_event_slot(id, received_ms) then
    local n = #keys + 1
    keys[n], fields[n] = event_key(tenant, id), field
  end
end

-- Remembers an event that is stored, unless it does not count.
local function found(field, event, key, in_hash)
  local ms = received_at(event)
  if not ms then
    set_event_aside(key, in_hash and field, event)
  elseif not is_dropped(ms, swept) then
    heads[field] = string.sub(event, 1, event_head)
  end
end

local function look_up()
  for key, of_key in pairs(in_hashes) do
    for i, value in ipairs(read_chunks('HMGET', key, of_key)) do
      local event = unexpired(value, now)
      if event then found(of_key[i], event, key, true) end
    end
  end
  for i = 1, #keys, 1000 do
    local last = math.min(i + 999, #keys)
    if read('EXISTS', unpack(keys, i, last)) > 0 then
      for k = i, last do
        local event = read('GETRANGE', keys[k], 0, event_head - 1)
        if event ~= '' then found(fields[k], event, keys[k]) end
      end
    end
  end
  in_hashes, keys, fields = {}, {}, {}
end

-- First, find the calls that can be accepted, and whether any of their events exist.
local versions = {}
local call_count = tonumber(ARGV[at])
at = at + 1
local calls = {} -- those that can be accepted: where their first and last event are in ARGV
for c = 1, call_count do
  local tenant, count = ARGV[at], tonumber(ARGV[at + 2])
  local version = versions[tenant]
  if not version then
    local key = webhooks_key(tenant)
    version = read('HGET', key, 'version')
    -- A tenant that never had a webhook has none. One that has webhooks has lost it.
    if not version then version = read('EXISTS', key) == 0 and '0' or '' end
    versions[tenant] = version
  end
  if version == ARGV[at + 1] and (all_states or has_states(at + 3, count)) then
    calls[c] = { tenant = tenant, first = at + 3, last = at + 4 * count - 1 }
    for e = at + 3, at + 4 * count - 1, 4 do
      local look = string.byte(ARGV[e + 3], 2)
      if look ~= 48 then plan_look(tenant, ARGV[e], look) end
    end
  end
  at = at + 3 + 4 * count
end
look_up()
-- A call of which an event is there may be a repetition, or have one.
if next(heads) then
  for _, call in pairs(calls) do
    local known = false
    for e = call.first, call.last, 4 do known = known or heads[event_field(call.tenant, ARGV[e])] end
    for e = call.first, known and call.last or 0, 4 do
      if string.byte(ARGV[e + 3], 2) ~= 49 then plan_look(call.tenant, ARGV[e], 49) end
    end
  end
  look_up()
end

-- Then, decide about each event.
local pending = {} -- for each webhook: scores and ids to add
local earliest = {} -- for each webhook: one of these scores
local lease_first = lease_end < clock.now

-- Schedules an event's deliveries; returns the webhooks that were to get a lease but did
-- not.
local function schedule(id, targets, refused)
  for k = 1, #targets, 2 do
    local high, low = string.byte(targets, k, k + 1)
    local w = (high % 128) * 256 + low + 1
    local state = states[w]
    local score = now_text
    if high >= 128 then
      if is_enabled(state) and not is_slow(state) then
        score = lease_end_text
      else
        refused = refused or {}
        refused[w - 1] = true
      end
    end
    local args = pending[w]
    if not args then
      args = {}
      pending[w] = args
      earliest[w] = score
    elseif (score == lease_end_text) == lease_first then
      earliest[w] = score
    end
    local n = #args
    args[n + 1] = score
    args[n + 2] = id
  end
  return refused
end

-- What is to be stored: for each slot, fields and values of its hash; for each event with a
-- key of its own, where its record is in ARGV.
local hashes, strings = {}, {}

-- Returns 0 if an event is new, else what the results say of it. The event is at e in ARGV.
local function accept(tenant, e)
  local id = ARGV[e]
  local field = event_field(tenant, id)
  local head = heads[field]
  if not head then
    local slot = new_event_slot(id, received_ms)
    if slot then
      collect(hashes, slot, field, in_hash .. ARGV[e + 1])
    else
      strings[event_key(tenant, id)] = e + 1
    end
    -- It may be in this run twice.
    if string.byte(ARGV[e + 3], 2) == 49 then heads[field] = received .. string.sub(ARGV[e + 1], 1, 20) end
    return 0
  end
  -- The record begins with the nonce and the event's place in the call, then the number of
  -- deliveries.
  if string.sub(head, 14, 31) ~= string.sub(ARGV[e + 1], 1, 18) then return -1 end
  return struct.unpack('>I2', head, 32) + 1
end

local function accept_call(call)
  local codes, refused
  for e = call.first, call.last, 4 do
    local code = accept(call.tenant, e)
    if code ~= 0 then
      codes = codes or {}
      codes[(e - call.first) / 4 + 1] = code
    elseif string.byte(ARGV[e + 3]) ~= 49 then
      refused = schedule(ARGV[e], ARGV[e + 2], refused)
    end
  end
  if not codes and not refused then return 0 end
  local all, list = {}, {}
  for i = 1, (call.last - call.first) / 4 + 1 do all[i] = codes and codes[i] or 0 end
  for w in pairs(refused or {}) do list[#list + 1] = w end
  return { all, list }
end

local results = { now, received_ms - now, clock.ahead }
for c = 1, call_count do results[c + 3] = calls[c] and accept_call(calls[c]) or -1 end

-- Then, write the schedule. What is on it without its event is dropped when it is claimed.
local places = {}
for w, args in pairs(pending) do
  in_chunks('ZADD', pending_key(refs[w]), args)
  collect(places, place_key(states[w]), earliest[w], refs[w])
end
write_latest(places)

-- Last, store the events: from now on, a repetition of a call has nothing to do. Redis would
-- have to work out PXAT from PX for its file, for each event.
write_events(hashes)
local expires = string.format('%.0f', expires_ms)
for key, record in pairs(strings) do write('SET', key, received .. ARGV[record], 'PXAT', expires) end
return reply(results)
