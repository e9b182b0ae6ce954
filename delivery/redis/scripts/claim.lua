#!lua flags=allow-oom
-- claim.lua leases due deliveries, in turn between webhooks.
--
-- KEYS[1]  the partition
-- ARGV     length of a lease in ms, room for deliveries of fast webhooks, of slow
--          ones, '1' to return when a fast one is due, '1' for slow ones, room for one
--          fast webhook, most bytes of payload;
--          then for each webhook that has requests in flight: reference, room
-- Result   now in ms; for how many ms the first fast webhook has been due that was left
--          out although it has room, 0 if there is none; in how many ms anything falls
--          due of webhooks with room, 0 if something is due, -1 if nothing is scheduled;
--          the same of all webhooks; how far the schedule's clock is ahead of now; then for each webhook: its id,
--          tenant, record, 1 if it is slow and 2 more if it may have queues, { for each delivery: the
--          event's id and record, attempts so far, when it fell due }; if it has a rate, the number is in
--          an array, in how many microseconds the first delivery may begin, the others as far apart as
--          the rate asks for

local now = now_ms()
local clock = read_clock(now)
-- While something is scheduled, claims may be all that happens.
if clock.moved and read('EXISTS', due_key(false), due_key(true), leases_key()) > 0 then keep_clock(clock) end
local swept = read_swept()
local lease_end = clock.now + ARGV[1]
local fast_room, slow_room = tonumber(ARGV[2]), tonumber(ARGV[3])
local tell_fast, tell_slow = ARGV[4] == '1', ARGV[5] == '1'
local room_each, bytes_left = tonumber(ARGV[6]), tonumber(ARGV[7])
local room = {}
for i = 8, #ARGV, 2 do room[ARGV[i]] = tonumber(ARGV[i + 1]) end

local claimed = {}
local served = {} -- webhooks that had their turn
local page = 100

local function room_for(ref, slow)
  local n = room[ref] or room_each
  return slow and math.min(n, 1) or n
end

-- How often a delivery was tried; nil if it has ended: a script broke off before it took the
-- delivery off the schedule.
local function attempts_of(event_ms, id, raw)
  local key, field = deliveries_key(bucket(math.floor(event_ms / hour_ms), id)), id .. raw
  local record = read('HGET', key, field)
  if not record then return 0 end
  if not is_delivery(record) then
    set_field_aside(key, field, record, 'no state of a delivery')
    return 0
  end
  if string.byte(record) ~= 112 then return nil end
  return (struct.unpack('>I2', record, 2))
end

-- Returns the event of a scheduled delivery and how often the delivery was tried, or nil
-- if it is to be dropped: its retention has ended, the event was erased, or it cannot be read.
local function find_job(tenant, id, raw)
  local event, ms = read_event(tenant, id, now, swept)
  if not event or is_erased(event) then return nil end
  if not string.find(event, raw, event_head + 1, true) then
    -- Its targets follow the first bytes. Either the id was reused by an event that does
    -- not go to this webhook, or the event is cut.
    note('event', tenant, id, '', '')
    return nil
  end
  local attempts = attempts_of(ms, id, raw)
  if attempts then return event, attempts end
end

-- The deliveries among some due ones that may be leased; nil if all may be.
local function allowed(ref, state, due)
  if not has_queue(state) then return nil end
  local ids = {}
  for i = 1, #due, 2 do ids[#ids + 1] = due[i] end
  if #ids == 0 and (tonumber(read('ZRANGE', pending_key(ref), 0, 0, 'WITHSCORES')[2] or nil) or 0) >= waits then
    mend_queues(ref, state, 100, clock.now)
  end
  return heads_among(ref, state, ids, clock.now)
end

-- Leases up to n due deliveries of a webhook; returns four values for each.
local function lease(ref, state, n)
  local key = pending_key(ref)
  local tenant, raw = ref_tenant(ref), raw_id(ref_id(ref))
  local jobs, leased, dropped = {}, {}, {}
  local due = read('ZRANGEBYSCORE', key, '-inf', clock.now, 'WITHSCORES', 'LIMIT', 0, n)
  local heads = allowed(ref, state, due)
  for i = 1, #due, 2 do
    if bytes_left <= 0 then break end
    local id = due[i]
    local event, attempts
    local waiting = heads and not heads[id]
    if not waiting then event, attempts = find_job(tenant, id, raw) end
    if event then
      local k = #jobs
      jobs[k + 1], jobs[k + 2], jobs[k + 3], jobs[k + 4] = id, event, attempts, math.ceil(due[i + 1]) - clock.ahead
      leased[#leased + 1] = lease_end
      leased[#leased + 1] = id
      bytes_left = bytes_left - #event
    elseif not waiting then
      dropped[#dropped + 1] = id
    end
  end
  if #leased > 0 then in_chunks('ZADD', key, leased) end
  if #dropped > 0 and heads then dequeue(ref, state, dropped, clock.now) end
  if #dropped > 0 then in_chunks('ZREM', key, dropped) end
  return jobs
end

-- Puts a webhook right that is not to be served here: a script broke off, something was
-- lost, or another program wrote here.
local function put_right(ref, slow, state, webhook)
  if not state and webhook then
    -- The caller finds out from the record what the state is. If it cannot, the webhook
    -- has its turn again after a lease.
    note('state', webhooks_key(ref_tenant(ref)), ref_id(ref), webhook, '')
    write('ZADD', due_key(slow), lease_end, ref)
    served[ref] = true
  elseif not state then
    write('ZREM', due_key(slow), ref)
  else
    if not webhook then
      -- What is pending waits, until its retention ends or the record is back.
      state = 'p' .. queue_mark(ref)
      write('HSET', state_key(), ref, state)
    end
    move(ref, state, clock.now)
  end
end

-- Gives one webhook its turn; returns how many deliveries that took.
local function serve(ref, slow, n)
  local state = read_state(ref)
  local webhook = read('HGET', webhooks_key(ref_tenant(ref)), ref_id(ref))
  if not state or not webhook or not is_enabled(state) or is_slow(state) ~= slow then
    put_right(ref, slow, state, webhook)
    return 0
  end
  local start, requests, per
  if is_limited(state) then
    start, requests, per = read_rate(ref)
    if not start then -- it was lost
      put_right(ref, slow, nil, webhook)
      return 0
    end
    n = math.min(n, free_starts(clock.now * 1000, start, requests, per))
  end
  local jobs = n > 0 and lease(ref, state, n) or {}
  local count = #jobs / 4
  local kind = (slow and 1 or 0) + (has_queue(state) and 2 or 0)
  if start and count > 0 then
    kind = { kind, take_starts(ref, count, clock.now * 1000, start, requests, per) - clock.now * 1000 }
  end
  reschedule(ref, state, clock.now, true)
  if count > 0 then
    for _, v in ipairs({ ref_id(ref), ref_tenant(ref), webhook, kind, jobs }) do
      claimed[#claimed + 1] = v
    end
  end
  room[ref] = room_for(ref, slow) - count
  served[ref] = true
  return count
end

-- Serves due webhooks, and skips those without room, however many there are. A webhook
-- that was served goes to the end, behind the offset.
local function take(slow, budget)
  local offset = 0
  while budget > 0 and bytes_left > 0 do
    local refs = read('ZRANGEBYSCORE', due_key(slow), '-inf', clock.now, 'LIMIT', offset, page)
    if #refs == 0 then break end
    for _, ref in ipairs(refs) do
      local n = served[ref] and 0 or math.min(room_for(ref, slow), budget)
      if n <= 0 or bytes_left <= 0 then
        offset = offset + 1
      else
        budget = budget - serve(ref, slow, n)
        if budget <= 0 then break end
      end
    end
  end
end

-- When the first webhook that still has room is due.
local function first_with_room(slow)
  for from = 0, math.huge, page do
    local refs = read('ZRANGE', due_key(slow), from, from + page - 1, 'WITHSCORES')
    if #refs == 0 then return -1 end
    for i = 1, #refs, 2 do
      if room_for(refs[i], slow) > 0 then return tonumber(refs[i + 1]) end
    end
  end
end

-- The state of a webhook, false if it is gone.
local function state_or_record(ref)
  local key, state = webhooks_key(ref_tenant(ref)), read_state(ref)
  local webhook = not state and read('HGET', key, ref_id(ref))
  if not webhook then return state end
  note('state', key, ref_id(ref), webhook, '') -- the state was lost; the caller restores it
  return 'e'
end

-- Puts deliveries that were born leased on the schedule, since their lease has ended. One that is
-- there was put there by a script that broke off.
local function put_back(ended, names)
  local of, places = {}, new_places() -- events, by webhook
  for _, name in ipairs(names) do
    local ref = string.sub(name, 17)
    if string.find(ref, '^[^:]+:%x+%-%x+%-%x+%-%x+%-%x+$') then
      collect(of, ref, ended, string.sub(name, 1, 16))
    else
      keep_aside(leased_key(ended), name, '', 'no delivery')
    end
  end
  for ref, members in pairs(of) do
    local state = state_or_record(ref)
    if state then
      for i = 1, #members, 2000 do
        write('ZADD', pending_key(ref), 'NX', unpack(members, i, math.min(i + 1999, #members)))
      end
      plan_place(places, ref, state, clock.now)
    end
  end
  write_places(places)
  in_chunks('SREM', leased_key(ended), names)
end

-- Does so with some of the leases that have ended. What is left is due.
local function put_ended_back(most)
  for _, ended in ipairs(read('ZRANGEBYSCORE', leases_key(), '-inf', clock.now, 'LIMIT', 0, most)) do
    local names = {}
    if string.find(ended, '^%d+$') then
      names = read('SRANDMEMBER', leased_key(ended), most)
      put_back(ended, names)
    else
      keep_aside(leases_key(), ended, '', 'no end of a lease')
    end
    if #names < most then write('ZREM', leases_key(), ended) end
    most = most - #names
    if most <= 0 then return end
  end
end

put_ended_back(1000)
take(false, fast_room)
take(true, slow_room)
local fast_due = tell_fast and first_with_room(false) or -1
local slow_due = tell_slow and first_with_room(true) or -1
local function first(slow) return tonumber(read('ZRANGE', due_key(slow), 0, 0, 'WITHSCORES')[2] or -1) end
local function earlier(a, b)
  if a < 0 or (b >= 0 and b < a) then return b end
  return a
end
local first_lease = tonumber(read('ZRANGE', leases_key(), 0, 0, 'WITHSCORES')[2] or -1)
local function wait(due) return due < 0 and -1 or math.max(0, math.ceil(due) - clock.now) end
local results = {
  now,
  fast_due < 0 and 0 or math.max(0, clock.now - fast_due),
  wait(earlier(first_lease, earlier(fast_due, slow_due))),
  wait(earlier(first_lease, earlier(first(false), first(true)))),
  clock.ahead,
}
for i = 1, #claimed do results[i + 5] = claimed[i] end
return reply(results)
