-- common.lua has what scripts share. Each script is sent with those parts that it uses: see
-- common.go, for which each part begins with local at the beginning of a line. KEYS[1] is the
-- base of one partition, "<prefix>:{<p>}:". All keys of the partition begin with it, so that they are in one slot;
-- keys.go describes them. KEYS[2] never exists; scripts.go says why it is there. Before this
-- file, read_only says whether the script has the flag no-writes.
--
-- Redis undoes nothing when a script fails in its middle. So each script reads first, then
-- makes deliveries due, then writes what tells a repetition that the work is done, and last
-- what is only for show.

local base = KEYS[1]

local function due_key(slow) return base .. (slow and 'due:slow' or 'due') end
local function pending_key(ref) return base .. 'pending:' .. ref end
local function state_key() return base .. 'state' end
local function webhooks_key(tenant) return base .. 'webhooks:' .. tenant end
local function event_field(tenant, id) return tenant .. ':' .. id end
local function event_key(tenant, id) return base .. 'event:' .. event_field(tenant, id) end
local function events_key(slot) return base .. 'events:' .. slot end
local function deliveries_key(bucket) return base .. 'deliveries:' .. bucket end
local function requests_key(slot) return base .. 'requests:' .. slot end
local function bodies_key(slot) return base .. 'bodies:' .. slot end
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
local function aside_key(name) return base .. 'aside' .. (name and ':' .. name or '') end

local hour_ms = 3600000
local slot_ms = 300000
local least_step = 5000 -- as in package clockstep
local ended_entries = 1000 -- at least
local aside_entries = 1000 -- at least
local stats_hours = 192 -- for how long stats are kept: delivery.StatsKept
local at_once_ms = 250 -- as in succeed.go
local no_request = string.rep('\0', 16)
local event_head, delivery_size, row_head = 33, 27, 57
local expiry_size = 6 -- of an event in a hash
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

-- Takes a field out of the way whose value cannot be read. It is kept in a stream.
local function set_field_aside(key, field, value, why)
  note('aside', key, field, read_only and value or '', why)
  if read_only then return end
  show('XADD', aside_key(), 'MAXLEN', '~', aside_entries, '*', 'key', key, 'field', field, 'value', value)
  write('HDEL', key, field)
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

