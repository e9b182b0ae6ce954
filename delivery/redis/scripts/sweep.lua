#!lua flags=allow-oom
-- sweep.lua does one small step of housekeeping.
--
-- KEYS[1]  the partition
-- ARGV     retention in ms
-- Result   now in ms, 1 if there is another step to do else 0

local now = now_ms()
local rows_per_step = 1000
local hours_per_step = 8

-- Everything in the hours before this one is older than the retention.
local keep_from = math.floor((now - ARGV[1]) / hour_ms)

-- Removes rows of one deleted webhook.
local function remove_rows()
  local job = redis.call('ZRANGE', gone_key(), 0, 0, 'WITHSCORES')
  local ref, newest_day = job[1], job[2]
  if not ref then return false end
  local days = redis.call('ZREVRANGEBYSCORE', days_key(), newest_day, '-inf', 'LIMIT', 0, 50)
  for _, day in ipairs(days) do
    local key = log_key(ref, day)
    local members = redis.call('ZRANGE', key, 0, rows_per_step - 1)
    if #members > 0 then
      local fields = {}
      for _, member in ipairs(members) do
        local id = string.sub(member, 4)
        collect(fields, requests_key(id_bucket(id)), id)
        collect(fields, bodies_key(id_bucket(id)), id)
      end
      flush('HDEL', fields)
      in_chunks('ZREM', log_key(ref_tenant(ref), day), members)
      in_chunks('ZREM', key, members)
      redis.call('ZADD', gone_key(), day, ref)
      return true
    end
  end
  if #days < 50 then
    redis.call('ZREM', gone_key(), ref)
  else
    redis.call('ZADD', gone_key(), days[#days] - 1, ref)
  end
  return true
end

-- Drops whole hours: rows, bodies, and states of deliveries.
local function drop_hours()
  local names = redis.call('ZRANGEBYSCORE', hours_key(), '-inf', '(' .. keep_from, 'LIMIT', 0, hours_per_step)
  if #names == 0 then return false end
  for _, name in ipairs(names) do
    local kind, hour = string.match(name, '^(%a+):(.+)$')
    local keys = {}
    for b = 0, 15 do
      local of = hour .. ':' .. hex[b]
      if kind == 'requests' then
        keys[#keys + 1] = requests_key(of)
        keys[#keys + 1] = bodies_key(of)
      else
        keys[#keys + 1] = deliveries_key(of)
      end
    end
    redis.call('UNLINK', unpack(keys))
    redis.call('ZREM', hours_key(), name)
  end
  if keep_from > read_swept() then redis.call('SET', swept_key(), keep_from) end
  keep_clock(read_clock(now)) -- so that accept.lua notices when now is before what was swept
  return true
end

-- Drops the index of a day when all of the day is too old. Big keys have no expiry: that
-- would block Redis, and UNLINK does not.
local function drop_days()
  local day = redis.call('ZRANGEBYSCORE', days_key(), '-inf', '(' .. math.floor(keep_from / 24), 'LIMIT', 0, 1)[1]
  if not day then return false end
  local names = redis.call('SPOP', logs_key(day), rows_per_step)
  if #names == 0 then
    redis.call('ZREM', days_key(), day)
    return true
  end
  for i, name in ipairs(names) do names[i] = log_key(name, day) end
  redis.call('UNLINK', unpack(names))
  return true
end

-- Drops deliveries of paused webhooks whose events have expired: an event outlives the log
-- by an hour, and its delivery never falls due before it was received. claim.lua drops
-- those of webhooks that are not paused.
local function drop_waiting()
  local clock = read_clock(now)
  local expired = clock.now - ARGV[1] - hour_ms
  local ref = redis.call('ZRANGEBYSCORE', paused_key(), '-inf', '(' .. expired, 'LIMIT', 0, 1)[1]
  if not ref then return false end
  local state = redis.call('HGET', state_key(), ref)
  redis.call('ZREM', paused_key(), ref)
  if not state then return true end -- only if another program wrote here
  local ids = redis.call('ZRANGEBYSCORE', pending_key(ref), '-inf', '(' .. expired, 'LIMIT', 0, rows_per_step)
  if #ids > 0 then redis.call('ZREM', pending_key(ref), unpack(ids)) end
  reschedule(ref, state, clock.now)
  return true
end

local more = remove_rows() or drop_hours() or drop_days() or drop_waiting()
return { now, more and 1 or 0 }
