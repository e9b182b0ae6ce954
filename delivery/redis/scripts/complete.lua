#!lua flags=allow-oom
-- complete.lua writes the rows of requests that have ended, and ends or reschedules their
-- deliveries. It works on a full Redis: if an outcome could not be written, its request
-- would be sent again.
--
-- The call may be repeated. A row is written once, with its counters and its entry in the
-- stream. The lease is what tells that the rest is done: it ends last. So if the script
-- breaks off, a repetition does the rest, as long as nobody else has the lease.
--
-- KEYS[1]  the partition
-- ARGV     now in ms, as far as the caller knows, or 0 if there are no next attempts;
--          number of webhooks, then of each: reference, its id's 16 bytes;
--          number of event types, then of each: name;
--          number of counters, then of each: see add_up in common.lua;
--          then for each outcome: number of the webhook from 1, of the type,
--          event's id, bucket of the delivery, request's id, slot and day of the
--          request, row without its head, response body, end of the lease (0 for
--          none), time of the next attempt (0 for none), attempt, success / test /
--          slow / success at once as 4 digits 0 or 1, number of the counter from 1,
--          when the event was received in ms, what follows the time in the id of the
--          delivery's first request, '' for a test
-- Result   now in ms

local now = now_ms()
local clock = read_clock(now)
keep_clock(clock)
-- How far the caller's times are behind the schedule's clock: by as much as that is ahead
-- of Redis's, unless the caller does not know yet that Redis's clock was set.
local behind = clock.now - ARGV[1]
if math.abs(behind - clock.ahead) < least_step then behind = clock.ahead end
local at = 3
local refs, raws, tenants = {}, {}, {}
for i = 1, tonumber(ARGV[2]) do
  refs[i], raws[i], tenants[i] = ARGV[at], ARGV[at + 1], ref_tenant(ARGV[at])
  at = at + 2
end
local states, all_states = read_states(refs)
for i = 1, all_states and 0 or #refs do
  if not states[i] then
    local key = webhooks_key(tenants[i])
    local webhook = read('HGET', key, ref_id(refs[i]))
    if webhook then -- the state was lost; the caller restores it from the record
      note('state', key, ref_id(refs[i]), webhook, '')
      states[i] = 'e' .. queue_mark(refs[i])
    end
  end
end

local types = {}
local type_count = tonumber(ARGV[at])
for i = 1, type_count do types[i] = ARGV[at + i] end
at = at + 1 + type_count
types = type_numbers(types, now)

local counters, counts = at + 1, {}
at = counters + 2 * tonumber(ARGV[at])

local width = 16
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
local heads, records, scores = {}, {}, {} -- heads are those of rows that exist
local leases, over = {}, {} -- when the lease of a delivery ends, by its name; which leases are over
-- Only who sent a request writes its row, so that there is none in a bucket.
for slot, ids in pairs(row_ids) do
  for i, row in ipairs(read_chunks('HMGET', requests_key(slot), ids)) do
    if row then heads[ids[i]] = #row >= row_head and row or string.rep('\0', row_head) end
  end
end
for of, fields in pairs(records_of) do
  for i, record in ipairs(read_chunks('HMGET', deliveries_key(of), fields)) do
    if record and not is_delivery(record) then
      set_field_aside(deliveries_key(of), fields[i], record, 'no state of a delivery')
      record = false
    end
    records[fields[i]] = record
  end
end
for w, ids in pairs(ids_of) do
  local of = {}
  for i, score in ipairs(read_chunks('ZMSCORE', pending_key(refs[w]), ids)) do
    of[ids[i]] = tonumber(score or nil)
  end
  scores[w] = of
end

-- A delivery that was born leased counts as if it were on the schedule until its lease ends. The
-- lease does not count if a script broke off before it ended it: then the delivery is on the
-- schedule, or has ended by another request.
local born, others = {}, {} -- names of deliveries: by when their leases end; of unknown leases
local function is_pending(w, o)
  local record = records[ARGV[o + 2] .. raws[w]]
  return not record or string.byte(record) == 112
end
for o = at, last, width do
  local w = tonumber(ARGV[o])
  if states[w] then collect(born, ARGV[o + 9], leased_delivery(ARGV[o + 2], refs[w])) end
end
born['0'] = nil
for lease_end, names in pairs(born) do
  for i, is_leased in ipairs(read_leased(lease_end, names)) do
    if is_leased == 1 then leases[names[i]] = lease_end end
  end