-- The bucket of an hour, and of the low four bits of an id.
local hex = { [0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f' }
local function bucket(hour, id) return hour .. ':' .. hex[string.byte(id, 16) % 16] end
local function bucket_hour(of) return string.match(of, '^[^:]+') end

-- The number of the 5 minutes in which a time is, from 1970.
local function slot_of(ms) return math.floor(ms / slot_ms) end
local function slot_hour(slot) return math.floor(slot * slot_ms / hour_ms) end

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

-- The slot in whose hash an event may lie; nil if its id has another version than 7.
local function event_slot(id)
  if #id ~= 16 or math.floor(string.byte(id, 7) / 16) ~= 7 then return nil end
  return id_slot(id)
end

-- The slot in whose hash a new event is to be stored; nil if the event is to have a key of its
-- own, since its id was not made about when it was received: 10 minutes before to 5 after.
local function new_event_slot(id, received)
  local slot = event_slot(id)
  local later = slot and slot - slot_of(received)
  return later and later >= -2 and later <= 1 and slot or nil
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

-- Reads an event. Returns it and when it was received, or nothing if it has expired, is
-- dropped, or cannot be read.
local function read_event(tenant, id, now, swept)
  local slot = event_slot(id)
  local key, field, event
  if slot then
    key, field = events_key(slot), event_field(tenant, id)
    event = unexpired(read('HGET', key, field), now)
  end
  if not event then
    key, field = event_key(tenant, id), nil
    event = read('GET', key)
  end
  if not event then return nil end
  local ms = received_at(event)
  if not ms then
    set_event_aside(key, field, event)
  elseif not is_dropped(ms, swept) then
    return event, ms
  end
end

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

-- The state of a webhook is 'e' (enabled) or 'p' (paused), followed by 's' if the webhook
-- is slow. A webhook without a state does not exist.
local function is_state(state) return state == 'e' or state == 'es' or state == 'p' or state == 'ps' end
local function is_enabled(state) return string.byte(state) == 101 end
local function is_slow(state) return #state > 1 end

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

-- Writes events into the hashes of their slots: groups has fields and values by slot. What is in
-- no hour would never be swept. Events outlive the log of the hour in which they were received,
-- which may be the one after that of the slot, by an hour.
local function write_events(groups)
  local hours, noted = {}, {}
  for slot in pairs(groups) do hours[slot_hour(slot)] = true end
  for hour in pairs(hours) do
    noted[#noted + 1] = hour + 2
    noted[#noted + 1] = 'events:' .. hour
  end
  if #noted > 0 then in_chunks('ZADD', hours_key(), noted) end
  for slot, args in pairs(groups) do in_chunks('HSET', events_key(slot), args) end
end

local function flush(command, groups)
  for key, args in pairs(groups) do in_chunks(command, key, args) end
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

-- The numbers of event types, as 2 bytes. New types get new numbers; after 65,534 types,
-- all others share the last number.
local function type_numbers(names)
  local numbers = read_chunks('HMGET', types_key(), names)
  local size
  for i, name in ipairs(names) do
    local number = tonumber(numbers[i] or nil)
    if not number or number < 1 or number > 65535 then
      if numbers[i] then set_field_aside(types_key(), name, numbers[i], 'no number of an event type') end
      size = size or read('HLEN', types_key())
      number = 65535
      if size < 65534 then
        size = size + 1
        number = size
        show('HSET', types_key(), name, number)
      end
    end
    numbers[i] = struct.pack('>I2', number)
  end
  return numbers
end

-- Places of webhooks that are to be written together.
local function new_places() return { none = {}, at = {}, latest = {} } end

-- Must follow every change of pending:<ref>, and write_places follow it. It plans a webhook's
-- place: when its first delivery is due, if it has any. An overdue webhook keeps its place
-- among the others, unless it just had its turn: then it goes to the end.
local function plan_place(places, ref, state, now, had_turn)
  local key = place_key(state)
  local head = read('ZRANGE', pending_key(ref), 0, 0, 'WITHSCORES')[2]
  if not head then
    collect(places.none, key, ref)
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

-- Raises the version of a tenant's webhooks. The first one is the time in microseconds: what
-- a process remembers from before a loss of all data must not be taken for current.
local function raise_version(key)
  local version = read('HGET', key, 'version')
  if version and not string.find(version, '^%d+$') then
    set_field_aside(key, 'version', version, 'no version of webhooks')
    version = false
  end
  if version then
    write('HINCRBY', key, 'version', 1)
  else
    local t = redis.call('TIME')
    write('HSET', key, 'version', string.format('%.0f', t[1] * 1000000 + t[2]))
  end
end

-- The number of an event type as type_numbers gives it; '' if it has none.
local function type_number(name)
  local number = tonumber(read('HGET', types_key(), name) or nil)
  return number and number >= 1 and number <= 65535 and struct.pack('>I2', number) or ''
end

-- The state of a delivery that has none and is not on the schedule: that of one that succeeded
-- at once, if there is the row of its first request, or if the index knows of one that was
-- lost; nil otherwise. The ids of the request that it may have had differ only in the
-- milliseconds, which rest follows.
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
  local request = find('HMGET', requests_key, '') or
    find('ZMSCORE', function(slot) return log_key(ref, math.floor(slot_hour(slot) / 24)) end, type_bytes .. '1') or
    -- Rows are dropped an hour before the event is.
    received < read_swept() * hour_ms and no_request
  return request and struct.pack('>c1I2I8c16', 's', 1, 0, request)
end

-- Returns a function that reads the state of an event's delivery to a webhook: nil if it was
-- not tried or the webhook does not exist, which the second result tells.
local function delivery_reader(tenant, event, type_name, received, of)
  local key, type_bytes = deliveries_key(of), type_number(type_name)
  return function(raw, rest)
    local ref, field = raw_ref(tenant, raw), event .. raw
    if read('HEXISTS', state_key(), ref) == 0 then return nil, false end
    local state = read('HGET', key, field)
    if state and not is_delivery(state) then
      set_field_aside(key, field, state, 'no state of a delivery')
      state = nil
    end
    if not state and not read('ZSCORE', pending_key(ref), event) then
      state = implied_state(received, rest, ref, type_bytes)
    end
    return state or nil, true
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
