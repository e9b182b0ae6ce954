#!lua flags=allow-oom
-- sweep.lua does one small step of housekeeping.
--
-- KEYS[1]  the partition
-- ARGV     retention in ms
-- Result   now in ms, 1 if there is another step to do else 0, an event that is being erased: tenant,
--          a colon and its id, or ''

local now = now_ms()
local rows_per_step = 1000
local hours_per_step = 8
local erasing_per_step = 10

-- Everything in the hours before this one is older than the retention.
local keep_from = math.floor((now - ARGV[1]) / hour_ms)

-- Removes rows of one deleted webhook.
local function remove_rows()
  local job = read('ZRANGE', gone_key(), 0, 0, 'WITHSCORES')
  local ref, newest_day = job[1], job[2]
  if not ref then return false end
  -- If deleting it broke off, it is there.
  if read('HEXISTS', webhooks_key(ref_tenant(ref)), ref_id(ref)) == 1 then
    write('ZREM', gone_key(), ref)
    return true
  end
  local days = read('ZREVRANGEBYSCORE', days_key(), newest_day, '-inf', 'LIMIT', 0, 50)
  for _, day in ipairs(days) do
    local key = log_key(ref, day)
    local members = read('ZRANGE', key, 0, rows_per_step - 1)
    if #members > 0 then
      local fields = {}
      for _, member in ipairs(members) do
        local id = string.sub(member, 4)
        if #id == 16 then
          for _, place in ipairs({ id_slot(id), id_bucket(id) }) do
            collect(fields, requests_key(place), id)
            collect(fields, bodies_key(place), id)
          end
        end
      end
      flush('HDEL', fields)
      in_chunks('ZREM', log_key(ref_tenant(ref), day), members)
      in_chunks('ZREM', key, members)
      write('ZADD', gone_key(), day, ref)
      return true
    end
  end
  if #days < 50 then
    write('UNLINK', pending_key(ref), queue_key(ref), ordered_key(ref)) -- if delete_webhook.lua could not
    write('HDEL', rates_key(), ref)
    write('HDEL', state_key(), ref)
    write('ZREM', gone_key(), ref)
  else
    write('ZADD', gone_key(), (tonumber(days[#days]) or newest_day) - 1, ref)
  end
  return true
end

-- The keys of one kind and hour. Earlier versions wrote rows and bodies to buckets.
local function keys_of(kind, hour)
  local keys = {}
  local function add_rows(place)
    keys[#keys + 1] = requests_key(place)
    keys[#keys + 1] = bodies_key(place)
  end
  if kind == 'deliveries' then
    for low = 0, 15 do keys[low + 1] = deliveries_key(hour .. ':' .. hex[low]) end
    keys[#keys + 1] = deliveries_key(hour)
  elseif kind == 'requests' then
    for low = 0, 15 do add_rows(hour .. ':' .. hex[low]) end
    for ms = 0, hour_ms - 1, slot_ms do add_rows(slot_of(hour * hour_ms + ms)) end
  elseif kind == 'events' then
    for ms = 0, hour_ms - 1, event_span_ms do keys[#keys + 1] = events_key(event_span_of(hour * hour_ms + ms)) end
  end
  return keys
end

-- Drops whole hours: rows, bodies, states of deliveries, and events.
local function drop_hours()
  local names = read('ZRANGEBYSCORE', hours_key(), '-inf', '(' .. keep_from, 'LIMIT', 0, hours_per_step)
  if #names == 0 then return false end
  if keep_from > read_swept() then write('SET', swept_key(), keep_from) end
  keep_clock(read_clock(now)) -- so that accept.lua notices when now is before what was swept
  for _, name in ipairs(names) do
    local keys = keys_of(string.match(name, '^(%a+):(%d+)$'))
    if #keys > 0 then write('UNLINK', unpack(keys)) end
    write('ZREM', hours_key(), name)
  end
  return true
end

-- Drops the index of a day when all of the day is too old. Big keys have no expiry: that
-- would block Redis, and UNLINK does not.
local function drop_days()
  local day = read('ZRANGEBYSCORE', days_key(), '-inf', '(' .. math.floor(keep_from / 24), 'LIMIT', 0, 1)[1]
  if not day then return false end
  local names = read('SRANDMEMBER', logs_key(day), rows_per_step)
  if #names == 0 then
    write('ZREM', days_key(), day)
    return true
  end
  local keys = {}
  for i, name in ipairs(names) do keys[i] = log_key(name, day) end
  write('UNLINK', unpack(keys))
  write('SREM', logs_key(day), unpack(names))
  return true
end

-- Drops deliveries of paused webhooks whose events have expired: an event outlives the log
-- by an hour, and its delivery never falls due before it was received. claim.lua drops
-- those of webhooks that are not paused.
local function drop_waiting()
  local clock = read_clock(now)
  local expired = clock.now - ARGV[1] - hour_ms
  local ref = read('ZRANGEBYSCORE', paused_key(), '-inf', '(' .. expired, 'LIMIT', 0, 1)[1]
  if not ref then return false end
  local state = read_state(ref)
  if not state and read('HEXISTS', webhooks_key(ref_tenant(ref)), ref_id(ref)) == 1 then
    state = 'p' .. queue_mark(ref) -- it was lost
    write('HSET', state_key(), ref, state)
  end
  if not state then
    write('ZREM', paused_key(), ref) -- deleting it broke off
    return true
  end
  local rounds = has_queue(state) and 50 or 1 -- the next of a queue may have expired, too
  for _ = 1, rounds do
    local ids = read('ZRANGEBYSCORE', pending_key(ref), '-inf', '(' .. expired, 'LIMIT', 0, rows_per_step / rounds)
    if #ids == 0 then break end
    if has_queue(state) then dequeue(ref, state, ids, clock.now) end
    write('ZREM', pending_key(ref), unpack(ids))
  end
  move(ref, state, clock.now)
  return true
end

-- Drops entries of an audit log that are too old. Their ids begin with when they were written.
local function drop_audits()
  local oldest = now - ARGV[1]
  local tenant = read('ZRANGEBYSCORE', audits_key(), '-inf', '(' .. oldest, 'LIMIT', 0, 1)[1]
  if not tenant then return false end
  local entries = read('ZRANGEBYLEX', audit_key(tenant), '-', '(' .. struct.pack('>I6', oldest), 'LIMIT', 0, 200)
  keep_audit(tenant, remove_audits(tenant, entries, audit_bytes(tenant)))
  return true
end

-- Finds an event that is being erased, which may have broken off: at random, so that none is in the
-- way of the others.
local function find_erasing()
  for _ = 1, erasing_per_step do
    local event = read('SRANDMEMBER', erasing_key())
    if not event then return '' end
    local is_event = #event > 17 and string.byte(event, -17) == 58
    if is_event and read_event(string.sub(event, 1, -18), string.sub(event, -16), now, read_swept()) then return event end
    if not is_event then keep_aside(erasing_key(), event, '', 'no event') end
    write('SREM', erasing_key(), event)
  end
  return ''
end

local more = remove_rows() or drop_hours() or drop_days() or drop_waiting() or drop_audits()
return reply({ now, more and 1 or 0, find_erasing() })
