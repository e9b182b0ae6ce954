#!lua flags=no-writes
-- webhook_requests.lua counts the requests of some webhooks by the hour, and finds when the
-- newest request of each began. It needs no scan: the index of a day has the requests of
-- each event type and status in order, so that an hour is a range whose length Redis knows,
-- and the newest request is at the end. When it has done as much as one script may, it says
-- where to go on.
--
-- KEYS[1]  the partition
-- ARGV     first hour to count, how much to do, where to go on with the first webhook: day,
--          member of its index to stay before, when its newest request began, or '', '', 0;
--          then references of the webhooks
-- Result   now in ms, where to go on with the last webhook: day and member, '' and '' at its
--          end; then for each webhook that it has come to an array: when its newest request
--          began, in ms, or 0 if there is none; then for each hour, type and status that has
--          requests, in no order: hour, '1' for success or '0', how many

local since, work = tonumber(ARGV[1]), tonumber(ARGV[2])
local go_on_day, go_on_top, newest = ARGV[3], ARGV[4], tonumber(ARGV[5])
local results = { now_ms(), '', '' }
local days = {}
for _, day in ipairs(read('ZREVRANGE', days_key(), 0, -1)) do
  if tonumber(day) then days[#days + 1] = day end
end
-- The index may still have rows whose buckets have been dropped.
local swept = read_swept()
since = math.max(since, swept)

-- Adds the requests in an index below top to those of a webhook. Returns where to go on, nil at
-- the end.
local function add_index(of, key, top)
  while work > 0 do
    work = work - 1
    local member = read('ZREVRANGEBYLEX', key, top, '-', 'LIMIT', 0, 1)[1]
    if not member then return nil end
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
      work = work - 1
      top = '(' .. first
    else
      top = '(' .. prefix
    end
  end
  return top
end

for i = 6, #ARGV do
  local of = { newest }
  results[#results + 1] = of
  for _, day in ipairs(days) do
    if go_on_day == '' or tonumber(day) <= tonumber(go_on_day) then
      if of[1] > 0 and (tonumber(day) + 1) * 24 <= since then break end
      local top = add_index(of, log_key(ARGV[i], day), day == go_on_day and go_on_top or '+')
      if top then
        results[2], results[3] = day, top
        return reply(results)
      end
    end
  end
  newest, go_on_day = 0, ''
end
return reply(results)
