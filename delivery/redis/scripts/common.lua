-- common.lua has what scripts share, and records.lua the rest of it. Each script is sent with
-- those parts that it uses: see common.go, for which each part begins with local at the beginning
-- of a line. KEYS[1] is the base of one partition, "<prefix>:{<p>}:". All keys of the partition
-- begin with it, so that they are in one slot; keys.go describes them. KEYS[2] never exists;
-- scripts.go says why it is there. Before this file, read_only says whether the script has the
-- flag no-writes.
--
-- Redis undoes nothing when a script fails in its middle. So each script reads first, then
-- makes deliveries due, then writes what tells a repetition that the work is done, and last
-- what is only for show.

local base = KEYS[1]

local function due_key(slow) return base .. (slow and 'due:slow' or 'due') end
local function pending_key(ref) return base .. 'pending:' .. ref end
local function state_key() return base .. 'state' end
local function webhooks_key(tenant) return base .. 'webhooks:' .. tenant end
local function declared_key() return base .. 'declared' end
local function changes_key(tenant) return base .. 'changes:' .. tenant end
local function event_field(tenant, id) return tenant .. ':' .. id end
local function event_key(tenant, id) return base .. 'event:' .. event_field(tenant, id) end
local function events_key(span) return base .. 'events:' .. span end
local function arrivals_key(tenant) return base .. 'arrivals:' .. tenant end
local function arrived_key(tenant, chunk) return base .. 'arrived:' .. tenant .. ':' .. chunk end
local function deliveries_key(bucket) return base .. 'deliveries:' .. bucket end
local function requests_key(slot) return base .. 'requests:' .. slot end
local function bodies_key(slot) return base .. 'bodies:' .. slot end
-- name is a tenant or the reference of a webhook.
local function log_key(name, day) return base .. 'log:' .. name .. ':' .. day end
local function logs_key(day) return base .. 'logs:' .. day end
local function types_key() return base .. 'types' end
local function free_types_key() return base .. 'freetypes' end
local function types_of_key(tenant) return base .. 'typesof:' .. tenant end
local function hours_key() return base .. 'hours' end
local function days_key() return base .. 'days' end
local function erasing_key() return base .. 'erasing' end
local function swept_key() return base .. 'swept' end
local function paused_key() return base .. 'paused' end
local function gone_key() return base .. 'gone' end
local function ended_key() return base .. 'ended' end
local function stored_key(tenant) return base .. 'stored:' .. tenant end
local function received_key(name) return base .. 'received:' .. name end
local function leases_key() return base .. 'leases' end
local function leased_key(ended) return base .. 'leased:' .. ended end
local function rates_key() return base .. 'rates' end
local function clock_key() return base .. 'clock' end
local function aside_key(name) return base .. 'aside' .. (name and ':' .. name or '') end

local hour_ms = 3600000
local slot_ms = 300000
local event_span_ms = 10000 -- as eventSpan in places.go
local least_step = 5000 -- as in package clockstep
local ended_entries = 1000 -- at least
local aside_entries = 1000 -- at least
local kept_changes = 64 -- of a tenant's webhooks
local stats_hours = 192 -- for how long stats are kept: delivery.StatsKept
local at_once_ms = 250 -- as in succeed.go
local lease_step = 100 -- ends of leases that accept.lua gives are multiples of it
local no_request = string.rep('\0', 16)
local event_head, delivery_size, row_head = 33, 27, 57
local expiry_size = 6 -- of an event in a hash
local rate_format, look_ahead = '>I8I4I8', 25 -- see read_rate; delivery.LookAhead in ms
local most_chunks = 1000000 -- of the events of a tenant and an hour
local waits, waits_text = 9e15, '9000000000000000' -- in pending, of deliveries that wait for others
local far_ms = 10 * 366 * 24 * hour_ms -- a clock that is ahead by more is unreadable

-- Whether the script has written anything that its caller asked for.
local written = false

