-- queues.lua continues common.lua: deliveries of a webhook that go one at a time. Those with the
-- same key are a queue, in the order of their places; only the first of them, the head, falls due.
-- The others have the score waits in pending. A webhook that has, or had, such deliveries has a
-- mark in its state, so that no other looks here.
--
-- Whoever adds one writes pending, then ordered, then queue, and then has the head fall due; whoever
-- ends one takes it out of queue, has the next head fall due, and then takes it out of ordered and
-- of pending. So after a script that broke off, claim.lua finds one that has ended, and ends it
-- again, or one that is not its queue's head, and lets it wait.

local place_size = 24 -- a key (16) and a place (8)
local place_ms = 1048576 -- places of a millisecond

local function queue_key(ref) return base .. 'queue:' .. ref end
local function ordered_key(ref) return base .. 'ordered:' .. ref end

-- The mark, of a webhook whose state was lost.
local function queue_mark(ref) return read('EXISTS', ordered_key(ref)) == 1 and 'q' or '' end

-- Reads keys and places of deliveries; false for one that goes side by side with others.
local function read_places(ref, ids)
  local places = read_chunks('HMGET', ordered_key(ref), ids)
  for i, id in ipairs(ids) do
    if places[i] and #places[i] ~= place_size then
      set_field_aside(ordered_key(ref), id, places[i], 'no place of a delivery')
      places[i] = false
    end
  end
  return places
end

-- The event of the first delivery of a key, and its member of the queue; nil if there is none.
local function head_of(ref, order)
  local first = read('ZRANGEBYLEX', queue_key(ref), '[' .. order, '+', 'LIMIT', 0, 1)[1]
  if first and string.sub(first, 1, 16) == order then return string.sub(first, place_size + 1), first end
end

-- The same, of what is in pending or has a place there. What has neither is taken out, some of it
-- at a time: it has ended when its place was lost, or it is no delivery.
local function living_head_of(ref, order)
  for _ = 1, 100 do
    local id, member = head_of(ref, order)
    if not id then return nil end
    local score = tonumber(read('ZSCORE', pending_key(ref), id) or nil)
    if score or read('HGET', ordered_key(ref), id) == string.sub(member, 1, place_size) then return id, member, score end
    write('ZREM', queue_key(ref), member)
  end
end

-- Has the head of a key fall due, unless it has, or has a lease. That of a paused webhook counts as
-- due since it was accepted, so that sweep.lua finds it when its event has expired. Returns whether
-- anything has changed. reschedule must follow.
local function promote(ref, state, order, now)
  local id, member, score = living_head_of(ref, order)
  if not id then return false end
  if score and score < waits then return false end
  local due = now
  if not is_enabled(state) then due = math.min(now, math.floor(struct.unpack('>I8', member, 17) / place_ms)) end
  write('ZADD', pending_key(ref), string.format('%.0f', due), id)
  return true
end

-- Takes deliveries that have ended out of their queues, before they are taken off the schedule.
local function dequeue(ref, state, ids, now)
  local members, fields, orders = {}, {}, {}
  for i, place in ipairs(read_places(ref, ids)) do
    if place then
      members[#members + 1], fields[#fields + 1] = place .. ids[i], ids[i]
      orders[string.sub(place, 1, 16)] = true
    end
  end
  in_chunks('ZREM', queue_key(ref), members)
  for order in pairs(orders) do promote(ref, state, order, now) end
  in_chunks('HDEL', ordered_key(ref), fields)
end

-- The place behind another.
local function place_behind(last, now)
  local first = struct.pack('>I8', now * place_ms)
  if last == '' then return first end
  local high, low = struct.unpack('>I4I4', last)
  low = low + 1
  if low == 4294967296 then high, low = high + 1, 0 end
  local next_place = struct.pack('>I4I4', high, low)
  local high_now, low_now = struct.unpack('>I4I4', first)
  if high_now > high or high_now == high and low_now > low then return first end
  return next_place
end

-- Has deliveries wait, each with its key and place, and has those of their keys that are heads now
-- fall due. Returns whether any does.
local function enqueue(ref, state, ids, places, now)
  local scores, fields, members, orders = {}, {}, {}, {}
  for i, id in ipairs(ids) do
    local n = 2 * i - 1
    scores[n], scores[n + 1] = waits_text, id
    fields[n], fields[n + 1] = id, places[i]
    members[n], members[n + 1] = '0', places[i] .. id
    orders[string.sub(places[i], 1, 16)] = true
  end
  in_chunks('ZADD', pending_key(ref), scores)
  in_chunks('HSET', ordered_key(ref), fields)
  in_chunks('ZADD', queue_key(ref), members)
  local promoted = false
  for order in pairs(orders) do promoted = promote(ref, state, order, now) or promoted end
  return promoted
end

-- Lets those deliveries wait that are not heads, which fall due only if a script broke off or an
-- admin did something to them. Returns which of them are heads, or in no queue, as a set.
local function heads_among(ref, state, ids, now)
  local heads = {}
  for i, place in ipairs(#ids > 0 and read_places(ref, ids) or {}) do
    local id, order = ids[i], place and string.sub(place, 1, 16)
    heads[id] = not place or head_of(ref, order) == id
    if not heads[id] then
      write('ZADD', queue_key(ref), '0', place .. id)
      heads[id] = head_of(ref, order) == id
    end
    if not heads[id] then
      write('ZADD', pending_key(ref), waits_text, id)
      promote(ref, state, order, now)
    end
  end
  return heads
end

-- Mends queues of which a key was lost. Of those that wait, up to most get their places again, or
-- fall due if these are lost. Returns how many wait.
local function mend_queues(ref, state, most, now)
  local ids = read('ZRANGEBYSCORE', pending_key(ref), waits_text, '+inf', 'LIMIT', 0, most)
  for i, place in ipairs(#ids > 0 and read_places(ref, ids) or {}) do
    if place then
      write('ZADD', queue_key(ref), '0', place .. ids[i])
      promote(ref, state, string.sub(place, 1, 16), now)
    else
      write('ZADD', pending_key(ref), string.format('%.0f', now), ids[i])
    end
  end
  return #ids
end
