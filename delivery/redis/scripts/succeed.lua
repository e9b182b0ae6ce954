#!lua flags=allow-oom
-- succeed.lua writes what complete.lua would of first attempts that were successes, in far
-- fewer commands: its arguments come sorted by key, so that most go to a command as they are.
--
-- A group has outcomes of one webhook. If anything about it is odd, it is left out as a whole,
-- for complete.lua: a success changes more than this if the webhook is slow, and if a delivery
-- has lost its lease, or has had a request, the outcome may be written in part or as a whole.
-- That the lease holds proves that it is not written as a whole, and nothing else does.
--
-- KEYS[1]  the partition
-- ARGV     number of event types, then of each: name;
--          number of groups, then of each: webhook's reference, end of the lease, day of the
--            requests, number of runs, number n of outcomes, then of each run of outcomes with
--            one event type: number of the type from 1, number of outcomes; then n ids of
--            events, n ids of requests;
--          then three times, for rows, response bodies and deliveries: number of slots or
--            buckets, then of each: slot or bucket, number of fields, group of each field
--            (2 bytes, from 1), then fields with their values;
--          number of hours in which events of deliveries were received that get no state, then
--            these hours;
--          number of hours, then of each: until when it is kept, name;
--          number of counters, then of each: see add_up in common.lua; then for each: group of
--            each request that it counts (2 bytes, from 1)
-- Result   now in ms, then the numbers of the groups that were left out
--
-- A group has at most 1,000 outcomes, so that Lua can unpack it.

local now = now_ms()
local clock = read_clock(now)
keep_clock(clock)

local at = 1
local function next_text()
  at = at + 1
  return ARGV[at - 1]
end
local function next_number() return tonumber(next_text()) end

local types = {}
for i = 1, next_number() do types[i] = next_text() end
types = type_numbers(types, now)

local groups, refs = {}, {}
for g = 1, next_number() do
  local group = { ref = next_text(), lease_end = next_text(), day = next_text() }
  local runs = next_number()
  group.count = next_number()
  group.runs, group.events = at, at + 2 * runs
  group.requests = group.events + group.count
  at = group.requests + group.count
  groups[g], refs[g] = group, group.ref
end

local function next_hashes(key_of)
  local hashes = {}
  for i = 1, next_number() do
    local hash = { key = key_of(next_text()), count = next_number(), groups = next_text(), first = at }
    at = at + 2 * hash.count
    hashes[i] = hash
  end
  return hashes