-- What the caller is told, although the script does not fail: five strings for each. See
-- notes.go.
local notes
local function note(what, key, field, value, why)
  notes = notes or {}
  local n = #notes
  if n >= 5 * 500 then return end
  notes[n + 1], notes[n + 2], notes[n + 3], notes[n + 4], notes[n + 5] = what, key, field, value, why
end

-- What every script returns: the results begin with the time.
local function reply(results)
  if notes then results[1] = { results[1], unpack(notes) } end
  return results
end

-- Fails the script with Redis's words, and with the command. PARTLY says that something was
-- written before.
local function fail(words, command, key)
  local kind = string.match(key, '^%a+', #base + 1) or 'a key'
  error({ err = (written and 'PARTLY ' or '') .. words .. ' (' .. command .. ' of ' .. kind .. ')' })
end

-- Takes a key out of the way that cannot be read. It is kept under another name.
local function set_key_aside(key, why)
  note('aside', key, '', '', why)
  if read_only then return end
  local moved = redis.pcall('RENAME', key, aside_key(string.sub(key, #base + 1)))
  if moved.err then fail(moved.err, 'RENAME', key) end
end

-- Runs a command again that failed. If another program made the key, it has the wrong type,
-- and the data is as if the key were missing.
local function again(failed, command, key, ...)
  local words = failed.err
  if string.sub(words, 1, 9) ~= 'WRONGTYPE' then fail(words, command, key) end
  set_key_aside(key, words)
  local value = redis.pcall(command, read_only and KEYS[2] or key, ...)
  if type(value) == 'table' and value.err then fail(value.err, command, key) end
  return value
end

local try, type = redis.pcall, type -- globals are slow

-- Runs a command that reads.
local function read(command, key, ...)
  local value = try(command, key, ...)
  if type(value) == 'table' and value.err then return again(value, command, key, ...) end
  return value
end

-- Runs a command that writes.
local function write(command, key, ...)
  local value = try(command, key, ...)
  if type(value) == 'table' and value.err then value = again(value, command, key, ...) end
  written = true
  return value
end

-- Runs a command that writes what is only for show: a failure is told to the log, and
-- returns nil.
local function show(command, key, ...)
  local value = try(command, key, ...)
  if type(value) == 'table' and value.err then
    local ok
    ok, value = pcall(again, value, command, key, ...)
    if not ok then
      note('show', '', '', '', type(value) == 'table' and value.err or tostring(value))
      return nil
    end
  end
  written = true
  return value
end

-- Keeps what cannot be read in a stream: the value of a field, or a member of a set.
local function keep_aside(key, field, value, why)
  note('aside', key, field, read_only and value or '', why)
  if read_only then return end
  show('XADD', aside_key(), 'MAXLEN', '~', aside_entries, '*', 'key', key, 'field', field, 'value', value)
end

-- Takes a field out of the way whose value cannot be read. It is kept.
local function set_field_aside(key, field, value, why)
  keep_aside(key, field, value, why)
  if not read_only then write('HDEL', key, field) end
end

-- Redis's clock, in milliseconds, by which times are stored.
local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Reads the schedule's clock, by which deliveries fall due and leases end. It is the same
-- as Redis's until that is set back. Then it continues from where it was, and stays ahead
-- by that much.
local function read_clock(now)
  local kept, last, ahead = read('GET', clock_key()), 0, 0
  if kept then
    if #kept == 16 then last, ahead = struct.unpack('>I8I8', kept) end
    if #kept ~= 16 or last > now + far_ms or ahead > far_ms then
      set_key_aside(clock_key(), 'no clock')
      last, ahead = 0, 0
    end
  end
  local moved = now + ahead - last
  if moved < 0 then ahead = ahead - moved end
  return { now = now + ahead, ahead = ahead, moved = moved < 0 or moved >= 1000 }
end

-- Stores what the schedule's clock says, to the second.
local function keep_clock(clock)
  if clock.moved then write('SET', clock_key(), struct.pack('>I8I8', clock.now, clock.ahead)) end
  written = false -- nothing that anybody asked for
end

-- The score in pending of a next attempt has half a millisecond, and the end of a lease has none:
-- so they are told apart, wherever Redis's clock was set to meanwhile. It is due at the full one.
local function next_attempt(at) return at - 0.5 end
local function is_next_attempt(score) return score % 1 ~= 0 end

-- The bucket of an hour, and of the low four bits of an id.
local hex = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f' }
local function bucket(hour, id) return hour .. ':' .. hex[string.byte(id, 16) % 16] end
local function bucket_hour(of) return string.match(of, '^[^:]+') end

-- The number of the 5 minutes in which a time is, from 1970.
local function slot_of(ms) return math.floor(ms / slot_ms) end
local function slot_hour(slot) return math.floor(slot * slot_ms / hour_ms) end

-- The number of the 10 seconds in which a time is, from 1970: events are larger than rows, and
-- their hash must not become too large to be moved.
local function event_span_of(ms) return math.floor(ms / event_span_ms) end
local function event_span_hour(span) return math.floor(span * event_span_ms / hour_ms) end

-- The hour, the slot and the bucket of an id of version 7.
local function id_hour(id) return math.floor(struct.unpack('>I6', id) / hour_ms) end
local function id_slot(id) return slot_of((struct.unpack('>I6', id))) end
local function id_bucket(id) return bucket(id_hour(id), id) end

-- When an event was received, in milliseconds, or nil if it cannot be read: the first 13
-- bytes.
local function received_at(event)
  return #event >= event_head and tonumber(string.sub(event, 1, 13)) or nil
end

-- An event is older than the retention if the states of its deliveries have been swept. It
-- may still be there until it expires, if the retention was shortened.
local function read_swept()
  local text = read('GET', swept_key())
  if not text then return 0 end
  local hour = tonumber(text)
  if hour and hour >= 0 and hour < 1e7 then return hour end
  set_key_aside(swept_key(), 'no hour')
  return 0
end
local function is_dropped(received, swept) return math.floor(received / hour_ms) + 1 < swept end

-- Whether the record of a delivery can be read.
local function is_delivery(record)
  local status = string.byte(record)
  return #record == delivery_size and (status == 112 or status == 115 or status == 102)
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

-- The state of a webhook is 'e' (enabled) or 'p' (paused), followed by 'r' if it has a rate, by 's'
-- if it is slow, and by 'q' if it may have deliveries in queues. A webhook without a state does not
-- exist.
local function is_state(state) return state == 'e' or string.find(state, '^[ep]r?s?q?$') ~= nil end
local function is_enabled(state) return string.byte(state) == 101 end
local function is_slow(state)
  local second, third = string.byte(state, 2, 3)
  return second == 115 or second == 114 and third == 115
end
local function is_limited(state) return #state > 1 and string.byte(state, 2) == 114 end
local function has_queue(state) return string.byte(state, -1) == 113 end

-- The key that has the place of a webhook with pending deliveries.
local function place_key(state)
  return is_enabled(state) and due_key(is_slow(state)) or paused_key()
end

-- Runs command(key, ...) with as many arguments at a time as Lua can unpack. That number
-- is even, so that pairs stay together.
local function in_chunks(command, key, args)
  for i = 1, #args, 2000 do
    write(command, key, unpack(args, i, math.min(i + 1999, #args)))
  end
end

-- The same of what is only for show.
local function show_chunks(command, key, args)
  for i = 1, #args, 2000 do
    show(command, key, unpack(args, i, math.min(i + 1999, #args)))
  end
end

-- Runs command(key, ...) with some of the script's own arguments, in the same way.
local function write_range(command, key, first, last)
  for i = first, last, 2000 do
    write(command, key, unpack(ARGV, i, math.min(i + 1999, last)))
  end
end

-- Reads fields or scores in the same way.
local function read_chunks(command, key, fields)
  if #fields <= 1000 then return read(command, key, unpack(fields)) end
  local values = {}
  for i = 1, #fields, 1000 do
    local part = read(command, key, unpack(fields, i, math.min(i + 999, #fields)))
    for j = 1, #part do values[i + j - 1] = part[j] end
  end
  return values
end

-- Reads the states of webhooks; false for one that has none, or none that can be read. The
-- second result says whether all have one.
local function read_states(refs)
  if #refs == 0 then return {}, true end
  local states, all = read_chunks('HMGET', state_key(), refs), true
  for i = 1, #refs do
    local state = states[i]
    if not state then
      all = false
    elseif not is_state(state) then
      set_field_aside(state_key(), refs[i], state, 'no state of a webhook')
      states[i], all = false, false
    end
  end
  return states, all
end
local function read_state(ref) return read_states({ ref })[1] end

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

-- The number of an event type and, behind its point, the day on which it was last used, 0 if an
-- earlier version has not noted that.
local last_type = 65535 -- which all types share that get no number
local function read_type(value)
  local digits, used = string.match(value or '', '^(%d+)%.?(%d*)$')
  local number = tonumber(digits)
  if not number or number < 1 or number > last_type or #used ~= 0 and #used ~= 6 then return nil end
  return number, tonumber(used) or 0
end
local function type_value(number, day) return string.format('%d.%06d', number, day) end

-- A number for a new event type: one that was given back, or the next. The field without a name
-- has the last one that was given. If that is lost, all have one that is no more than there are.
local function new_type_number()
  local free = read('SRANDMEMBER', free_types_key())
  if free and show('SREM', free_types_key(), free) == 1 and read_type(free) then return (read_type(free)) end
  local kept = read('HGET', types_key(), '')
  local last = tonumber(kept or nil) or
    read('HLEN', types_key()) - (kept and 1 or 0) + read('SCARD', free_types_key())
  if last + 1 >= last_type then return last_type end
  show('HSET', types_key(), '', last + 1)
  return last + 1
end

-- The numbers of event types, as 2 bytes, which are used now. New types get new numbers; when
-- there is none left, all others share the last one.
local function type_numbers(names, now)
  local numbers, day, changed = read_chunks('HMGET', types_key(), names), math.floor(now / hour_ms / 24), {}
  for i, name in ipairs(names) do
    local number, used = read_type(numbers[i])
    if not number then
      if numbers[i] then set_field_aside(types_key(), name, numbers[i], 'no number of an event type') end
      number, used = new_type_number(), 0
    end
    if used < day and number < last_type then
      changed[#changed + 1], changed[#changed + 2] = name, type_value(number, day)
    end
    numbers[i] = struct.pack('>I2', number)
  end
  show_chunks('HSET', types_key(), changed)
  return numbers
end

-- The rate of a webhook: when the next request may begin that is on the schedule, how many may
-- begin in a time, and that time, both times in microseconds; nil if it is lost.
local function read_rate(ref)
  local rate = read('HGET', rates_key(), ref)
  if not rate then return nil end
  local start, requests, per = struct.unpack(rate_format, #rate == 20 and rate or string.rep('\0', 20))
  if requests > 0 and per > 0 then return start, requests, per end
  set_field_aside(rates_key(), ref, rate, 'no rate of a webhook')
end

-- When it is worth looking at a webhook, as far as its rate goes; nil if it has none.
local function look_at(ref, state)
  local start = is_limited(state) and is_enabled(state) and read_rate(ref)
  return start and math.ceil(start / 1000) - look_ahead
end

-- Places of webhooks that are to be written together.
local function new_places() return { none = {}, at = {}, latest = {} } end

-- Must follow every change of pending:<ref>, and write_places follow it. It plans a webhook's
-- place: when its first delivery is due and may begin soon, if it has any. An overdue webhook keeps its place
-- among the others, unless it just had its turn: then it goes to the end.
local function plan_place(places, ref, state, now, had_turn)
  local key = place_key(state)
  local head = read('ZRANGE', pending_key(ref), 0, 0, 'WITHSCORES')[2]
  local look = head and look_at(ref, state)
  if look and look > tonumber(head) then head = look end
  if not head then
    collect(places.none, key, ref)
  elseif tonumber(head) >= waits and is_enabled(state) then
    collect(places.latest, key, now, ref) -- all wait: claim.lua mends the queues
  elseif tonumber(head) > now or not is_enabled(state) then
    collect(places.at, key, head, ref)
  elseif had_turn then
    collect(places.at, key, now, ref)
  else
    collect(places.latest, key, now, ref)
  end
end

-- Sets places of webhooks to the given ones, or leaves those that are earlier.
local function write_latest(places)
  for key, args in pairs(places) do
    for i = 1, #args, 2000 do
      write('ZADD', key, 'LT', unpack(args, i, math.min(i + 1999, #args)))
    end
  end
end
local function write_places(places)
  flush('ZREM', places.none)
  flush('ZADD', places.at)
  write_latest(places.latest)
end

-- The same for one webhook.
local function reschedule(ref, state, now, had_turn)
  local places = new_places()
  plan_place(places, ref, state, now, had_turn)
  write_places(places)
end

-- Moves a webhook to the place that its state asks for. It gets the new one first, so that
-- it always has one.
local function move(ref, state, now)
  reschedule(ref, state, now)
  for _, key in ipairs({ due_key(false), due_key(true), paused_key() }) do
    if key ~= place_key(state) then write('ZREM', key, ref) end
  end
end

-- Raises the version of a tenant's webhooks, one of which changes: its id may be empty if it is
-- not known. A version is the time in microseconds: what a process remembers from before a loss
-- of data, all or the last, must not be taken for current.
--
-- The changes are those that led to the present version, without a gap. If the newest one did
-- not, they begin anew: an earlier version has raised the version without them, or a script broke
-- off.
local function raise_version(tenant, id)
  local key, changes = webhooks_key(tenant), changes_key(tenant)
  local version = read('HGET', key, 'version')
  if version and not string.find(version, '^%d+$') then
    set_field_aside(key, 'version', version, 'no version of webhooks')
    version = false
  end
  local t = redis.call('TIME')
  local raised = string.format('%.0f', math.max(t[1] * 1000000 + t[2], (version or 0) + 1))
  if (read('ZRANGE', changes, -1, -1, 'WITHSCORES')[2] or false) ~= version then
    write('UNLINK', changes)
    if version then write('ZADD', changes, version, version) end
  end
  -- First, so that no version is without its change.
  write('ZADD', changes, raised, raised .. ':' .. id)
  local old = read('ZRANGE', changes, 0, -kept_changes - 2)
  if #old > 0 then write('ZREM', changes, unpack(old)) end
  write('HSET', key, 'version', raised)
end

-- The version of a tenant's webhooks. A tenant that never had one has none: '0'. One that has
-- webhooks has lost it: ''.
local function webhooks_version(tenant)
  local key = webhooks_key(tenant)
  return read('HGET', key, 'version') or (read('EXISTS', key) == 0 and '0' or '')
end

-- Adds webhooks to results: id, record, state, the last two '' if there is none.
local function add_webhooks(results, tenant, ids, records)
  local refs = {}
  for i, id in ipairs(ids) do refs[i] = tenant .. ':' .. id end
  local states = read_states(refs)
  for i, id in ipairs(ids) do
    local n = #results
    results[n + 1], results[n + 2], results[n + 3] = id, records[i] or '', states[i] or ''
  end
  return results
end

-- Adds counts to counters, which are numbered from 1. Each has two arguments from at on: a
-- key of stats and a field. If the field is new, the key may be, too.
local function add_up(counts, at)
  for n, count in pairs(counts) do
    local key, field = ARGV[at + 2 * n - 2], ARGV[at + 2 * n - 1]
    local total = show('HINCRBY', key, field, count)
    if not total then
      local value = read('HGET', key, field)
      if value and not string.find(value, '^%d+$') then
        set_field_aside(key, field, value, 'no number of requests')
        total = show('HINCRBY', key, field, count)
      end
    end
    if total == count then
      show('EXPIREAT', key, (string.match(key, '%d+$') + stats_hours) * hour_ms / 1000)
    end
  end
end
