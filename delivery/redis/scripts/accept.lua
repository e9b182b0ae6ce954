#!lua
-- accept.lua stores the events of calls and schedules their deliveries. It is
-- refused as a whole when Redis is full.
--
-- KEYS[1]  the partition
-- ARGV     length of a lease in ms, how long events are kept in ms,
--          number of webhooks, then of each: reference;
--          number n of calls, then of each: tenant, version, number of runs, then of each run of
--          events that have this in common: number of events (2 bytes), look and test (1 each),
--          targets; then of each event: id, record without the received time;
--            look: 0 if no such event can be stored, 1 if it can, 2 if only by a repetition
--            of the call: Redis may run what has timed out after that
--            test: 1 to store the event only
--            targets: 2 bytes each, the webhook's number from 0, plus 32768 to
--            lease the delivery
--          number of events with deliveries that have order keys, then of each: how many
--          arguments behind n its id is, and these targets, which are not among the others:
--          18 bytes each, the webhook's number and the key;
--          then how many bytes a long chunk of the index of events has; then of each tenant:
--          its name, its events in the index, in the order of the calls
-- Result   now in ms; how much later the events count as received; when the leases
--          end; then for each call: 0 if all its events are
--          new, -1 if the tenant's webhooks have another version or a target has no state,
--          else { {for each event: 0 new, -1 duplicate, n > 0 stored before by the
--          same call with n - 1 deliveries}, {numbers of webhooks that got no
--          lease} }

local now = now_ms()
local clock = read_clock(now)
keep_clock(clock)
-- Leases end together, so that there are few sets of them.
local lease_end = math.ceil((clock.now + ARGV[1]) / lease_step) * lease_step
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

-- Runs of events, by number: where their first and last event are in ARGV, in steps of two, and
-- their heads. Numbers in tables of their own, since a table for each takes long.
local run_first, run_last, run_heads, runs = {}, {}, {}, 0
local function look_of(run) return string.byte(run_heads[run], 3) end
local function is_test(run) return string.byte(run_heads[run], 4) == 1 end
local first_target = 5 -- in a head
local order_size = 18 -- of a target with an order key

-- Whether every target has a state. An event whose delivery cannot be scheduled must not be
-- acknowledged.
local function have_states(head)
  for t = first_target, #head, 2 do
    local high, low = string.byte(head, t, t + 1)
    if not states[(high % 128) * 256 + low + 1] then return false end
  end
  return true
end

-- As new_event_span. Nearly all ids are of the same span as the one before.
local span_before, from_ms, to_ms = nil, 0, 0
local function span_of_new(id)
  local ms, version = struct.unpack('>I6B', id)
  if ms >= from_ms and ms < to_ms and version >= 112 and version < 128 then return span_before end
  local span = new_event_span(id, received_ms)
  if span then span_before, from_ms, to_ms = span, span * event_span_ms, (span + 1) * event_span_ms end
  return span
end

-- What is to be looked up: fields of hashes, by span; keys, and the field that each would be.
local in_hashes, keys, fields = {}, {}, {}
local heads -- the beginning of each event that is stored, by its field; nil if there are none

local function plan_look(tenant, id, look)
  local field, span = event_field(tenant, id), span_of_new(id)
  if look == 1 or not span then
    local n = #keys + 1
    keys[n], fields[n] = event_key(tenant, id), field
  end
  span = span or event_span(id)
  if span then collect(in_hashes, span, field) end
end

-- Where an event is stored that does not count any more, by its field: the hash or the key of its
-- own.
local old_hashes, old_keys = {}, {}

-- Remembers an event that is stored, unless it does not count.
local function found(field, event, key, in_hash)
  if check_event(key, in_hash and field, event, swept) then
    heads = heads or {}
    heads[field] = string.sub(event, 1, event_head)
  elseif not in_hash then
    old_keys[field] = key
  end
end

local function look_up()
  for span, of_span in pairs(in_hashes) do
    for i, value in ipairs(read_chunks('HMGET', events_key(span), of_span)) do
      local event, field = unexpired(value, now), of_span[i]
      if event then found(field, event, events_key(span), true) end
      if value and not (heads and heads[field]) then old_hashes[field] = events_key(span) end
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
local function version_of(tenant)
  local version = versions[tenant]
  if not version then
    local key = webhooks_key(tenant)
    version = read('HGET', key, 'version')
    -- A tenant that never had a webhook has none. One that has webhooks has lost it.
    if not version then version = read('EXISTS', key) == 0 and '0' or '' end
    versions[tenant] = version
  end
  return version
end