end
local rows, bodies, deliveries = next_hashes(requests_key), next_hashes(bodies_key), next_hashes(deliveries_key)
local tried = {} -- those of the hours in which some deliveries have a state too early
for _ = 1, next_number() do
  local hour = next_text()
  if read('EXISTS', deliveries_key(hour)) == 1 then tried[#tried + 1] = hour end
end
local hours, hour_count = at + 1, next_number()
at = at + 2 * hour_count
local counters, counter_count = at + 1, next_number()

-- First, find what is to be left out.
local left_out -- the groups; nil if there are none
local results = { now }
local function leave_out(g)
  left_out = left_out or {}
  if not left_out[g] then
    left_out[g] = true
    results[#results + 1] = g
  end
end
local function group_at(numbers, i) return (struct.unpack('>I2', numbers, 2 * i - 1)) end

-- Finds the groups whose deliveries were all born leased, and still are. A lease that has ended is
-- being put on the schedule, which complete.lua knows about.
local is_born = {} -- by group
local born = {} -- names of deliveries by when their leases end, of all groups with such a lease
local function find_born()
  local first = {}
  for g, group in ipairs(groups) do
    local names = born[group.lease_end] or {}
    born[group.lease_end], first[g] = names, #names
    for i = group.events, group.requests - 1 do names[#names + 1] = leased_delivery(ARGV[i], group.ref) end
  end
  local leased, counts = {}, {}
  for ended, names in pairs(born) do
    leased[ended], counts[ended] = tonumber(ended) > clock.now and read_leased(ended, names) or {}, 0
  end
  for g, group in ipairs(groups) do
    local of, count = leased[group.lease_end], 0
    for i = first[g] + 1, first[g] + group.count do count = count + (of[i] or 0) end
    is_born[g] = count == group.count
    if count > 0 and not is_born[g] then leave_out(g) end
    counts[group.lease_end] = counts[group.lease_end] + count
  end
  for ended, count in pairs(counts) do
    if count == 0 and tonumber(ended) > clock.now then born[ended] = nil end
  end
end
local function born_and_written()
  if not left_out then return born end
  local names = {}
  for g, group in ipairs(groups) do
    for i = group.events, born[group.lease_end] and not left_out[g] and group.requests - 1 or 0 do
      collect(names, group.lease_end, leased_delivery(ARGV[i], group.ref))
    end
  end
  return names
end
local function are_leased(group)
  local scores = read('ZMSCORE', pending_key(group.ref), unpack(ARGV, group.events, group.requests - 1))
  for i = 1, group.count do
    if scores[i] ~= group.lease_end then return false end
  end
  return true
end
local function leave_out_known(hashes)
  for _, hash in ipairs(hashes) do
    local fields = {}
    for i = 1, hash.count do fields[i] = ARGV[hash.first + 2 * i - 2] end
    local values = read_chunks('HMGET', hash.key, fields)
    for i = 1, hash.count do
      if values[i] then leave_out(group_at(hash.groups, i)) end
    end
  end
end
-- Whether a delivery has a state whose event was received in an hour. If so, it keeps one.
local function have_states(group, hour)
  local raw, fields = raw_id(ref_id(group.ref)), {}
  for i = group.events, group.requests - 1 do
    collect(fields, deliveries_key(bucket(hour, ARGV[i])), ARGV[i] .. raw)
  end
  for key, names in pairs(fields) do
    for _, state in ipairs(read('HMGET', key, unpack(names))) do
      if state then return true end
    end
  end
  return false
end
local states = read_states(refs)
find_born()
for g, group in ipairs(groups) do
  if not states[g] or is_slow(states[g]) or has_queue(states[g]) or not (is_born[g] or are_leased(group)) then leave_out(g) end
  for _, hour in ipairs(tried) do
    if have_states(group, hour) then leave_out(g) end
  end
end
leave_out_known(rows)
leave_out_known(deliveries)
if #results > #groups then return reply(results) end

-- Then, write everything, once for each key. What is in no hour would never be swept.
local function write_hashes(hashes)
  for _, hash in ipairs(hashes) do
    if not left_out then
      write_range('HSET', hash.key, hash.first, hash.first + 2 * hash.count - 1)
    else
      local args = {}
      for i = 1, hash.count do
        if not left_out[group_at(hash.groups, i)] then
          args[#args + 1] = ARGV[hash.first + 2 * i - 2]
          args[#args + 1] = ARGV[hash.first + 2 * i - 1]
        end
      end
      in_chunks('HSET', hash.key, args)
    end
  end
end
write_range('ZADD', hours_key(), hours, hours + 2 * hour_count - 1)
write_hashes(rows)

-- What is only for show: the index, the counters and the stream.
local function index(group, tenant)
  local members, request = {}, group.requests
  for run = group.runs, group.events - 1, 2 do
    local prefix = types[tonumber(ARGV[run])] .. '1'
    for _ = 1, tonumber(ARGV[run + 1]) do
      local n = #members
      members[n + 1], members[n + 2] = '0', prefix .. ARGV[request]
      request = request + 1
    end
  end
  show('ZADD', log_key(tenant, group.day), unpack(members))
  show('ZADD', log_key(group.ref, group.day), unpack(members))
end
local names, ended = {}, {}
for g, group in ipairs(groups) do
  if not (left_out and left_out[g]) then
    local tenant = ref_tenant(group.ref)
    index(group, tenant)
    collect(names, group.day, tenant, group.ref)
    local ids = table.concat(ARGV, '', group.requests, group.requests + group.count - 1)
    ended[tenant] = (ended[tenant] or '') .. ids
  end
end
for day, of_day in pairs(names) do
  show_chunks('SADD', logs_key(day), of_day)
  show('ZADD', days_key(), day, day)
end
local counts = {}
for n = 1, counter_count do
  local numbers = ARGV[counters + 2 * counter_count + n - 1]
  local count = #numbers / 2
  for i = 1, left_out and #numbers / 2 or 0 do
    if left_out[group_at(numbers, i)] then count = count - 1 end
  end
  if count > 0 then counts[n] = count end
end
add_up(counts, counters)
local entry = {}
for tenant, ids in pairs(ended) do
  local n = #entry
  entry[n + 1], entry[n + 2] = tenant, ids
end
show('XADD', ended_key(), 'MAXLEN', '~', ended_entries, '*', unpack(entry))

-- Last, the deliveries: with this, the outcomes are written.
write_hashes(deliveries)
write_hashes(bodies) -- when their rows can be found by the deliveries: see complete.lua
local function is_claimed(g) return not (is_born[g] or left_out and left_out[g]) end
for g, group in ipairs(groups) do
  if is_claimed(g) then write_range('ZREM', pending_key(group.ref), group.events, group.requests - 1) end
end
local places = new_places()
for g, group in ipairs(groups) do
  if is_claimed(g) then plan_place(places, group.ref, states[g], clock.now) end
end
write_places(places)
end_leases(born_and_written())
return reply(results)
