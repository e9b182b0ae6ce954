#!lua
-- accept.lua stores the events of calls and schedules their deliveries. It is
-- refused as a whole when Redis is full.
--
-- KEYS[1]  the partition
-- ARGV     length of a lease in ms, how long events are kept in ms,
--          number of webhooks, then of each: reference;
--          number of calls, then of each: tenant, version, number of events,
--          then of each: id, record without the received time, targets, test
--            targets: 2 bytes each, the webhook's number from 0, plus 32768 to
--            lease the delivery
--            test: '1' to store the event only
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
local expires = string.format('%.0f', now + ARGV[2])
local received_ms = now
if clock.ahead > 0 then
  -- Hours that were swept before the clock was set back still count as swept.
  received_ms = math.max(now, read_swept() * hour_ms)
end
local received = string.format('%013d', received_ms)

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

-- First, find the calls that can be accepted, and whether any of their events exist.
local versions = {}
local calls = tonumber(ARGV[at])
at = at + 1
local keys = {}  -- of all events of calls that can be accepted
local first = {} -- for each such call: its first event, and how many keys come before its own
for c = 1, calls do
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
    local n = #keys
    first[2 * c], first[2 * c + 1] = at + 3, n
    local prefix = event_key(tenant, '')
    for k = 1, count do keys[n + k] = prefix .. ARGV[at + 4 * k - 1] end
  end
  at = at + 3 + 4 * count
end
local some_exist = false
for i = 1, #keys, 1000 do
  some_exist = some_exist or read('EXISTS', unpack(keys, i, math.min(i + 999, #keys))) > 0
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

local new = {} -- for each event to store: where its record is in ARGV
local swept

-- The beginning of the event that has a key in Redis; nil if there is none, or none that
-- counts.
local function stored(key)
  local there = read('GETRANGE', key, 0, event_head - 1)
  if there == '' then return nil end
  local ms = received_at(there)
  if not ms then
    set_key_aside(key, 'no event')
    return nil
  end
  swept = swept or read_swept()
  return not is_dropped(ms, swept) and there or nil
end

local function accept(from, count, keys_before)
  local codes, refused
  for k = 1, count do
    local key, at = keys[keys_before + k], from + 4 * (k - 1)
    local there
    if new[key] then -- it is in this run twice
      there = received .. string.sub(ARGV[new[key]], 1, 20)
    elseif some_exist then
      there = stored(key)
    end
    if not there then
      new[key] = at + 1
      if ARGV[at + 3] ~= '1' then refused = schedule(ARGV[at], ARGV[at + 2], refused) end
    else
      if not codes then
        codes = {}
        for i = 1, count do codes[i] = 0 end
      end
      -- The record begins with the nonce and the event's place in the call, then
      -- the number of deliveries.
      if string.sub(there, 14, 31) == string.sub(ARGV[at + 1], 1, 18) then
        local n = struct.unpack('>I2', there, 32)
        codes[k] = n + 1
      else
        codes[k] = -1
      end
    end
  end
  if not codes and not refused then return 0 end
  if not codes then
    codes = {}
    for i = 1, count do codes[i] = 0 end
  end
  local list = {}
  for w in pairs(refused or {}) do list[#list + 1] = w end
  return { codes, list }
end

local results = { now, received_ms - now, clock.ahead }
for c = 1, calls do
  local from = first[2 * c]
  results[c + 3] = from and accept(from, tonumber(ARGV[from - 1]), first[2 * c + 1]) or -1
end

-- Then, write the schedule. What is on it without its event is dropped when it is claimed.
local places = {}
for w, args in pairs(pending) do
  in_chunks('ZADD', pending_key(refs[w]), args)
  collect(places, place_key(states[w]), earliest[w], refs[w])
end
write_latest(places)

-- Last, store the events: from now on, a repetition of a call has nothing to do. Redis would
-- have to work out PXAT from PX for its file, for each event.
for key, record in pairs(new) do write('SET', key, received .. ARGV[record], 'PXAT', expires) end
return reply(results)
