#!lua flags=no-writes
-- webhook_requests.lua counts the requests of some webhooks by the hour, and finds when the
-- newest request of each began. It needs no scan: the index of a day has the requests of
-- each event type and status in order, so that an hour is a range whose length Redis knows,
-- and the newest request is at the end.
--
-- KEYS[1]  the partition
-- ARGV     first hour to count, then references of the webhooks
-- Result   now in ms, then for each webhook an array: when its newest request began,
--          in ms, or 0 if there is none; then for each hour, type and status that has
--          requests, in no order: hour, '1' for success or '0', how many

local since = tonumber(ARGV[1])
local results = { now_ms() }
local days = {}
for _, day in ipairs(read('ZREVRANGE', days_key(), 0, -1)) do
  if tonumber(day) then days[#days + 1] = day end
end
-- The index may still have rows whose buckets have been dropped.
local swept = read_swept()
since = math.max(since, swept)

-- Adds the requests in an index to those of a webhook.
local function add_index(of, key)
  local top = '+'
  while true do
    local member = read('ZREVRANGEBYLEX', key, top, '-', 'LIMIT', 0, 1)[1]
    if not member then return end
    local prefix = string.sub(member, 1, 3)
    local ms = #member == 2 + 1 + 16 and struct.unpack('>I6', member, 4) or 0 -- 0: no member of ours
    local hour = math.floor(ms / hour_ms)
    if hour >= swept then of[1] = math.max(of[1], ms) end
    if ms == 0 then
      top = '(' .. member
    elseif hour >= since then
      local first = prefix .. struct.pack('>I6', hour * hour_ms)
      local n = #of
      of[n + 1], of[n + 2] = hour, string.sub(prefix, 3)
      of[n + 3] = read('ZLEXCOUNT', key, '[' .. first, '[' .. member)
      top = '(' .. first
    else
      top = '(' .. prefix
    end
  end
end

for i = 2, #ARGV do
  local of = { 0 }
  for _, day in ipairs(days) do
    if of[1] > 0 and (tonumber(day) + 1) * 24 <= since then break end
    add_index(of, log_key(ARGV[i], day))
  end
  results[i] = of
end
return reply(results)