end
for o = at, last, width do
  local w = tonumber(ARGV[o])
  local name = states[w] and leased_delivery(ARGV[o + 2], refs[w])
  if name and not leases[name] and not scores[w][ARGV[o + 2]] and is_pending(w, o) then others[#others + 1] = name end
end
for name, lease_end in pairs(find_leases(others)) do leases[name] = lease_end end
local heeded = {}
for o = at, last, width do
  local w, id = tonumber(ARGV[o]), ARGV[o + 2]
  local name = states[w] and leased_delivery(id, refs[w])
  local lease_end = not heeded[name] and leases[name]
  if lease_end and (scores[w][id] or not (is_pending(w, o) or string.sub(records[id .. raws[w]], 12) == ARGV[o + 4])) then
    collect(over, lease_end, name)
  elseif lease_end then
    scores[w][id] = tonumber(lease_end)
  end
  if name then heeded[name] = true end
end

-- Finds the state of a delivery that may have succeeded at once.
local function find_state(w, o)
  local id, request, rest = ARGV[o + 2], ARGV[o + 4], ARGV[o + 15]
  local field = id .. raws[w]
  if records[field] or scores[w][id] then return end
  local head = heads[request]
  local succeeded = head and string.sub(head, row_head, row_head) == '1'
  if succeeded and string.sub(request, 7) == rest and ARGV[o + 11] == '1' then
    -- It is a repetition, of which there may be many: it must not take long.
    records[field] = struct.pack('>c1I2I8c16', 's', 1, 0, request)
  else
    records[field] = implied_state(tonumber(ARGV[o + 14]), rest, refs[w], types[tonumber(ARGV[o + 1])])
  end
end

-- Then, apply each outcome to what was read.
local rows, bodies, logs, days, ended = {}, {}, {}, {}, {}
local new_records, changed, slowness = {}, {}, {}
local tried = {} -- hours of deliveries that have a state before their first attempt has ended
local hours = {} -- of which something is written, and until when sweep.lua keeps it
local function note_hour(kind, hour, extra) hours[kind .. ':' .. hour] = hour + extra end

-- Applies an outcome to its delivery. The head is that of the outcome's row if it exists.
-- Returns the head of the row.
local function apply(w, o, head)
  local id, request = ARGV[o + 2], ARGV[o + 4]
  local lease_end, retry_at, attempt = tonumber(ARGV[o + 9]), tonumber(ARGV[o + 10]), tonumber(ARGV[o + 11])
  local success, test, slow, at_once = string.byte(ARGV[o + 12], 1, 4)
  success, test, slow, at_once = success == 49, test == 49, slow == 49, at_once == 49
  local field = id .. raws[w]
  local status, attempts, due, previous = 'p', 0, 0, no_request
  if records[field] then status, attempts, due, previous = struct.unpack('>c1I2I8c16', records[field]) end
  local newest = request
  if head and previous ~= string.sub(head, 1, 16) then newest = previous end

  local score = scores[w][id]
  local ends, next_at = false, 0
  local has_state = records[field] or has_queue(states[w]) or not (at_once and score == lease_end)
  if lease_end ~= 0 and score == lease_end then
    attempts = attempt
    if success then
      status, ends = 's', true
    elseif retry_at > 0 then
      status, due, next_at = 'p', retry_at, retry_at
      scores[w][id] = next_attempt(retry_at + behind)
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

  records[field] = struct.pack('>c1I2I8c16', status, attempts, due, newest)
  if has_state then new_records[field] = ARGV[o + 3] end
  if attempts == 0 and scores[w][id] then tried[bucket_hour(ARGV[o + 3])] = true end
  return struct.pack('>c16I8', previous, next_at)
end

-- Whether a script broke off that had written an outcome's row: then the delivery does not
-- know of the request, or is still scheduled as if it had not been made.
local function is_unfinished(w, o, head)
  local id, lease_end, retry_at = ARGV[o + 2], tonumber(ARGV[o + 9]), tonumber(ARGV[o + 10])
  local score, record = scores[w][id], records[id .. raws[w]]
  local newest = record and string.sub(record, 12) or no_request
  if newest == string.sub(head, 1, 16) then return true end
  if not score then return false end
  if lease_end == 0 then return string.byte(ARGV[o + 12]) == 49 end
  -- A retry that is due may have been claimed, by a lease that ends in the same millisecond.
  return score == lease_end and not (newest == ARGV[o + 4] and retry_at > 0 and retry_at + behind <= clock.now)
end

local function index(w, o)
  local day = ARGV[o + 6]
  local of_day = logs[day]
  if not of_day then
    of_day = {}
    logs[day] = of_day
  end
  collect(of_day, w, '0', types[tonumber(ARGV[o + 1])] .. string.sub(ARGV[o + 12], 1, 1) .. ARGV[o + 4])
end

-- Whether the row of an outcome must have no body: its event was erased, and the lease with it.
-- What a script that broke off has written of it is unwanted.
local swept
local unwanted = {}
local function of_erased(w, o)
  local lease_end = tonumber(ARGV[o + 9])
  if ARGV[o + 8] == '' or lease_end ~= 0 and scores[w][ARGV[o + 2]] == lease_end then return false end
  swept = swept or read_swept()
  local event = read_event(tenants[w], ARGV[o + 2], now, swept)
  return event and is_erased(event)
end

for o = at, last, width do
  local w, request = tonumber(ARGV[o]), ARGV[o + 4]
  local head = heads[request]
  if states[w] then find_state(w, o) end
  if not states[w] then
    -- the webhook is gone
  elseif not head then
    local erased = of_erased(w, o) -- which apply changes
    head = apply(w, o)
    heads[request] = head
    local counter = tonumber(ARGV[o + 13])
    counts[counter] = (counts[counter] or 0) + 1
    collect(rows, ARGV[o + 5], request, head .. ARGV[o + 7])
    collect(ended, tenants[w], request)
    if erased then
      collect(unwanted, bodies_key(ARGV[o + 5]), request)
    elseif ARGV[o + 8] ~= '' then
      collect(bodies, ARGV[o + 5], request, ARGV[o + 8])
    end
    index(w, o)
  else
    if of_erased(w, o) then
      collect(unwanted, bodies_key(ARGV[o + 5]), request)
    elseif ARGV[o + 8] ~= '' then
      collect(bodies, ARGV[o + 5], request, ARGV[o + 8]) -- it may be what is missing
    end
    if is_unfinished(w, o, head) then
      apply(w, o, head)
      index(w, o)
    end
    changed[w] = changed[w] or {} -- its place may be what is missing
  end
end

-- Then, write everything, once for each key. What is in no hour would never be swept.
local states_of = {}
for field, of in pairs(new_records) do collect(states_of, of, field, records[field]) end
-- Events outlive the log by an hour, and so do the states of their deliveries.
for of in pairs(states_of) do note_hour('deliveries', bucket_hour(of), 1) end
for slot in pairs(rows) do note_hour('requests', slot_hour(slot), 0) end
local noted = {}
for name, hour in pairs(hours) do
  noted[#noted + 1] = hour
  noted[#noted + 1] = name
end
if #noted > 0 then in_chunks('ZADD', hours_key(), noted) end
for slot, args in pairs(rows) do in_chunks('HSET', requests_key(slot), args) end

-- What is only for show: the index, the counters and the stream.
for day, of_day in pairs(logs) do
  local names, list = {}, {}
  for w in pairs(of_day) do names[tenants[w]], names[refs[w]] = true, true end
  for name in pairs(names) do list[#list + 1] = name end
  show_chunks('SADD', logs_key(day), list)
  days[#days + 1], days[#days + 2] = day, day
  for w, members in pairs(of_day) do
    show_chunks('ZADD', log_key(tenants[w], day), members)
    show_chunks('ZADD', log_key(refs[w], day), members)
  end
end
if #days > 0 then show_chunks('ZADD', days_key(), days) end
add_up(counts, counters)
local entry = {}
for tenant, ids in pairs(ended) do
  entry[#entry + 1] = tenant
  entry[#entry + 1] = table.concat(ids)
end
if #entry > 0 then show('XADD', ended_key(), 'MAXLEN', '~', ended_entries, '*', unpack(entry)) end

-- Last, the deliveries: with this, the outcomes are written. succeed.lua must not overlook a
-- state of a delivery that would get none.
for hour in pairs(tried) do write('HSET', deliveries_key(hour), 'tried', '') end
for of, args in pairs(states_of) do in_chunks('HSET', deliveries_key(of), args) end
-- A body comes when its row can be found by the delivery: an erasure finds it wherever this breaks off.
for slot, args in pairs(bodies) do in_chunks('HSET', bodies_key(slot), args) end
flush('HDEL', unwanted)
for w, ids in pairs(changed) do
  local moved, done = {}, {}
  for _, id in ipairs(ids) do
    local score, name = scores[w][id], leased_delivery(id, refs[w])
    if leases[name] then collect(over, leases[name], name) end
    if score then
      moved[#moved + 1] = score
      moved[#moved + 1] = id
    else
      done[#done + 1] = id
    end
  end
  local key = pending_key(refs[w])
  if #moved > 0 then in_chunks('ZADD', key, moved) end
  if #done > 0 and has_queue(states[w]) then dequeue(refs[w], states[w], done, clock.now) end
  if #done > 0 then in_chunks('ZREM', key, done) end
end

for w, mark in pairs(slowness) do
  local state = string.match(states[w], '^.r?') .. mark .. (has_queue(states[w]) and 'q' or '')
  if state ~= states[w] then
    write('HSET', state_key(), refs[w], state)
    states[w] = state
    changed[w] = nil
    move(refs[w], state, clock.now)
  end
end
local places = new_places()
for w in pairs(changed) do plan_place(places, refs[w], states[w], clock.now) end
write_places(places)
end_leases(over)
return reply({ now })
