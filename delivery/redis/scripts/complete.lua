#!lua flags=allow-oom
-- complete.lua writes the rows of requests that have ended, and ends or reschedules their
-- deliveries. It skips a request whose row exists, so that the call may be repeated. It
-- works on a full Redis: if an outcome could not be written, its request would be sent
-- again.
--
-- KEYS[1]  the partition
-- ARGV     now in ms, as far as the caller knows, or 0 if there are no next attempts;
--          number of webhooks, then of each: reference, its id's 16 bytes;
--          number of event types, then of each: name;
--          number of counters, then of each: see add_up in common.lua;
--          then for each outcome: number of the webhook from 1, of the type,
--          event's id, bucket of the delivery, request's id, bucket and day of the
--          request, row without its head, response body, end of the lease (0 for
--          none), time of the next attempt (0 for none), attempt, success / test /
--          slow as 3 digits 0 or 1, number of the counter from 1
-- Result   now in ms

local now = now_ms()
local clock = read_clock(now)
keep_clock(clock)
-- How far the caller's times are behind the schedule's clock: by as much as that is ahead
-- of Redis's, unless the caller does not know yet that Redis's clock was set.
local behind = clock.now - ARGV[1]
if math.abs(behind - clock.ahead) < least_step then behind = clock.ahead end
local at = 3
local refs, raws, tenants, states = {}, {}, {}, {}
for i = 1, tonumber(ARGV[2]) do
  refs[i], raws[i], tenants[i] = ARGV[at], ARGV[at + 1], ref_tenant(ARGV[at])
  at = at + 2
end
states = read_chunks('HMGET', state_key(), refs)

local types = {}
local type_count = tonumber(ARGV[at])
for i = 1, type_count do types[i] = ARGV[at + i] end
at = at + 1 + type_count
types = type_numbers(types)

local counters, counts = at + 1, {}
at = counters + 2 * tonumber(ARGV[at])

local width = 14
local last = #ARGV - width + 1

-- First, read everything, once for each key.
local row_ids, records_of, ids_of = {}, {}, {}
for o = at, last, width do
  local w = tonumber(ARGV[o])
  if states[w] then
    local id, request = ARGV[o + 2], ARGV[o + 4]
    collect(row_ids, ARGV[o + 5], request)
    collect(records_of, ARGV[o + 3], id .. raws[w])
    collect(ids_of, w, id)
  end
end
local written, records, scores = {}, {}, {}
for of, ids in pairs(row_ids) do
  for i, row in ipairs(read_chunks('HMGET', requests_key(of), ids)) do
    if row then written[ids[i]] = true end
  end
end
for of, fields in pairs(records_of) do
  for i, record in ipairs(read_chunks('HMGET', deliveries_key(of), fields)) do records[fields[i]] = record end
end
for w, ids in pairs(ids_of) do
  local of = {}
  for i, score in ipairs(read_chunks('ZMSCORE', pending_key(refs[w]), ids)) do
    of[ids[i]] = tonumber(score or nil)
  end
  scores[w] = of
end

-- Then, apply each outcome to what was read.
local rows, bodies, logs, days, ended = {}, {}, {}, {}, {}
local new_records, changed, slowness = {}, {}, {}

local function note(w, o)
  local id, request = ARGV[o + 2], ARGV[o + 4]
  local lease_end, retry_at, attempt = tonumber(ARGV[o + 9]), tonumber(ARGV[o + 10]), tonumber(ARGV[o + 11])
  local success, test, slow = string.byte(ARGV[o + 12], 1, 3)
  success, test, slow = success == 49, test == 49, slow == 49
  local field = id .. raws[w]
  local status, attempts, due, previous = 'p', 0, 0, no_request
  if records[field] then status, attempts, due, previous = struct.unpack('>c1I2I8c16', records[field]) end

  local score = scores[w][id]
  local ends, next_at = false, 0
  if lease_end ~= 0 and score == lease_end then
    attempts = attempt
    if success then
      status, ends = 's', true
    elseif retry_at > 0 then
      status, due, next_at = 'p', retry_at, retry_at
      scores[w][id] = retry_at + behind
    else
      status, ends = 'f', true
    end
    collect(changed, w, id)
  elseif lease_end == 0 then
    if success then
      status, ends = 's', true
      if score then collect(changed, w, id) end
    elseif test then
      status = 'f'
    end
  end
  if ends then scores[w][id] = nil end
  if success then slowness[w] = '' elseif slow then slowness[w] = 's' end

  local record = struct.pack('>c1I2I8c16', status, attempts, due, request)
  records[field] = record
  new_records[field] = ARGV[o + 3]
  return struct.pack('>c16I8', previous, next_at)
