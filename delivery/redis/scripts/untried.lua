#!lua flags=no-writes
-- untried.lua reads deliveries of a webhook that are pending and have not been attempted: first
-- those that were born leased, then those on the schedule, both in the order of their times. When
-- it has done as much as one script may, it says where to go on.
--
-- KEYS[1]  the partition
-- ARGV     reference of the webhook, the 16 bytes of its id, how much to do, place to go on behind:
--          'l' leased, 's' on the schedule or '' to begin; time; event's id
-- Result   now in ms, place to go on behind, '', 0 and '' at the end; then for each delivery its
--          place in the same way, and the event's record

local ref, raw, work = ARGV[1], ARGV[2], tonumber(ARGV[3])
local kind, time, after = ARGV[4], tonumber(ARGV[5]), ARGV[6]
local tenant, key = ref_tenant(ref), pending_key(ref)
local now, swept = now_ms(), read_swept()
local results = { now, '', 0, '' }
if not read_state(ref) then return reply(results) end

-- Redis compares members byte by byte, Lua texts as its locale does.
local function is_before(a, b)
  local a1, a2, a3, a4 = struct.unpack('>I4I4I4I4', a)
  local b1, b2, b3, b4 = struct.unpack('>I4I4I4I4', b)
  if a1 ~= b1 then return a1 < b1 end
  if a2 ~= b2 then return a2 < b2 end
  if a3 ~= b3 then return a3 < b3 end
  return a4 < b4
end

-- Adds a delivery unless it was attempted. Reports whether there is more work to do.
local function add(of_kind, at, id)
  work = work - 5
  local state = read_attempted(tenant, id, raw)
  if not state or struct.unpack('>I2', state, 2) == 0 then
    local event = read_event(tenant, id, now, swept)
    if event then
      local n = #results
      results[n + 1], results[n + 2], results[n + 3], results[n + 4] = of_kind, at, id, event
      work = work - math.floor(#event / 1024)
    end
  end
  if work > 0 then return true end
  if is_next_attempt(at) then at, id = math.ceil(at), no_request end -- the others were attempted, too
  results[2], results[3], results[4] = of_kind, at, id
  return false
end

local behind_all = string.rep('\255', 16) -- no event has this id

if kind ~= 's' then
  for _, ended in ipairs(read_leases()) do
    local at, ids = tonumber(ended), {}
    if at and (kind == '' or at > time or at == time and after ~= behind_all) then
      local names = all_leased(ended)
      work = work - 1 - math.floor(#names / 100)
      for _, name in ipairs(names) do
        local id = string.sub(name, 1, 16)
        if string.sub(name, 17) == ref and (kind == '' or at > time or is_before(after, id)) then ids[#ids + 1] = id end
      end
    end
    table.sort(ids, is_before)
    for _, id in ipairs(ids) do
      if not read('ZSCORE', key, id) and not add('l', at, id) then return reply(results) end
    end
    if at and work <= 0 then
      results[2], results[3], results[4] = 'l', at, behind_all
      return reply(results)
    end
  end
end

-- The first place behind the given one: what was there may have another time now.
local first, last = 0, kind == 's' and read('ZCARD', key) or 0
while first < last do
  local middle = math.floor((first + last) / 2)
  local there = read('ZRANGE', key, middle, middle, 'WITHSCORES')
  local at = tonumber(there[2])
  if at < time or at == time and not is_before(after, there[1]) then first = middle + 1 else last = middle end
end
while true do
  local members = read('ZRANGE', key, first, first + 99, 'WITHSCORES')
  for i = 1, #members, 2 do
    if not add('s', tonumber(members[i + 1]), members[i]) then return reply(results) end
  end
  if #members < 200 then return reply(results) end
  first = first + 100
end
