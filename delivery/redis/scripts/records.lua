-- records.lua continues common.lua: how events, rows of the log and states of deliveries are
-- found, wherever they lie.

-- The span in whose hash an event may lie; nil if its id has another version than 7.
local function event_span(id)
  if #id ~= 16 or math.floor(string.byte(id, 7) / 16) ~= 7 then return nil end
  return event_span_of((struct.unpack('>I6', id)))
end

-- The span in whose hash a new event is to be stored; nil if the event is to have a key of its
-- own, since its id was not made about when it was received: 10 minutes before to 5 after.
local function new_event_span(id, received)
  local span = event_span(id)
  local later = span and (span - event_span_of(received)) * event_span_ms
  return later and later >= -600000 and later <= 300000 and span or nil
end

-- The value of an event in a hash begins with when it expires. Returns the rest, or nil if it
-- has expired; '' cannot be read.
local function unexpired(value, now)
  if value and #value > expiry_size and struct.unpack('>I6', value) <= now then return nil end
  return value and string.sub(value, expiry_size + 1)
end

-- Takes an event out of the way that cannot be read.
local function set_event_aside(key, field, event)
  if read_only then
    note('aside', key, field or '', event, 'no event')
  elseif field then
    set_field_aside(key, field, event, 'no event')
  else
    set_key_aside(key, 'no event')
  end
end

-- Whether an event counts; what cannot be read is taken out of the way. The second result is
-- when it was received.
local function check_event(key, field, event, swept)
  local ms = received_at(event)
  if not ms then set_event_aside(key, field, event) end
  return ms and not is_dropped(ms, swept), ms
end

-- Reads an event. Returns it and when it was received, or nothing if it has expired, is
-- dropped, or cannot be read. Then its id may have been used again, and lie in the other place.
-- The third result is for rewrite_event.
local function read_event(tenant, id, now, swept)
  local span = event_span(id)
  if span then
    local key, field = events_key(span), event_field(tenant, id)
    local value = read('HGET', key, field)
    local event = unexpired(value, now)
    if event then
      local counts, ms = check_event(key, field, event, swept)
      if counts then return event, ms, string.sub(value, 1, expiry_size) end
    end
  end
  local key = event_key(tenant, id)
  local event = read('GET', key)
  if event then
    local counts, ms = check_event(key, nil, event, swept)
    if counts then return event, ms end
  end
end

-- Writes another record of an event where that lies: expiry is read_event's third result. It expires as
-- it would have.
local function rewrite_event(tenant, id, changed, expiry)
  if expiry then
    write('HSET', events_key(event_span(id)), event_field(tenant, id), expiry .. changed)
  else
    write('SET', event_key(tenant, id), changed, 'KEEPTTL')
  end
end

-- Whether an event was erased: its record begins with a version, behind the mark of an array. See
-- package record.
local function is_erased(event) return string.byte(event, event_head + 2) == 3 end

