#!lua flags=allow-oom
-- complete.lua writes the rows of requests that ended, and ends or reschedules
-- their deliveries. A request whose row is there already is passed over, so that
-- the same call may be made again. It works on a full Redis: an outcome that
-- cannot be written is a request that is sent again.
--
-- KEYS[1]  the partition
-- ARGV     number of webhooks, then of each: reference, its id's 16 bytes;
--          number of event types, then of each: name;
--          then for each outcome: number of the webhook from 1, of the type,
--          event's id, hour the event was received, request's id, row after its
--          head, response body, end of the lease (0 without), time of the next
--          attempt (0 for none), attempt, success / test / slow as 3 digits 0 or 1
-- Result   now in ms

local now = now_ms()
local at = 2
local refs, raws, states = {}, {}, {}
for i = 1, tonumber(ARGV[1]) do
  refs[i], raws[i] = ARGV[at], ARGV[at + 1]
  at = at + 2
end
states = read_chunks('HMGET', state_key(), refs)

-- The numbers of event types, new ones included, as 2 bytes. Past 65,534 types
-- all others share the last number.
local function type_numbers(names)
  local numbers = read_chunks('HMGET', types_key(), names)
  local size
  for i, name in ipairs(names) do
    local number = tonumber(numbers[i] or nil)
    if not number then
      size = size or redis.call('HLEN', types_key())
      number = 65535
      if size < 65534 then
        size = size + 1
        number = size
        redis.call('HSET', types_key(), name, number)
      end
    end
    numbers[i] = struct.pack('>I2', number)
  end
  return numbers
end

local types = {}
local type_count = tonumber(ARGV[at])
for i = 1, type_count do types[i] = ARGV[at + i] end
at = at + 1 + type_count
types = type_numbers(types)

local width = 11
local last = #ARGV - width + 1

-- First all reads, one for each key.
local row_ids, records_of, ids_of = {}, {}, {}
for o = at, last, width do
  local w = tonumber(ARGV[o])
  if states[w] then
    local id = ARGV[o + 2]
    collect(row_ids, requests_key(id_bucket(ARGV[o + 4])), ARGV[o + 4])
    collect(records_of, deliveries_key(bucket(ARGV[o + 3], id)), id .. raws[w])
    collect(ids_of, w, id)
  end
end
local written, records, scores = {}, {}, {}
for key, ids in pairs(row_ids) do
  for i, row in ipairs(read_chunks('HMGET', key, ids)) do
    if row then written[ids[i]] = true end
  end
end
for key, fields in pairs(records_of) do
  for i, record in ipairs(read_chunks('HMGET', key, fields)) do records[fields[i]] = record end
end
for w, ids in pairs(ids_of) do
  local of = {}
  for i, score in ipairs(read_chunks('ZMSCORE', pending_key(refs[w]), ids)) do
    of[ids[i]] = tonumber(score or nil)
  end
  scores[w] = of
end

-- Then each outcome in its turn, on what was read.
local rows, bodies, logs, names, hours, days = {}, {}, {}, {}, {}, {}
local new_records, changed, slowness = {}, {}, {}

local function note(w, o)
  local id, request = ARGV[o + 2], ARGV[o + 4]
  local lease_end, retry_at, attempt = tonumber(ARGV[o + 7]), tonumber(ARGV[o + 8]), tonumber(ARGV[o + 9])
  local success, test, slow = string.byte(ARGV[o + 10], 1, 3)
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
      scores[w][id] = retry_at
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
  new_records[field] = deliveries_key(bucket(ARGV[o + 3], id))
  return struct.pack('>c16I8', previous, next_at)
end

for o = at, last, width do
  local w, request = tonumber(ARGV[o]), ARGV[o + 4]
  if states[w] and not written[request] then
    written[request] = true
    local head = note(w, o)
    local hour = id_hour(request)
    local day = math.floor(hour / 24)
    local in_bucket = bucket(hour, request)
    collect(rows, requests_key(in_bucket), request, head .. ARGV[o + 5])
    if ARGV[o + 6] ~= '' then collect(bodies, bodies_key(in_bucket), request, ARGV[o + 6]) end
    local tenant = ref_tenant(refs[w])
    local member = types[tonumber(ARGV[o + 1])] .. string.sub(ARGV[o + 10], 1, 1) .. request
    collect(logs, log_key(tenant, day), 0, member)
    collect(logs, log_key(refs[w], day), 0, member)
    names[day] = names[day] or {}
    names[day][tenant], names[day][refs[w]] = true, true
    hours['requests:' .. hour] = hour
    -- Events outlive the log by an hour, and so do the states of deliveries.
    hours['deliveries:' .. ARGV[o + 3]] = ARGV[o + 3] + 1
    days[day] = day
  end
end

-- Then all writes, one for each key.
for field, key in pairs(new_records) do collect(rows, key, field, records[field]) end
flush('HSET', rows)
flush('HSET', bodies)
flush('ZADD', logs)
for day, of in pairs(names) do
  local list = {}
  for name in pairs(of) do list[#list + 1] = name end
  in_chunks('SADD', logs_key(day), list)
end
local index = {}
for name, hour in pairs(hours) do collect(index, hours_key(), hour, name) end
for day in pairs(days) do collect(index, days_key(), day, day) end
flush('ZADD', index)

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
    redis.call('ZREM', due_key(is_slow(states[w])), refs[w])
    redis.call('HSET', state_key(), refs[w], state)
    states[w] = state
    changed[w] = changed[w] or {}
  end
end
for w in pairs(changed) do reschedule(refs[w], states[w], now) end
return now
