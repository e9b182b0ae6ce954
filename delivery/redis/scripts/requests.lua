#!lua flags=no-writes
-- requests.lua reads a page of the log, without a scan: the members of a day's
-- index are sorted by type, status and id, so that each type and status is a
-- range whose newest ids are at its end.
--
-- KEYS[1]  the partition
-- ARGV     tenant, tenant or reference whose log to read, type or '', status
--          ('1' success, '0' failed) or '', first id, id to stay before, most rows
-- Result   now in ms, id after which the next page continues or '' if there is none, then
--          for each row: id, row

local tenant, name, type_name, status = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local first, before, limit = ARGV[5], ARGV[6], tonumber(ARGV[7])
local now = now_ms()

-- How many rows of deleted webhooks one call skips to fill a page.
local patience = 2000

local member_size = 2 + 1 + 16 -- of the index

local type_bytes
if type_name ~= '' then
  type_bytes = type_number(type_name)
  if type_bytes == '' then return reply({ now, '' }) end
end

-- Strings must not be compared in Lua, which compares them by the server's locale.
local function parts(id) return { id, struct.unpack('>I6I6I4', id) } end
local function newer(a, b)
  if a[2] ~= b[2] then return a[2] > b[2] end
  if a[3] ~= b[3] then return a[3] > b[3] end
  return a[4] > b[4]
end

-- The index may still have rows whose buckets have been dropped.
local first_parts = parts(first)
local swept = parts(struct.pack('>I6', read_swept() * hour_ms) .. string.rep('\0', 10))
if newer(swept, first_parts) then first, first_parts = swept[1], swept end

-- Merges ids, newest first, into the newest n of a list.
local function merge(list, ids, n)
  local merged, i, j = {}, 1, 1
  while #merged < n and (list[i] or ids[j]) do
    if not ids[j] or (list[i] and newer(list[i], ids[j])) then
      merged[#merged + 1] = list[i]
      i = i + 1
    else
      merged[#merged + 1] = ids[j]
      j = j + 1
    end
  end
  return merged
end

-- The newest n ids of a day before the given one.
local function ids_of_day(key, before, n)
  local list = {}
  local top = type_bytes and '(' .. type_bytes .. '\255' or '+'
  local bottom = type_bytes and '[' .. type_bytes or '-'
  while true do
    -- The last member below top has the next type and status.
    local member = read('ZREVRANGEBYLEX', key, top, bottom, 'LIMIT', 0, 1)[1]
    if not member then return list end
    local prefix = string.sub(member, 1, 3)
    if status ~= '' and string.sub(prefix, 3) ~= status then
      top = '(' .. prefix
    else
      local from = #list == n and list[n][1] or first
      local ids = read('ZREVRANGEBYLEX', key, '(' .. prefix .. before, '[' .. prefix .. from, 'LIMIT', 0, n)
      local known = {}
      for i = 1, #ids do
        if #ids[i] == member_size then known[#known + 1] = parts(string.sub(ids[i], 4)) end
      end
      list = merge(list, known, n)
      top = '(' .. prefix
    end
  end
end

-- The newest n ids before the given one.
local function newest(before, n)
  local list = {}
  local newest_day = math.floor(id_hour(before) / 24)
  local oldest_day = math.floor(id_hour(first) / 24)
  local from = 0
  while #list < n do
    local days = read('ZREVRANGEBYSCORE', days_key(), newest_day, oldest_day, 'LIMIT', from, 100)
    for _, day in ipairs(days) do
      for _, id in ipairs(ids_of_day(log_key(name, day), before, n - #list)) do list[#list + 1] = id end
      if #list == n then break end
    end
    if #days < 100 then break end
    from = from + 100
  end
  return list
end

local seen = seen_by(tenant)
local results = { now, '' }
local found, examined = 0, 0
while found < limit do
  local all, ids = newest(before, limit - found + 1), {}
  for i = 1, math.min(#all, limit - found) do ids[i] = all[i][1] end
  local rows, keys = read_rows(ids)
  for _, id in ipairs(ids) do
    if seen(rows[id], id, keys[id]) then
      results[#results + 1] = id
      results[#results + 1] = rows[id]
    end
    before = id
    examined = examined + 1
  end
  if #all == #ids then break end
  found = (#results - 2) / 2
  results[2] = before
  if examined >= patience then break end
  if found < limit then results[2] = '' end
end
return reply(results)
