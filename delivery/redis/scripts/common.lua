-- common.lua is part of every script. KEYS[1] is the base of one partition,
-- "<prefix>:{<p>}:". All keys of the partition begin with it, so that they are in one slot;
-- keys.go describes them. KEYS[2] is not used; scripts.go says why it is there.

local base = KEYS[1]

local function due_key(slow) return base .. (slow and 'due:slow' or 'due') end
local function pending_key(ref) return base .. 'pending:' .. ref end
local function state_key() return base .. 'state' end
local function webhooks_key(tenant) return base .. 'webhooks:' .. tenant end
local function event_key(tenant, id) return base .. 'event:' .. tenant .. ':' .. id end
local function deliveries_key(bucket) return base .. 'deliveries:' .. bucket end
local function requests_key(bucket) return base .. 'requests:' .. bucket end
local function bodies_key(bucket) return base .. 'bodies:' .. bucket end
-- name is a tenant or the reference of a webhook.
local function log_key(name, day) return base .. 'log:' .. name .. ':' .. day end
local function logs_key(day) return base .. 'logs:' .. day end
local function types_key() return base .. 'types' end
local function hours_key() return base .. 'hours' end
local function days_key() return base .. 'days' end
local function swept_key() return base .. 'swept' end
local function paused_key() return base .. 'paused' end
local function gone_key() return base .. 'gone' end
local function ended_key() return base .. 'ended' end
local function clock_key() return base .. 'clock' end

local hour_ms = 3600000
local least_step = 5000 -- as in package clockstep
local ended_entries = 1000 -- at least
local stats_hours = 192 -- for how long stats are kept: delivery.StatsKept
local no_request = string.rep('\0', 16)

-- Redis's clock, in milliseconds, by which times are stored.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Reads the schedule's clock, by which deliveries fall due and leases end. It is the same
-- as Redis's until that is set back. Then it continues from where it was, and stays ahead
-- by that much.
local function read_clock(now)
  local kept, last, ahead = redis.call('GET', clock_key()), 0, 0
  if kept and #kept == 16 then last, ahead = struct.unpack('>I8I8', kept) end
  local moved = now + ahead - last
  if moved < 0 then ahead = ahead - moved end
  return { now = now + ahead, ahead = ahead, moved = moved < 0 or moved >= 1000 }
end

-- Stores what the schedule's clock says, to the second.
local function keep_clock(clock)
  if clock.moved then redis.call('SET', clock_key(), struct.pack('>I8I8', clock.now, clock.ahead)) end
end

-- The bucket of an hour, and of the low four bits of an id.
local hex = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f' }
local function bucket(hour, id) return hour .. ':' .. hex[string.byte(id, 16) % 16] end

-- The hour, and the bucket, of an id of version 7.
local function id_hour(id) return math.floor(struct.unpack('>I6', id) / hour_ms) end
local function id_bucket(id) return bucket(id_hour(id), id) end

-- The first 13 bytes of an event are when it was received.
local function delivery_bucket(event, id)
  return bucket(math.floor(tonumber(string.sub(event, 1, 13)) / hour_ms), id)
end

-- An event is older than the retention if the states of its deliveries have been swept. It
-- may still be there until it expires, if the retention was shortened.
local function read_swept() return tonumber(redis.call('GET', swept_key()) or 0) end
local function is_dropped(event, swept)
  return math.floor(tonumber(string.sub(event, 1, 13)) / hour_ms) + 1 < swept
end

-- A reference is "<tenant>:<the webhook's id as text>".
local function ref_tenant(ref) return string.sub(ref, 1, -38) end
local function ref_id(ref) return string.sub(ref, -36) end

-- The 16 bytes of an id, from its text.
local function raw_id(text)
  return (string.gsub(string.gsub(text, '-', ''), '%x%x', function(h)
    return string.char(tonumber(h, 16))
  end))
end

-- The reference of a tenant's webhook, from the 16 bytes of its id.
local function raw_ref(tenant, raw)
  local h = string.gsub(raw, '.', function(c) return string.format('%02x', string.byte(c)) end)
  return tenant .. ':' .. string.sub(h, 1, 8) .. '-' .. string.sub(h, 9, 12) .. '-' ..
    string.sub(h, 13, 16) .. '-' .. string.sub(h, 17, 20) .. '-' .. string.sub(h, 21)
end

-- The state of a webhook is 'e' (enabled) or 'p' (paused), followed by 's' if the webhook
-- is slow. A webhook without a state does not exist.
local function is_enabled(state) return string.byte(state) == 101 end
local function is_slow(state) return #state > 1 end

-- The key that has the place of a webhook with pending deliveries.
local function place_key(state)
  return is_enabled(state) and due_key(is_slow(state)) or paused_key()
end

-- Calls command(key, ...) with as many arguments at a time as Lua can unpack. That number
-- is even, so that pairs stay together.
local function in_chunks(command, key, args)
  for i = 1, #args, 2000 do
    redis.call(command, key, unpack(args, i, math.min(i + 1999, #args)))
  end
end

-- Reads fields or scores in the same way.
local function read_chunks(command, key, fields)
  if #fields <= 1000 then return redis.call(command, key, unpack(fields)) end
  local values = {}
  for i = 1, #fields, 1000 do
    local part = redis.call(command, key, unpack(fields, i, math.min(i + 999, #fields)))
    for j = 1, #part do values[i + j - 1] = part[j] end
  end
  return values
end

-- Collects the arguments of one variadic command for each key.
local function collect(groups, key, a, b)
  local args = groups[key]
  if not args then
    args = {}
    groups[key] = args
  end
  local n = #args
  args[n + 1] = a
  if b then args[n + 2] = b end -- assigning nil would grow the table
end

local function flush(command, groups)
  for key, args in pairs(groups) do in_chunks(command, key, args) end
end

-- The numbers of event types, as 2 bytes. New types get new numbers; after 65,534 types,
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

-- Must follow every change of pending:<ref>. It sets the webhook's place to when its first
-- delivery is due, if it has any. An overdue webhook keeps its place among the others,
-- unless it just had its turn: then it goes to the end.
local function reschedule(ref, state, now, had_turn)
  local key = place_key(state)
  local head = redis.call('ZRANGE', pending_key(ref), 0, 0, 'WITHSCORES')[2]
  if not head then
    redis.call('ZREM', key, ref)
  elseif tonumber(head) > now or not is_enabled(state) then
    redis.call('ZADD', key, head, ref)
  elseif had_turn then
    redis.call('ZADD', key, now, ref)
  else
    redis.call('ZADD', key, 'LT', now, ref)
  end
end

-- Returns a function that tells whether a row of a tenant may be seen: the rows of deleted
-- webhooks are removed step by step, but hidden at once.
local function seen_by(tenant)
  local removing = redis.call('EXISTS', gone_key()) == 1
  local exists = {}
  return function(row)
    if not row then return false end
    if not removing then return true end
    local raw = string.sub(row, 25, 40)
    if exists[raw] == nil then
      exists[raw] = redis.call('HEXISTS', state_key(), raw_ref(tenant, raw)) == 1
    end
    return exists[raw]
  end
end

-- Adds counts to counters, which are numbered from 1. Each has two arguments from at on: a
-- key of stats and a field. If the field is new, the key may be, too.
local function add_up(counts, at)
  for n, count in pairs(counts) do
    local key, field = ARGV[at + 2 * n - 2], ARGV[at + 2 * n - 1]
    if redis.call('HINCRBY', key, field, count) == count then
      redis.call('EXPIREAT', key, (string.match(key, '%d+$') + stats_hours) * hour_ms / 1000)
    end
  end
end
