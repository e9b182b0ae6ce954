#!lua
-- import_requests.lua adds rows of the log, and skips rows that exist and those of webhooks
-- that do not. A row of an event that was erased gets no body. It is refused as a whole when Redis
-- is full.
--
-- KEYS[1]  the partition
-- ARGV     number of webhooks, then of each: reference, its id's 16 bytes;
--          number of event types, then of each: name;
--          number of counters, then of each: see add_up in common.lua;
--          then for each row: number of the webhook from 1, of the type, id,
--          slot and day of the request, row, response body, number of the
--          counter from 1
-- Result   now in ms, how many rows were added

local now = now_ms()
local at = 2
local refs = {}
for i = 1, tonumber(ARGV[1]) do
  refs[i] = ARGV[at]
  at = at + 2
end
local states = read_states(refs)
local types = {}
for i = 1, tonumber(ARGV[at]) do types[i] = ARGV[at + i] end
at = at + 1 + #types
types = type_numbers(types, now)
local counters, counts = at + 1, {}
at = counters + 2 * tonumber(ARGV[at])

local swept = read_swept()
local function of_erased(ref, row)
  local event = read_event(ref_tenant(ref), string.sub(row, 41, 56), now, swept)
  return event and is_erased(event)
end

local added = 0
for o = at, #ARGV, 8 do
  local w, type_number, id, slot, day, row, body, counter = unpack(ARGV, o, o + 7)
  local ref = refs[tonumber(w)]
  if states[tonumber(w)] and not read_rows({ id })[id] then
    added = added + 1
    counts[tonumber(counter)] = (counts[tonumber(counter)] or 0) + 1
    local hour = slot_hour(slot)
    write('ZADD', hours_key(), hour, 'requests:' .. hour)
    write('ZADD', days_key(), day, day)
    -- The status follows the head of the row, which ends with the event's id.
    local member = types[tonumber(type_number)] .. string.sub(row, 57, 57) .. id
    for _, name in ipairs({ ref_tenant(ref), ref }) do
      write('SADD', logs_key(day), name)
      write('ZADD', log_key(name, day), 0, member)
    end
    if body ~= '' and not of_erased(ref, row) then
      write('HSET', bodies_key(slot), id, body)
    elseif body ~= '' then
      write('HDEL', bodies_key(slot), id) -- of an import that broke off before the event was erased
    end
    write('HSET', requests_key(slot), id, row) -- from now on, a repetition skips it
  end
end
add_up(counts, counters)
return reply({ now, added })