end

for o = at, last, width do
  local w, request = tonumber(ARGV[o]), ARGV[o + 4]
  if states[w] and not written[request] then
    written[request] = true
    local head = note(w, o)
    local counter = tonumber(ARGV[o + 13])
    counts[counter] = (counts[counter] or 0) + 1
    local in_bucket, day = ARGV[o + 5], ARGV[o + 6]
    collect(rows, in_bucket, request, head .. ARGV[o + 7])
    collect(ended, tenants[w], request)
    if ARGV[o + 8] ~= '' then collect(bodies, in_bucket, request, ARGV[o + 8]) end
    local of_day = logs[day]
    if not of_day then
      of_day = {}
      logs[day] = of_day
    end
    collect(of_day, w, '0', types[tonumber(ARGV[o + 1])] .. string.sub(ARGV[o + 12], 1, 1) .. request)
  end
end

-- Then, write everything, once for each key, and record for sweep.lua which hours and days
-- have something.
local hours = {}
local function note_hour(kind, of, extra)
  local hour = string.match(of, '^[^:]+')
  hours[kind .. ':' .. hour] = hour + extra
end

local states_of = {}
for field, of in pairs(new_records) do collect(states_of, of, field, records[field]) end
for of, args in pairs(states_of) do
  in_chunks('HSET', deliveries_key(of), args)
  -- Events outlive the log by an hour, and so do the states of their deliveries.
  note_hour('deliveries', of, 1)
end
for of, args in pairs(rows) do
  in_chunks('HSET', requests_key(of), args)
  note_hour('requests', of, 0)
end
for of, args in pairs(bodies) do in_chunks('HSET', bodies_key(of), args) end
for day, of_day in pairs(logs) do
  local names = {}
  for w, members in pairs(of_day) do
    in_chunks('ZADD', log_key(tenants[w], day), members)
    in_chunks('ZADD', log_key(refs[w], day), members)
    names[tenants[w]], names[refs[w]] = true, true
  end
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  in_chunks('SADD', logs_key(day), list)
  days[#days + 1], days[#days + 2] = day, day
end
if #days > 0 then in_chunks('ZADD', days_key(), days) end
local index = {}
for name, hour in pairs(hours) do
  index[#index + 1] = hour
  index[#index + 1] = name
end
if #index > 0 then in_chunks('ZADD', hours_key(), index) end
add_up(counts, counters)

local entry = {}
for tenant, ids in pairs(ended) do
  entry[#entry + 1] = tenant
  entry[#entry + 1] = table.concat(ids)
end
if #entry > 0 then redis.call('XADD', ended_key(), 'MAXLEN', '~', ended_entries, '*', unpack(entry)) end

for w, ids in pairs(changed) do
  local moved, ended = {}, {}
  for _, id in ipairs(ids) do
    local score = scores[w][id]
    if score then
      moved[#moved + 1] = score
      moved[#moved + 1] = id
    else
      ended[#ended + 1] = id
    end
  end
  local key = pending_key(refs[w])
  if #moved > 0 then in_chunks('ZADD', key, moved) end
  if #ended > 0 then in_chunks('ZREM', key, ended) end
end

for w, mark in pairs(slowness) do
  local state = string.sub(states[w], 1, 1) .. mark
  if state ~= states[w] then
    redis.call('ZREM', place_key(states[w]), refs[w])
    redis.call('HSET', state_key(), refs[w], state)
    states[w] = state
    changed[w] = changed[w] or {}
  end
end
for w in pairs(changed) do reschedule(refs[w], states[w], clock.now) end
return now
