#!lua flags=no-writes
-- standing.lua finds out which of some requests are the last ones of their deliveries, and how
-- these stand. It reads no events, which may be large.
--
-- KEYS[1]  the partition
-- ARGV     tenant, then of each request: event's id, the 16 bytes of the webhook's, request's id,
--          '1' if it may have been a success at once, else '0'
-- Result   now in ms, then for each: the delivery's record, '' if another request is its last one

local tenant = ARGV[1]
local all, refs = {}, {}
for i = 2, #ARGV, 4 do
  local event, raw = ARGV[i], ARGV[i + 1]
  local hour, last = attempted_hours(tenant, event)
  refs[raw] = refs[raw] or raw_ref(tenant, raw)
  all[#all + 1] = { event = event, field = event .. raw, ref = refs[raw], request = ARGV[i + 2], first = ARGV[i + 3] == '1', hour = hour, last = last }
end

-- Calls a function with those that have the same key, and each key.
local function by_key(of, key_of, call)
  local groups = {}
  for _, one in ipairs(of) do
    local key = key_of(one)
    groups[key] = groups[key] or {}
    table.insert(groups[key], one)
  end
  for key, group in pairs(groups) do call(key, group) end
end

local function values(of, name)
  local list = {}
  for i, one in ipairs(of) do list[i] = one[name] end
  return list
end

local left = all
while #left > 0 do -- once, but for events of about the end of an hour
  local again = {}
  by_key(left, function(one) return deliveries_key(bucket(one.hour, one.event)) end, function(key, group)
    for i, state in ipairs(read_chunks('HMGET', key, values(group, 'field'))) do
      local one = group[i]
      one.state, one.hour = check_attempted(key, one.field, state), one.hour + 1
      if not one.state and one.hour <= one.last then again[#again + 1] = one end
    end
  end)
  left = again
end

-- What has no state may have been a success at once, if it is not pending.
local stateless, names, asked = {}, {}, {}
for _, one in ipairs(all) do
  if not one.state and one.first then stateless[#stateless + 1] = one end
end
by_key(stateless, function(one) return one.ref end, function(ref, group)
  for i, score in ipairs(read_chunks('ZMSCORE', pending_key(ref), values(group, 'event'))) do
    if not score then
      names[#names + 1] = leased_delivery(group[i].event, ref)
      asked[#names] = group[i]
    end
  end
end)
local leases = find_leases(names)
for i, name in ipairs(names) do
  if not leases[name] then asked[i].state = struct.pack('>c1I2I8c16', 's', 1, 0, asked[i].request) end
end

local results = { now_ms() }
for _, one in ipairs(all) do
  results[#results + 1] = one.state and string.sub(one.state, 12) == one.request and one.state or ''
end
return reply(results)