local call_count = tonumber(ARGV[at])
local calls_at = at
at = at + 1
local tenants, last_runs = {}, { [0] = 0 } -- of calls; a call that is stale has no tenant
local stale = {} -- the tenants of those
for c = 1, call_count do
  local tenant, before = ARGV[at], runs
  local fresh = version_of(tenant) == ARGV[at + 1]
  local last = runs + ARGV[at + 2]
  at = at + 3
  while runs < last do
    runs = runs + 1
    local head = ARGV[at]
    local count = struct.unpack('>I2', head)
    run_heads[runs], run_first[runs], run_last[runs] = head, at + 1, at + 2 * count - 1
    at = at + 2 * count + 1
    fresh = fresh and (all_states or have_states(head))
  end
  last_runs[c] = runs
  if not fresh then
    stale[c] = tenant
  else
    tenants[c] = tenant
    for run = before + 1, runs do
      local look = look_of(run)
      for e = run_first[run], look > 0 and run_last[run] or 0, 2 do plan_look(tenant, ARGV[e], look) end
    end
  end
end
local orders -- targets with order keys, by where the event's id is in ARGV; nil if there are none
local function have_ordered_states(c)
  for run = last_runs[c - 1] + 1, last_runs[c] do
    for e = run_first[run], run_last[run], 2 do
      for t = 1, #(orders[e] or ''), order_size do
        if not states[struct.unpack('>I2', orders[e], t) + 1] then return false end
      end
    end
  end
  return true
end
local orders_end = at + 2 * ARGV[at]
if orders_end > at then
  orders = {}
  for i = at + 1, orders_end, 2 do orders[calls_at + ARGV[i]] = ARGV[i + 1] end
  for c = 1, all_states and 0 or call_count do
    if tenants[c] and not have_ordered_states(c) then stale[c], tenants[c] = tenants[c], nil end
  end
end
at = orders_end + 1
look_up()

local function is_known(c)
  for run = last_runs[c - 1] + 1, last_runs[c] do
    for e = run_first[run], run_last[run], 2 do
      if heads[event_field(tenants[c], ARGV[e])] then return true end
    end
  end
end
-- A call of which an event is there may be a repetition, or have one.
if heads then
  for c in pairs(tenants) do
    for run = last_runs[c - 1] + 1, is_known(c) and last_runs[c] or 0 do
      for e = run_first[run], look_of(run) == 1 and 0 or run_last[run], 2 do plan_look(tenants[c], ARGV[e], 1) end
    end
  end
  look_up()
end

-- Then, decide about each event.
local pending = {} -- for each webhook: scores and ids to add
local leased = {} -- deliveries that are born leased

-- Schedules deliveries to one target. The events' ids are at first to last in list, in steps of
-- step. Returns the webhooks that were to get leases but did not.
local function schedule(high, low, list, first, last, step, refused)
  local w = (high % 128) * 256 + low + 1
  if high >= 128 then
    if is_enabled(states[w]) and not is_slow(states[w]) and not is_limited(states[w]) then
      local n, ref = #leased, refs[w]
      for i = first, last, step do
        n = n + 1
        leased[n] = leased_delivery(list[i], ref)
      end
      return refused
    end
    refused = refused or {}
    refused[w - 1] = true
  end
  local args = pending[w]
  if not args then
    args = {}
    pending[w] = args
  end
  local n = #args
  for i = first, last, step do
    args[n + 1], args[n + 2] = now_text, list[i]
    n = n + 2
  end
  return refused
end

local queued = {} -- for each webhook: ids of events and order keys, one after the other

-- Queues the deliveries of an event, whose id is at e in ARGV, that have order keys.
local function queue(e)
  for t = 1, #orders[e], order_size do
    local w, order = struct.unpack('>I2c16', orders[e], t)
    collect(queued, w + 1, ARGV[e], order)
  end
end

-- What is to be stored: for each span, fields and values of its hash; for each event with a
-- key of its own, where its record is in ARGV. And what is to be removed, so that no id has two
-- events: fields of hashes, and keys.
local hashes, strings = {}, {}
local removed_fields, removed_keys = {}, {}

