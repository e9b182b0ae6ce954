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
--          new, -1 if the tenant's webhooks have another version, else
--          { {for each event: 0 new, -1 duplicate, n > 0 stored before by the
--          same call with n - 1 deliveries}, {numbers of webhooks that got no
--          lease} }

local now = now_ms()
local clock = read_clock(now)
keep_clock(clock)
local lease_end = clock.now + ARGV[1]
-- Redis is slow at formatting numbers.
local now_text, lease_end_text = string.format('%.0f', clock.now), string.format('%.0f', lease_end)
local keep = ARGV[2]
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
local states = #refs > 0 and read_chunks('HMGET', state_key(), refs) or {}

local pending = {} -- for each webhook: scores and ids to add
local first = {} -- for each webhook: the earliest of these scores
local lease_first = lease_end < clock.now
local versions = {}

-- Schedules an event's deliveries; returns the webhooks that were to get a lease but did
-- not.
local function schedule(id, targets, refused)
  for k = 1, #targets, 2 do
    local high, low = string.byte(targets, k, k + 1)
    local leased = high >= 128
    local w = (high % 128) * 256 + low + 1
    local state = states[w]
    local score = now_text
    if leased then
      if state and is_enabled(state) and not is_slow(state) then
        score = lease_end_text
      else
        refused = refused or {}
        refused[w - 1] = true
      end
    end
    if state then
      local args = pending[w]
      if not args then
        args = {}
        pending[w] = args
        first[w] = score
      elseif (score == lease_end_text) == lease_first then
        first[w] = score
      end
      local n = #args
      args[n + 1] = score
      args[n + 2] = id
    end
  end
  return refused
end

-- Stores an event unless its id exists; then it returns the beginning of that event.
local function store(key, value)
  if redis.call('SET', key, value, 'NX', 'PX', keep) then return nil end
  local there = redis.call('GETRANGE', key, 0, 32)
  if not is_dropped(there, read_swept()) then return there end
  redis.call('SET', key, value, 'PX', keep)
end

local function accept(tenant, count)
  local codes, refused
  local prefix = event_key(tenant, '')
  for k = 1, count do
    local id, record = ARGV[at], ARGV[at + 1]
    local there = store(prefix .. id, received .. record)
    if not there then
      if ARGV[at + 3] ~= '1' then refused = schedule(id, ARGV[at + 2], refused) end
    else
      if not codes then
        codes = {}
        for i = 1, count do codes[i] = 0 end
      end
      -- The record begins with the nonce and the event's place in the call, then
      -- the number of deliveries.
      if string.sub(there, 14, 31) == string.sub(record, 1, 18) then
        local n = struct.unpack('>I2', there, 32)
        codes[k] = n + 1
      else
        codes[k] = -1
      end
    end
    at = at + 4
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
local calls = tonumber(ARGV[at])
at = at + 1
for c = 1, calls do
  local tenant, version, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  if not versions[tenant] then
    versions[tenant] = redis.call('HGET', webhooks_key(tenant), 'version') or '0'
  end
  if versions[tenant] == version then
    results[c + 3] = accept(tenant, count)
  else
    results[c + 3] = -1
    at = at + 4 * count
  end
end

local places = {}
for w, args in pairs(pending) do
  in_chunks('ZADD', pending_key(refs[w]), args)
  collect(places, place_key(states[w]), first[w], refs[w])
end
for key, set in pairs(places) do
  for i = 1, #set, 2000 do
    redis.call('ZADD', key, 'LT', unpack(set, i, math.min(i + 1999, #set)))
  end
end
return results