-- Writes events into the hashes of their spans: groups has fields and values by span. What is in
-- no hour would never be swept. Events outlive the log of the hour in which they were received,
-- which may be the one after that of the span, by an hour.
local function write_events(groups)
  local hours, noted = {}, {}
  for span in pairs(groups) do hours[event_span_hour(span)] = true end
  for hour in pairs(hours) do
    noted[#noted + 1] = hour + 2
    noted[#noted + 1] = 'events:' .. hour
  end
  if #noted > 0 then in_chunks('ZADD', hours_key(), noted) end
  for span, args in pairs(groups) do in_chunks('HSET', events_key(span), args) end
end

-- Reads rows of the log by their ids. Returns the rows that exist and the keys that have them,
-- both by id. Earlier versions wrote rows to buckets.
local function read_rows(ids)
  local rows, keys = {}, {}
  for _, place_of in ipairs({ id_slot, id_bucket }) do
    local groups = {}
    for _, id in ipairs(ids) do
      if not rows[id] then collect(groups, requests_key(place_of(id)), id) end
    end
    for key, wanted in pairs(groups) do
      for i, row in ipairs(read_chunks('HMGET', key, wanted)) do
        if row then rows[wanted[i]], keys[wanted[i]] = row, key end
      end
    end
  end
  return rows, keys
end

-- Deliveries that are born leased are not on the schedule. One set has those whose leases end at
-- the same time. claim.lua puts on the schedule what is in the set then. A delivery that is on the
-- schedule has no lease any more, whatever a script that broke off has left in the set.

-- How a set names a delivery.
local function leased_delivery(event, ref) return event .. ref end

-- Reads which of some deliveries have a lease that ends at some time: 1 or 0 for each.
local function read_leased(ended, names) return read_chunks('SMISMEMBER', leased_key(ended), names) end

-- Reads when leases end. There are few such times, since accept.lua rounds them.
local function read_leases() return read('ZRANGE', leases_key(), 0, -1) end

-- Finds the leases of deliveries: when each ends, by its name.
local function find_leases(names)
  local found = {}
  for _, ended in ipairs(#names > 0 and read_leases() or {}) do
    for i, is_leased in ipairs(read_leased(ended, names)) do
      if is_leased == 1 then found[names[i]] = ended end
    end
  end
  return found
end

-- Ends the leases of some deliveries, which are sorted by when that would be.
local function end_leases(names)
  for ended, of in pairs(names) do
    in_chunks('SREM', leased_key(ended), of)
    if read('EXISTS', leased_key(ended)) == 0 then write('ZREM', leases_key(), ended) end
  end
end

-- Reads all deliveries that are in the set of a lease.
local function all_leased(ended) return read('SRANDMEMBER', leased_key(ended), 1000000) end

-- The number of an event type as type_numbers gives it; '' if it has none.
local function type_number(name)
  local number = read_type(read('HGET', types_key(), name))
  return number and struct.pack('>I2', number) or ''
end

-- The state of a delivery that has none and is not on the schedule: that of one that succeeded
-- at once, if its rows are dropped, if there is the row of its first request, or if the index
-- knows of one that was lost; nil otherwise. The ids of the request that it may have had differ
-- only in the milliseconds, which rest follows.
local function implied_state(received, rest, ref, type_bytes)
  local function find(command, key_of, prefix)
    for from = received, received + at_once_ms - 1, 25 do -- most are among the first
      local groups = {}
      for ms = from, from + 24 do collect(groups, slot_of(ms), prefix .. struct.pack('>I6', ms) .. rest) end
      for slot, names in pairs(groups) do
        for i, value in ipairs(read(command, key_of(slot), unpack(names))) do
          -- A row that cannot be read tells of a success, too: a failure leaves a state.
          if value and string.sub(value, row_head, row_head) ~= '0' then return string.sub(names[i], -16) end
        end
      end
    end
  end
  if rest == '' then return nil end -- a test, which is never on the schedule
  -- Rows are dropped an hour before the event is.
  local request = received < read_swept() * hour_ms and no_request or
    find('HMGET', requests_key, '') or
    find('ZMSCORE', function(slot) return log_key(ref, math.floor(slot_hour(slot) / 24)) end, type_bytes .. '1')
  return request and struct.pack('>c1I2I8c16', 's', 1, 0, request)
end

-- Returns a function that reads the state of an event's delivery to a webhook: nil if it was
-- not tried or the webhook does not exist, which the second result tells; the third, whether the
-- delivery waits for others. It is for the webhooks
-- of some arguments: every second one from first to last, and looks through the leases once for
-- all of them. If it is to be thorough, it also reads those of webhooks that do not exist any more,
-- and what a script that broke off has written of a delivery that counts as untried.
local function delivery_reader(tenant, event, type_name, received, of, first, last, thorough)
  local key, type_bytes, leases = deliveries_key(of), type_number(type_name), nil
  local function has_lease(name)
    if not leases then
      local names = {}
      for i = first, last, 2 do names[#names + 1] = leased_delivery(event, raw_ref(tenant, ARGV[i])) end
      leases = find_leases(names)
    end
    return leases[name]
  end
  return function(raw, rest)
    local ref, field = raw_ref(tenant, raw), event .. raw
    if not thorough and read('HEXISTS', state_key(), ref) == 0 then return nil, false end
    local state = read('HGET', key, field)
    if state and not is_delivery(state) then
      set_field_aside(key, field, state, 'no state of a delivery')
      state = nil
    end
    local name = leased_delivery(event, ref)
    local untried = not state or string.byte(state) == 112 and struct.unpack('>I2', state, 2) == 0
    local score = untried and read('ZSCORE', pending_key(ref), event)
    if not state and (thorough or not score and not has_lease(name)) then
      state = implied_state(received, rest, ref, type_bytes)
    end
    return state or nil, true, score and tonumber(score) >= waits
  end
end

-- In which hours, from the first to the last, the state of a delivery can be. An event in the hash of a
-- span was received at most 5 minutes before the time in its id, and 10 after, and a span is 10
-- seconds.
local function attempted_hours(tenant, event)
  local received = tonumber(read('GETRANGE', event_key(tenant, event), 0, 12))
  local earliest, latest = received, received
  if not received then
    local ms = struct.unpack('>I6', event)
    earliest, latest = ms - 310000, ms + 610000
  end
  return math.floor(earliest / hour_ms), math.floor(latest / hour_ms)
end

-- Returns the state of a delivery as it was read, nil if it is none.
local function check_attempted(key, field, state)
  if state and is_delivery(state) then return state end
  if state then set_field_aside(key, field, state, 'no state of a delivery') end
end

-- Reads the state of a delivery without its event; nil if it has none.
local function read_attempted(tenant, event, raw)
  local first, last = attempted_hours(tenant, event)
  for hour = first, last do
    local key = deliveries_key(bucket(hour, event))
    local state = check_attempted(key, event .. raw, read('HGET', key, event .. raw))
    if state then return state end
  end
end

-- Returns a function that tells whether a row of a tenant may be seen: the rows of deleted
-- webhooks are removed step by step, but hidden at once.
local function seen_by(tenant)
  local removing = read('EXISTS', gone_key()) == 1
  local exists = {}
  return function(row, id, key)
    if not row then return false end
    if #row < row_head then
      set_field_aside(key, id, row, 'no row of the log')
      return false
    end
    if not removing then return true end
    local raw = string.sub(row, 25, 40)
    if exists[raw] == nil then
      exists[raw] = read('HEXISTS', state_key(), raw_ref(tenant, raw)) == 1
    end
    return exists[raw]
  end
end

-- The index of a tenant's events is a string for each hour, to which they are appended in the order
-- in which they come. One that has become long is renamed, and becomes a chunk with a number; the
-- one that grows is the last of its hour. Redis copies a string now and then while it grows. How a
-- chunk is called, and its score among the others:
local function chunk_name(hour, number) return number and hour .. ':' .. number or hour end
local function chunk_score(hour, number) return hour * most_chunks + (number or most_chunks - 1) end

-- The number of the next chunk of an hour that is renamed.
local function next_chunk(tenant, hour)
  local last = read('ZREVRANGEBYSCORE', arrivals_key(tenant), chunk_score(hour) - 1, chunk_score(hour, 0), 'LIMIT', 0, 1)[1]
  return last and (tonumber(string.match(last, ':(%d+)$')) or 0) + 1 or 0
end

-- Appends events that were received at the same time to the index, which is only for show. Chunks
-- expire by themselves, when the last event of their hour does. A chunk is long if it has so many
-- bytes.
local function arrive(tenant, events, received, expires, long)
  local hour, size = math.floor(received / hour_ms), struct.pack('>I4', #events)
  local block = size .. struct.pack('>I6', received) .. events .. size
  local chunk, index = arrived_key(tenant, hour), arrivals_key(tenant)
  local length = show('APPEND', chunk, block)
  if not length or length > #block and length < long then return end
  if length == #block then
    local ends = math.ceil(((hour + 1) * hour_ms + expires - received) / 1000)
    show('EXPIREAT', chunk, ends)
    show('ZADD', index, chunk_score(hour), chunk_name(hour))
    if read('PEXPIRETIME', index) < ends * 1000 then show('EXPIREAT', index, ends) end
    local oldest = math.floor((2 * received - expires) / hour_ms) - 1
    local expired = read('ZRANGEBYSCORE', index, '-inf', '(' .. chunk_score(oldest, 0), 'LIMIT', 0, 1000)
    if #expired > 0 then show('ZREM', index, unpack(expired)) end
  end
  if length >= long then
    local number = next_chunk(tenant, hour)
    if show('RENAME', chunk, arrived_key(tenant, chunk_name(hour, number))) then
      show('ZADD', index, chunk_score(hour, number), chunk_name(hour, number))
    end
  end
end