-- Stores an event whose id is at e in ARGV.
local function store(tenant, e)
  if orders and orders[e] then queue(e) end
  local span, field = span_of_new(ARGV[e]), event_field(tenant, ARGV[e])
  if span then
    collect(hashes, span, field, in_hash .. ARGV[e + 1])
    if old_keys[field] then removed_keys[#removed_keys + 1] = old_keys[field] end
  else
    strings[event_key(tenant, ARGV[e])] = e + 1
    if old_hashes[field] then collect(removed_fields, old_hashes[field], field) end
  end
end

-- Returns what the results say of an event that is stored. Its record begins with the nonce
-- and its place in the call, then the number of deliveries.
local function code_of(head, record)
  if string.sub(head, 14, 31) ~= string.sub(record, 1, 18) then return -1 end
  return struct.unpack('>I2', head, 32) + 1
end

-- Stores the events of a run, some of which are not new. Returns the ids of those that are, and
-- adds to codes.
local function accept_some(tenant, run, codes, count)
  local ids = {}
  for e = run_first[run], run_last[run], 2 do
    local id, record, field = ARGV[e], ARGV[e + 1], event_field(tenant, ARGV[e])
    count = count + 1
    if heads[field] then
      codes[count] = code_of(heads[field], record)
    else
      ids[#ids + 1] = id
      store(tenant, e)
      -- It may be in this run of the script twice.
      heads[field] = received .. string.sub(record, 1, 20)
    end
  end
  return ids
end

local function accept(c)
  local codes, count, refused = {}, 0, nil
  for run = last_runs[c - 1] + 1, last_runs[c] do
    local ids, first, last, step = ARGV, run_first[run], run_last[run], 2
    if heads or look_of(run) == 1 then
      heads = heads or {}
      ids = accept_some(tenants[c], run, codes, count)
      first, last, step = 1, #ids, 1
    else
      for e = first, last, 2 do store(tenants[c], e) end
    end
    local head = run_heads[run]
    for t = first_target, first <= last and not is_test(run) and #head or 0, 2 do
      local high, low = string.byte(head, t, t + 1)
      refused = schedule(high, low, ids, first, last, step, refused)
    end
    count = count + (run_last[run] - run_first[run]) / 2 + 1
  end
  if not next(codes) and not refused then return 0 end
  local list = {}
  for i = 1, count do codes[i] = codes[i] or 0 end
  for w in pairs(refused or {}) do list[#list + 1] = w end
  return { codes, list }
end

local results, all_new = { now, received_ms - now, lease_end }, true
for c = 1, call_count do
  local result = tenants[c] and accept(c) or -1
  results[c + 3] = result
  all_new = all_new and result == 0
end

-- Leaves out of a tenant's events in the index those that are not stored now. See arrived.go.
local function only_new(tenant, events)
  local list, from = {}, 1
  for c = 1, call_count do
    local result = (tenants[c] or stale[c]) == tenant and results[c + 3]
    local n = 0
    for run = last_runs[c - 1] + 1, result and last_runs[c] or 0 do
      for _ = run_first[run], run_last[run], 2 do
        local to = from + 33 + struct.unpack('>I2', events, from + 31)
        n = n + 1
        if result == 0 or result ~= -1 and result[1][n] == 0 then list[#list + 1] = string.sub(events, from, to - 1) end
        from = to
      end
    end
  end
  return table.concat(list)
end

-- Then, write the leases and the schedule. What is there without its event is dropped when it is
-- claimed. A set without a lease would stay for ever.
if #leased > 0 then
  write('ZADD', leases_key(), lease_end_text, lease_end_text)
  in_chunks('SADD', leased_key(lease_end_text), leased)
end
-- Finds the keys and places of deliveries of a webhook, as queued has them. One has a place already
-- if a script broke off.
local function find_places(ref, list)
  local ids, last = {}, {}
  for i = 1, #list, 2 do ids[#ids + 1] = list[i] end
  local found = read_places(ref, ids)
  for i = 1, #ids do
    local order = list[2 * i]
    if not found[i] then
      last[order] = last[order] or string.sub(
        read('ZREVRANGEBYLEX', queue_key(ref), '[' .. order .. string.rep('\255', 25), '[' .. order, 'LIMIT', 0, 1)[1] or '', 17, 24)
      last[order] = place_behind(last[order], clock.now)
      found[i] = order .. last[order]
    end
  end
  return ids, found
end

local places = {}
for w, list in pairs(queued) do
  local ref, ids, found = refs[w], find_places(refs[w], list)
  if not has_queue(states[w]) then
    states[w] = states[w] .. 'q'
    write('HSET', state_key(), ref, states[w])
  end
  if enqueue(ref, states[w], ids, found, clock.now) then collect(places, place_key(states[w]), now_text, ref) end
end
for w, args in pairs(pending) do
  in_chunks('ZADD', pending_key(refs[w]), args)
  local look = look_at(refs[w], states[w])
  collect(places, place_key(states[w]), look and look > clock.now and look or now_text, refs[w])
end
write_latest(places)

-- Last, store the events: from now on, a repetition of a call has nothing to do. Redis would
-- have to work out PXAT from PX for its file, for each event.
flush('HDEL', removed_fields)
for _, key in ipairs(removed_keys) do write('UNLINK', key) end
write_events(hashes)
local expires = string.format('%.0f', expires_ms)
for key, record in pairs(strings) do write('SET', key, received .. ARGV[record], 'PXAT', expires) end

-- What is only for show: the index of events.
local long = tonumber(ARGV[at])
for t = at + 1, #ARGV, 2 do
  local events = all_new and ARGV[t + 1] or only_new(ARGV[t], ARGV[t + 1])
  if events ~= '' then arrive(ARGV[t], events, received_ms, expires_ms, long) end
end
return reply(results)
